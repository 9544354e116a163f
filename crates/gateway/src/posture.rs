//! What the start-up log says about who can get in: each surface that answers without authentication, with the setting that
//! closes it, and keys that are easily guessed.

use std::net::IpAddr;

use luthien_wire::Dialect;
use secrecy::{ExposeSecret, SecretString};

use crate::client_keys::ClientKeys;
use crate::config::{AuthMode, UpstreamConfig};
use crate::data_dir::Keys;
use crate::live::Live;
use crate::panic_switch::PanicMode;
use crate::server_credentials::ServerCredentials;
use crate::settings::{PolicyFailMode, Settings, Source};
use crate::upstream::choice::kin;

/// Shorter keys can be guessed.
const SHORTEST: usize = 32;

/// Words that keys in examples are made of.
const EXAMPLES: [&str; 10] = [
    "changeme",
    "change-me",
    "change_me",
    "dev-key",
    "example",
    "password",
    "secret",
    "your-",
    "test-key",
    "admin-key",
];

/// What to know where the last gateway that started on the same database has another `IDENTITY_KEY`.
pub const OTHER_IDENTITY: &str = "the gateway that started before this one on the same database knows callers by another IDENTITY_KEY: where \
    both run, sessions and policies that belong to a caller's own credential hold at one of them only; give all the same IDENTITY_KEY. Where \
    you have changed it, callers are told apart from before";

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// It should be changed before others can reach the gateway.
    pub warning: bool,
    /// What it is, and the setting that changes it.
    pub text: String,
}

/// Everything to know, what needs attention first. `given` are the keys that clients have been given.
pub fn posture(settings: &Settings, keys: &Keys, given: &ClientKeys) -> Vec<Note> {
    let mut notes = Vec::new();
    exposure(settings, &mut notes);
    weak_key("ADMIN_API_KEY", &keys.admin, &mut notes);
    if let Some(key) = &settings.client_api_key {
        weak_key("CLIENT_API_KEY", key, &mut notes);
        if key.expose_secret() == keys.admin.expose_secret() {
            warn(
                &mut notes,
                "CLIENT_API_KEY and ADMIN_API_KEY are the same: every client could switch the policies off",
            );
        }
    }
    if let Some(folder) = &keys.exposed {
        let text = format!(
            "other users of this machine can look into the data folder, where everything recorded is: chmod 700 {}",
            folder.display()
        );
        warn(&mut notes, text);
    }
    callers(settings, given, &mut notes);
    changed_mode(settings, &mut notes);
    own_keys(settings, given, &mut notes);
    keyless(settings, &mut notes);
    bypass(settings, &mut notes);
    tell(
        &mut notes,
        "open to all who reach it: /, /login, /auth/login, /auth/logout, /health, /livez, /healthz, /ready, /readyz, /openapi.json, /docs; they hold \
         no data and cannot be closed; GATEWAY_HOST says who reaches them",
    );
    notes.sort_by_key(|note| !note.warning);
    notes
}

/// Upstreams whose stored credential cannot be used, each with why.
pub fn credentials(settings: &Settings, stored: &ServerCredentials) -> Vec<Note> {
    let mut notes = Vec::new();
    for upstream in &settings.upstreams {
        for (_, why) in stored.wanting(upstream.credential.as_deref()) {
            let name = &upstream.name;
            warn(
                &mut notes,
                format!("requests that go to the upstream {name} with the gateway's own key are refused: {why}"),
            );
        }
    }
    notes
}

/// What to know of the policies: what is stopped, what did not load, and who may choose.
pub fn policies(live: &Live) -> Vec<Note> {
    let mut notes = Vec::new();
    let panic = &live.panic.order;
    if panic.mode != PanicMode::Off {
        let text = format!(
            "the panic switch is on ({}, set by {}); `luthien panic off` turns it off",
            panic.mode.name().replace('_', " "),
            panic.by
        );
        warn(&mut notes, text);
    }
    let traffic = match live.fail_mode() {
        PolicyFailMode::Closed => "what it should check is refused (POLICY_FAIL_MODE=closed)",
        PolicyFailMode::Open => "what it should check passes unchecked (POLICY_FAIL_MODE=open)",
    };
    let assigned = live.assignments.all().filter_map(|assigned| assigned.loaded.as_ref().err());
    for rejection in live.standing.rejected().into_iter().chain(assigned) {
        warn(&mut notes, format!("a policy is rejected, and {traffic}: {rejection}"));
    }
    let choices = live.assignments.choices();
    if !choices.is_empty() {
        let text = format!("requests may choose their policy among {} (POLICY_HEADER_CHOICES)", choices.join(", "));
        tell(&mut notes, text);
    }
    notes
}

/// Who can reach the gateway at all.
fn exposure(settings: &Settings, notes: &mut Vec<Note>) {
    let host = settings.host.trim_matches(['[', ']']);
    if !loopback(settings) {
        let text = format!(
            "listening on {host} without TLS, beyond this machine: put a proxy with TLS before it, or set GATEWAY_HOST=127.0.0.1"
        );
        warn(notes, text);
    }
    if settings.trust_user_id_header {
        warn(
            notes,
            "X-Luthien-User-Id is believed: any client that reaches the gateway itself can claim to be anyone (TRUST_USER_ID_HEADER)",
        );
    }
}

/// Whether who is on this machine gets in at the admin side without a key.
fn bypass(settings: &Settings, notes: &mut Vec<Note>) {
    if !settings.localhost_auth_bypass {
        return;
    }
    let text = if bypassed(settings) {
        "every program on this machine, the agent that is guarded too, changes policies and reads the record without a key; \
         LOCALHOST_AUTH_BYPASS=false closes this"
    } else {
        "LOCALHOST_AUTH_BYPASS does not count, since others than this machine reach the gateway: everybody needs a key; set \
         LOCALHOST_AUTH_BYPASS=false"
    };
    warn(notes, text);
}

