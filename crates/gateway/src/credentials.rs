//! Who calls, and with which credential a request goes on (W-62, W-64). A gateway key never leaves.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use luthien_wire::Dialect;
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::access::verdicts::Hash;
use crate::access::{Access, CredentialType, OAUTH};
use crate::admin_access::tokens;
use crate::client_keys::{self, ClientKeys, KeyLimits, Known};
use crate::config::{AuthMode, GatewayConfig};
use crate::errors::GatewayError;
use crate::headers::{API_KEY, FORWARD_KEY, GATEWAY_KEY};
use crate::upstream::Upstream;

/// The gateway's side of authentication.
#[derive(Debug)]
pub(crate) struct Keys {
    access: Access,
    client: Option<SecretString>,
    /// Those that were given out.
    issued: ClientKeys,
    admin: Option<SecretString>,
    identity: [u8; 32],
}

/// A caller who may pass.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The keyed hash of its credential.
    pub(crate) identity: [u8; 16],
    /// It brought a gateway key.
    pub(crate) trusted: bool,
    /// What its key may use, where it brought one that was given out.
    pub(crate) limits: KeyLimits,
    /// What its requests carry upstream.
    pub(crate) forward: Forward,
    /// What it comes with, as far as it matters who pays.
    pub(crate) kind: CredentialType,
    /// By which its vendor's word on its own credential is remembered, where the vendor was asked.
    pub(crate) validated: Option<Hash>,
}

/// Which credential goes upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The caller's, in the headers in which it came.
    AsBrought,
    /// One that was named apart: by the caller, beside what it authenticates with, or by a policy.
    Given(HeaderValue),
    /// The upstream's server key.
    ServerKey,
}

impl Forward {
    /// A policy's credential.
    pub(crate) fn policys(secret: &SecretString) -> Result<Self, GatewayError> {
        let mut value = HeaderValue::from_str(secret.expose_secret())
            .map_err(|_| GatewayError::BadCredential("a policy's key has characters that no header can carry"))?;
        value.set_sensitive(true);
        Ok(Self::Given(value))
    }
}

impl Keys {
    pub(crate) fn new(config: &GatewayConfig, issued: ClientKeys) -> Self {
        Self {
            access: config.access.clone(),
            client: config.client_key.clone(),
            issued,
            admin: config.admin_key.clone(),
            identity: config.identity_key,
        }
    }

