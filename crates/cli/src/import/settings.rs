//! Credentials, inference providers and settings out of the database of a luthien-proxy.

use std::collections::BTreeSet;

use jiff::Timestamp;
use luthien_gateway::clock::Clock;
use luthien_gateway::server_credentials::providers::acceptable;
use luthien_gateway::server_credentials::{
    CredentialType, KeyRing, NewCredential, ServerCredentials, acceptable_name, acceptable_value, open_fernet,
};
use luthien_gateway::settings::DEFINITIONS;
use luthien_record::Store;
use luthien_record::older::{OlderCredential, OlderProvider, OlderSettings};
use luthien_record::store::{SealedCredential, StoredProvider, StoredSetting};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::BY;
use crate::args::ProxyArgs;
use crate::assembly::Loaded;
use crate::failure::Failure;

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenOver {
    /// What was taken over, or would be.
    pub(super) taken: Vec<String>,
    /// What is here already under its name.
    pub(super) already: Vec<String>,
    /// What was not, each with why.
    pub(super) left: Vec<(String, String)>,
}

impl TakenOver {
    pub(super) fn json(&self) -> Value {
        let left: Vec<Value> = self.left.iter().map(|(name, why)| json!({"what": name, "why": why})).collect();
        json!({"taken": self.taken, "already": self.already, "left": left})
    }
}

/// What can be taken over, found out before anything is written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    credentials: Vec<NewCredential>,
    providers: Vec<StoredProvider>,
    settings: Vec<StoredSetting>,
    told: TakenOver,
}

impl Plan {
    /// Of what is there; `store` is the record here, where there is one.
    pub(super) async fn make(
        loaded: &Loaded,
        args: &ProxyArgs,
        found: OlderSettings,
        store: Option<&Store>,
    ) -> Result<Self, Failure> {
        let keys = older_keys(loaded, args)?;
        let (mut plan, now) = (Self::default(), Clock::system().now());
        let (mut here, mut settings) = (BTreeSet::new(), BTreeSet::new());
        if let Some(store) = store {
            let (credentials, providers) = store.credentials().await?;
            here.extend(credentials.into_iter().map(|one| label("credential", &one.name)));
            here.extend(providers.into_iter().map(|one| label("inference provider", &one.name)));
            settings.extend(store.settings().await?.into_iter().map(|one| label("setting", &one.name)));
        }
        here.extend(settings);
        for one in found.credentials {
            let name = label("credential", &one.name);
            let new = credential(one, keys.as_ref(), now);
            plan.note(&here, name, new, |plan, new| plan.credentials.push(new));
        }
        for one in found.providers {
            let name = label("inference provider", &one.name);
            plan.note(&here, name, provider(one, now), |plan, new| plan.providers.push(new));
        }
        for (key, value) in found.settings {
            let name = label("setting", &key.to_ascii_lowercase());
            plan.note(&here, name, setting(loaded, &key, value, now), |plan, new| plan.settings.push(new));
        }
        Ok(plan)
    }

    fn note<T>(&mut self, here: &BTreeSet<String>, name: String, new: Result<T, String>, keep: fn(&mut Self, T)) {
        if here.contains(&name) {
            self.told.already.push(name);
            return;
        }
        match new {
            Ok(new) => {
                keep(self, new);
                self.told.taken.push(name);
            }
            Err(why) => self.told.left.push((name, why)),
        }
    }

    /// Writes it, or nothing without a record; says what it was.
    pub(super) async fn carry_out(self, loaded: &Loaded, store: Option<&Store>) -> Result<TakenOver, Failure> {
        let Some(store) = store else { return Ok(self.told) };
        let credentials = ServerCredentials::with(loaded.key_source());
        for new in self.credentials {
            credentials.keep(store, new).await.map_err(|e| Failure::new(e.to_string()))?;
        }
        for new in &self.providers {
            store.set_provider(new).await?;
        }
        for new in &self.settings {
            store.set_setting(new).await?;
        }
        Ok(self.told)
    }
}

/// The older proxy's keys: those of the file, else this gateway's own.
fn older_keys(loaded: &Loaded, args: &ProxyArgs) -> Result<Option<KeyRing>, Failure> {
    let Some(path) = &args.older_key_file else {
        return loaded.key_source().read().map_err(|e| Failure::new(e.to_string()));
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| Failure::new(format!("cannot read {}: {e}", path.display())))?;
    let keys = KeyRing::parse(&SecretString::from(text));
    keys.map(Some).map_err(|e| Failure::new(format!("{} cannot be used: {e}", path.display())))
}

fn label(what: &str, name: &str) -> String {
    format!("{what} {name}")
}

fn credential(one: OlderCredential, keys: Option<&KeyRing>, now: Timestamp) -> Result<NewCredential, String> {
    acceptable_name(&one.name)?;
    let kind = one.credential_type.as_deref().unwrap_or("api_key");
    let kind = CredentialType::named(kind).ok_or_else(|| format!("its type `{kind}` is not known here"))?;
    let value = if one.encrypted {
        let opened = keys.and_then(|keys| open_fernet(keys, &one.value));
        opened.ok_or("it is encrypted, and no key here opens it: give that proxy's CREDENTIAL_ENCRYPTION_KEY with --older-key-file")?
    } else {
        SecretString::from(one.value)
    };
    acceptable_value(&value).map_err(|why| format!("its value {why}"))?;
    let shell = SealedCredential {
        name: one.name,
        platform: one.platform.filter(|platform| !platform.is_empty()).unwrap_or_else(|| "anthropic".to_owned()),
        platform_url: one.platform_url.filter(|url| !url.is_empty()),
        credential_type: kind.name().to_owned(),
        key_id: String::new(),
        sealed: Vec::new(),
        created_at: now,
        created_by: BY.to_owned(),
        updated_at: now,
        updated_by: BY.to_owned(),
    };
    Ok(NewCredential { shell, value })
}

fn provider(one: OlderProvider, now: Timestamp) -> Result<StoredProvider, String> {
    acceptable_name(&one.name)?;
    let stored = StoredProvider {
        name: one.name,
        backend_type: one.backend_type,
        credential_name: one.credential_name.filter(|name| !name.is_empty()),
        default_model: one.default_model.filter(|model| !model.is_empty()),
        config: if one.config.is_null() { json!({}) } else { one.config },
        created_at: now,
        created_by: BY.to_owned(),
        updated_at: now,
        updated_by: BY.to_owned(),
    };
    acceptable(&stored)?;
    Ok(stored)
}

fn setting(loaded: &Loaded, key: &str, value: String, now: Timestamp) -> Result<StoredSetting, String> {
    let name = key.to_ascii_lowercase();
    let known = DEFINITIONS.iter().find(|one| one.name == name).ok_or("there is no such setting here")?;
    if !known.live {
        return Err("it cannot be changed while running: set it in the environment or in luthien.yaml".to_owned());
    }
    loaded.settings.clone().set_live(&name, &value)?;
    Ok(StoredSetting { name, value, set_at: now, set_by: BY.to_owned() })
}