/// Whether calls from this machine need no key at the admin side: where that is set, and nobody else reaches the gateway.
pub fn bypassed(settings: &Settings) -> bool {
    settings.localhost_auth_bypass && loopback(settings)
}

fn loopback(settings: &Settings) -> bool {
    let host = settings.host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Which upstreams ask nobody for a key: callers are checked nowhere then.
fn keyless(settings: &Settings, notes: &mut Vec<Note>) {
    let default = |upstream: &UpstreamConfig| {
        let first = |dialect: &Dialect| settings.upstreams.iter().find(|other| other.dialects.contains(dialect));
        upstream.dialects.iter().any(|dialect| first(dialect).is_some_and(|first| first.name == upstream.name))
    };
    let ruled = led_to(settings);
    let open =
        |upstream: &&UpstreamConfig| upstream.keyless && (default(upstream) || ruled.contains(&upstream.name.as_str()));
    let names: Vec<&str> = settings.upstreams.iter().filter(open).map(|upstream| upstream.name.as_str()).collect();
    if names.is_empty() || settings.auth_mode == AuthMode::ClientKey {
        return;
    }
    let text = format!(
        "upstreams that ask for no key ({}) check no caller, and neither does the gateway: any credential gets in; CLIENT_API_KEY \
         with AUTH_MODE=client_key closes this",
        names.join(", ")
    );
    notes.push(Note { warning: !loopback(settings), text });
}

/// Whose keys rules for models put at the service of callers whom nobody has checked.
fn own_keys(settings: &Settings, given: &ClientKeys, notes: &mut Vec<Note>) {
    if settings.auth_mode == AuthMode::ClientKey || settings.client_api_key.is_some() || given.any() {
        return;
    }
    let keyed = |name: &&str| settings.upstreams.iter().any(|upstream| upstream.name == *name && upstream.has_key());
    let mut names: Vec<&str> = led_to(settings).into_iter().filter(keyed).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let text = format!(
        "rules for models and conversions use the gateway's own keys ({}) for every caller, since no gateway key is set; CLIENT_API_KEY, \
         or a key of its own for each client, keeps them for those who bring one",
        names.join(", ")
    );
    notes.push(Note { warning: !loopback(settings), text });
}

/// The upstreams that requests reach by a rule, those that serve callers whose dialect nobody speaks, and those that the
/// operator has put in a vendor's place.
fn led_to(settings: &Settings) -> Vec<&str> {
    let first = |dialect| settings.upstreams.iter().find(|upstream| upstream.dialects.contains(&dialect));
    let unspoken = Dialect::ALL.into_iter().filter(|dialect| first(*dialect).is_none());
    let stand_ins = unspoken.filter_map(|dialect| kin(dialect).into_iter().find_map(first));
    let vendors = |upstream: &&UpstreamConfig| matches!(upstream.name.as_str(), "anthropic" | "openai");
    let added = Dialect::ALL.into_iter().filter_map(first).filter(|upstream| !vendors(upstream));
    let targets = settings.models.iter().flat_map(|route| &route.targets).map(|target| target.upstream.as_str());
    targets.chain(stand_ins.chain(added).map(|upstream| upstream.name.as_str())).collect()
}

/// How model traffic authenticates.
fn callers(settings: &Settings, given: &ClientKeys, notes: &mut Vec<Note>) {
    let text = match (settings.auth_mode, &settings.client_api_key) {
        (AuthMode::ClientKey, None) if !given.any_holds() => {
            return warn(
                notes,
                "model traffic: nobody can call yet (AUTH_MODE=client_key): make a key with POST /api/admin/client-keys, or set CLIENT_API_KEY",
            );
        }
        (AuthMode::ClientKey, _) => return,
        (AuthMode::Both, key) if key.is_some() || given.any() => {
            "model traffic: callers with any upstream credential get in beside those with the gateway key; AUTH_MODE=client_key closes this"
        }
        (AuthMode::Both | AuthMode::Passthrough, _) => {
            "model traffic: callers with any upstream credential get in, and the upstream checks it; CLIENT_API_KEY with \
             AUTH_MODE=client_key closes this"
        }
    };
    tell(notes, text);
}

/// A mode that was set while running hides what the operator wrote down.
fn changed_mode(settings: &Settings, notes: &mut Vec<Note>) {
    let origin = settings.origins.of("auth_mode");
    if !origin.is_some_and(|origin| origin.source == Source::Db && !origin.overrides.is_empty()) {
        return;
    }
    let text = format!(
        "the auth mode is {} as it was set while running, which counts more than AUTH_MODE and luthien.yaml; DELETE \
         /api/admin/config/auth_mode makes these count again",
        settings.auth_mode.name()
    );
    notes.push(Note { warning: settings.auth_mode != AuthMode::ClientKey, text });
}

fn weak_key(name: &str, key: &SecretString, notes: &mut Vec<Note>) {
    let key = key.expose_secret();
    let lower = key.to_ascii_lowercase();
    if key.chars().count() < SHORTEST {
        warn(
            notes,
            format!("{name} has fewer than {SHORTEST} characters and could be guessed; use 32 random ones or more"),
        );
    } else if EXAMPLES.iter().any(|word| lower.contains(word)) {
        warn(notes, format!("{name} looks like one from an example; use 32 random characters"));
    }
}

fn warn(notes: &mut Vec<Note>, text: impl Into<String>) {
    notes.push(Note { warning: true, text: text.into() });
}

fn tell(notes: &mut Vec<Note>, text: impl Into<String>) {
    notes.push(Note { warning: false, text: text.into() });
}

#[cfg(test)]
mod tests;