    /// Decides who calls, from the headers alone. A key of the gateway's that does not hold is refused, whatever else came: who
    /// brings one means to be let in by it. Of two credentials of its own the caller is known by the one that vendors of this dialect read.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        dialect: Dialect,
        now: Timestamp,
    ) -> Result<Caller, GatewayError> {
        // What goes on beside the one that was looked at would make its bringer somebody else each time.
        if [GATEWAY_KEY, API_KEY, AUTHORIZATION, FORWARD_KEY]
            .iter()
            .any(|name| headers.get_all(name).iter().count() > 1)
        {
            return Err(GatewayError::BadCredential("a credential's header came more than once: send it once"));
        }
        if headers.get(AUTHORIZATION).and_then(basic).is_some_and(|plain| self.holds_gateway_key(&plain)) {
            return Err(GatewayError::BadCredential(
                "a gateway key came by the scheme Basic, as from an address with a user in it: send it as `x-api-key` or as `Authorization: Bearer`",
            ));
        }
        let apart = headers.get(GATEWAY_KEY).map(bearer);
        let order = if dialect == Dialect::Messages { [API_KEY, AUTHORIZATION] } else { [AUTHORIZATION, API_KEY] };
        let usual = order.map(|name| headers.get(name).map(bearer));
        let (mut gateway, mut admin, mut own, mut limits) = (None, None, None, KeyLimits::default());
        let mut given_out = None;
        for (key, apart) in [(apart, true), (usual[0], false), (usual[1], false)] {
            let Some(key) = key.filter(|key| !key.is_empty()) else { continue };
            if same(self.client.as_ref(), key) {
                gateway = gateway.or(Some(key));
                continue;
            }
            match self.issued.find(key, now) {
                Known::Key(known) => {
                    if gateway.is_none() {
                        (limits, given_out) = (known.limits, Some(known.caller));
                    }
                    gateway = gateway.or(Some(key));
                }
                Known::Ended(why) => return Err(GatewayError::BadCredential(why)),
                Known::Other if same(self.admin.as_ref(), key) => {
                    admin = Some("the admin key is not for model traffic");
                }
                Known::Other if tokens::stand_in(key) => {
                    admin = Some("a token of the admin side is not for model traffic");
                }
                Known::Other if apart => {
                    return Err(GatewayError::BadCredential(
                        "what came as x-luthien-api-key is no key of this gateway",
                    ));
                }
                Known::Other => own = own.or(Some(key)),
            }
        }
        let given =
            headers.get(FORWARD_KEY).filter(|value| !value.is_empty() && !self.holds_gateway_key(value.as_bytes()));
        if own.is_none() && gateway.is_none() && given.is_none() {
            return Err(admin.map_or(GatewayError::NoCredential, GatewayError::BadCredential));
        }
        match self.access.rules().mode {
            AuthMode::ClientKey if gateway.is_none() => {
                return Err(GatewayError::BadCredential("this gateway asks for its own key"));
            }
            AuthMode::Passthrough if own.is_none() && given.is_none() => {
                return Err(GatewayError::BadCredential("this gateway asks for a credential of the upstream's"));
            }
            _ => {}
        }
        let trusted = gateway.is_some();
        let (forward, identity) = match (given, own, gateway) {
            // Who could name itself as it liked would be another caller each time: a gateway key says who it is, whatever else came.
            (Some(given), _, gateway) => (Forward::Given(given.clone()), gateway.unwrap_or(given.as_bytes())),
            (None, Some(own), gateway) => (Forward::AsBrought, gateway.unwrap_or(own)),
            (None, None, gateway) => (Forward::ServerKey, gateway.unwrap_or_default()),
        };
        let kind = match (&forward, own) {
            (Forward::Given(given), _) => CredentialType::of_vendors(bearer(given)),
            (Forward::AsBrought, own) => CredentialType::of_vendors(own.unwrap_or_default()),
            (Forward::ServerKey, _) if given_out.is_some() => CredentialType::ClientKey,
            (Forward::ServerKey, _) => CredentialType::GatewayKey,
        };
        // A key that was given out is known by what was noted then: its policy holds for it whatever IDENTITY_KEY is now.
        let identity = given_out.unwrap_or_else(|| self.identity(identity));
        Ok(Caller { identity, trusted, limits, forward, kind, validated: None })
    }

    fn identity(&self, credential: &[u8]) -> [u8; 16] {
        identity_of(&self.identity, credential)
    }

    /// By which a vendor's word on a caller's credentials is remembered: what goes to the upstream of this name, in either header.
    pub(crate) fn hash_of_sent(&self, upstream: &str, headers: &HeaderMap) -> Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.identity);
        hasher.update(b"validated\0").update(upstream.as_bytes());
        for name in [API_KEY, AUTHORIZATION] {
            let value = headers.get(&name).map_or(&b""[..], HeaderValue::as_bytes);
            hasher.update(&value.len().to_le_bytes()).update(value);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }

    /// Which credential goes with a caller's request to an upstream. `callers` says that the caller's own may: it is the
    /// default upstream of the dialect that it speaks. The server's key is for whoever brings the gateway key; where no
    /// gateway key is set, for everybody.
    pub(crate) fn forward(&self, caller: &Caller, upstream: &Upstream, callers: bool) -> Result<Forward, GatewayError> {
        if callers || upstream.keyless {
            // A keyless upstream gets nothing, whatever this says.
            Ok(caller.forward.clone())
        } else if !upstream.key.is_given() {
            Err(GatewayError::NoOwnKey(upstream.name.clone()))
        } else if (self.client.is_some() || self.issued.any()) && !caller.trusted {
            Err(GatewayError::NotForCaller(upstream.name.clone()))
        } else {
            Ok(Forward::ServerKey)
        }
    }

    /// Puts the credential for the upstream in place of the caller's, and takes gateway keys out wherever they stand.
    pub(crate) fn apply(
        &self,
        headers: &mut HeaderMap,
        forward: &Forward,
        dialect: Dialect,
        upstream: &Upstream,
    ) -> Result<(), GatewayError> {
        headers.remove(FORWARD_KEY);
        headers.remove(GATEWAY_KEY);
        self.strip_gateway_keys(headers);
        if upstream.keyless {
            headers.remove(API_KEY);
            headers.remove(AUTHORIZATION);
            return Ok(());
        }
        match forward {
            Forward::AsBrought => {
                for name in [API_KEY, AUTHORIZATION] {
                    if let Some(value) = headers.get_mut(name) {
                        value.set_sensitive(true);
                    }
                }
                Ok(())
            }
            Forward::Given(key) => put(headers, dialect, key.as_bytes()),
            Forward::ServerKey => upstream.put_key(headers, dialect),
        }
    }

    fn strip_gateway_keys(&self, headers: &mut HeaderMap) {
        let holds = |name: &HeaderName, value: &HeaderValue| {
            self.holds_gateway_key(value.as_bytes())
                || self.holds_gateway_key(name.as_str().as_bytes())
                || basic(value).is_some_and(|plain| self.holds_gateway_key(&plain))
        };
        if headers.iter().any(|(name, value)| holds(name, value)) {
            let names: Vec<HeaderName> = headers.keys().cloned().collect();
            for name in names {
                if headers.get_all(&name).iter().any(|value| holds(&name, value)) {
                    headers.remove(name);
                }
            }
        }
    }

    /// Whether a path holds a gateway key, as it stands or escaped.
    pub(crate) fn stands_in_path(&self, path: &str) -> bool {
        self.holds_gateway_key(path.as_bytes()) || (path.contains('%') && self.holds_gateway_key(&unescaped(path)))
    }

    fn holds_gateway_key(&self, text: &[u8]) -> bool {
        [&self.client, &self.admin].into_iter().flatten().any(|key| {
            let key = key.expose_secret().as_bytes();
            text.len() >= key.len() && !key.is_empty() && memmem::find(text, key).is_some()
        }) || client_keys::stands_in(text)
    }

    /// The query for the upstream: without pairs that hold a gateway key, else as it came.
    pub(crate) fn clean_query(&self, query: &str) -> String {
        let holds = |text: &str| self.holds_gateway_key(text.as_bytes()) || self.holds_gateway_key(&unescaped(text));
        if !holds(query) {
            return query.to_owned();
        }
        let rest: Vec<&str> = query.split('&').filter(|pair| !holds(pair)).collect();
        rest.join("&")
    }
}

/// By which the holder of a credential is known: its keyed hash.
pub(crate) fn identity_of(key: &[u8; 32], credential: &[u8]) -> [u8; 16] {
    let hash = blake3::keyed_hash(key, credential);
    let mut short = [0; 16];
    short.copy_from_slice(&hash.as_bytes()[..16]);
    short
}

/// Takes out what a caller proves itself with to its own vendor, by the names of headers and by the credentials' text: for
/// an upstream that is none of the caller's.
pub(crate) fn strip_callers(headers: &mut HeaderMap) {
    /// Shorter texts could stand in any header.
    const SHORTEST: usize = 8;
    const WORDS: [&str; 9] =
        ["auth", "api-key", "apikey", "token", "secret", "cookie", "password", "credential", "signature"];
    /// Words that tell only where they stand alone between dashes.
    const PARTS: [&str; 8] = ["key", "vk", "jwt", "assertion", "sid", "oidc", "saml", "cert"];
    const ACCOUNTS: [&str; 5] = [
        "openai-organization",
        "openai-project",
        "chatgpt-account-id",
        "anthropic-workspace-id",
        "anthropic-user-profile-id",
    ];
    let secrets: Vec<Vec<u8>> = [API_KEY, AUTHORIZATION, FORWARD_KEY]
        .iter()
        .flat_map(|name| headers.get_all(name))
        .map(|value| bearer(value).to_vec())
        .filter(|secret| secret.len() >= SHORTEST)
        .collect();
    let tells = |name: &HeaderName| {
        let name = name.as_str();
        WORDS.iter().any(|word| name.contains(word))
            || name.split(['-', '_']).any(|part| PARTS.contains(&part))
            || ACCOUNTS.contains(&name)
    };
    let holds = |value: &HeaderValue| secrets.iter().any(|secret| memmem::find(value.as_bytes(), secret).is_some());
    let gone: Vec<HeaderName> =
        headers.iter().filter(|(name, value)| tells(name) || holds(value)).map(|(name, _)| name.clone()).collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Sets one credential header, in the way the dialect's vendor takes the key, and removes the other.
pub(crate) fn put(headers: &mut HeaderMap, dialect: Dialect, key: &[u8]) -> Result<(), GatewayError> {
    headers.remove(API_KEY);
    headers.remove(AUTHORIZATION);
    let (name, value) = if dialect == Dialect::Messages && !key.starts_with(OAUTH) {
        (API_KEY, HeaderValue::from_bytes(key))
    } else {
        (AUTHORIZATION, HeaderValue::from_bytes(&[b"Bearer ", key].concat()))
    };
    let mut value =
        value.map_err(|_| GatewayError::BadCredential("the key has characters that no header can carry"))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The query without parameters that carry keys.
pub(crate) fn without_secrets(query: &str) -> String {
    let open = |pair: &&str| !is_secret_parameter(pair.split('=').next().unwrap_or_default());
    query.split('&').filter(open).collect::<Vec<_>>().join("&")
}

/// Whether a query parameter carries a key, by its name.
pub(crate) fn is_secret_parameter(name: &str) -> bool {
    const WORDS: [&str; 5] = ["key", "token", "secret", "password", "signature"];
    let name = parameter_name(name);
    WORDS.iter().any(|word| memmem::find(&name, word.as_bytes()).is_some())
}

/// A parameter's name as an upstream reads it, in small letters.
pub(crate) fn parameter_name(name: &str) -> Vec<u8> {
    let mut out = unescaped(name);
    out.make_ascii_lowercase();
    out
}

pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

/// The key in a header that holds one, with or without its scheme.
pub(crate) fn bearer(value: &HeaderValue) -> &[u8] {
    let bytes = value.as_bytes().trim_ascii();
    match bytes.split_at_checked(6) {
        Some((scheme, key))
            if scheme.eq_ignore_ascii_case(b"bearer") && key.first().is_none_or(u8::is_ascii_whitespace) =>
        {
            key.trim_ascii()
        }
        _ => bytes,
    }
}

/// What a value of the scheme Basic says.
fn basic(value: &HeaderValue) -> Option<Vec<u8>> {
    const READER: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let (scheme, coded) = value.as_bytes().trim_ascii().split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| READER.decode(coded.trim_ascii()).ok()).flatten()
}

fn same(key: Option<&SecretString>, brought: &[u8]) -> bool {
    key.is_some_and(|key| !key.expose_secret().is_empty() && bool::from(key.expose_secret().as_bytes().ct_eq(brought)))
}

#[cfg(test)]
mod tests;
