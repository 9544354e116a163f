//! Credentials of the gateway's own: kept sealed in the database, opened in memory, and used by whoever names them.
//!
//! What is opened is one value behind an `ArcSwap`, so that a request reads it without waiting, and a change holds from the next
//! request on. The value of a credential goes to the upstream or the inference provider that names it, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use luthien_record::Store;
use luthien_record::store::{SealError, SealedCredential, StoreError};
use luthien_wire::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::credentials::put;
use crate::errors::GatewayError;
use crate::headers::API_KEY;
use crate::upstream::Base;

mod fernet;
mod key_file;
mod keys;
pub mod providers;
mod rotate;

pub use fernet::open_fernet;
pub use key_file::{KEY_FILE, KeyError, KeySource};
pub use keys::{BadKey, KeyRing, NoRandomness, Unopened};
pub use rotate::{RotateError, Rotated, rotate};

use providers::Provider;

/// How long to wait before what could not be read is read again.
const AGAIN: Duration = Duration::from_millis(500);

/// How a credential is brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// As an API key: `x-api-key` for Messages, a bearer for the others.
    #[default]
    ApiKey,
    /// As a bearer, whatever the dialect.
    AuthToken,
}

impl CredentialType {
    /// Its word, as the database has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AuthToken => "auth_token",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ApiKey, Self::AuthToken].into_iter().find(|one| one.name() == name)
    }
}

/// An opened credential.
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) platform: String,
    /// Where it goes, if it goes nowhere else.
    pub(crate) platform_url: Option<String>,
    place: Option<Base>,
    pub(crate) kind: CredentialType,
    value: SecretString,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a credential cannot be used now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none of this name.
    #[error("the credential `{0}` is not stored: `luthien credentials add {0}`, or POST /api/admin/credentials")]
    Missing(String),
    /// It cannot be opened.
    #[error("the credential `{0}` cannot be opened: {1}")]
    Unopened(String, Arc<str>),
    /// It is for another place.
    #[error("the credential `{0}` is for {1} alone")]
    Elsewhere(String, String),
    /// It holds what no header can carry.
    #[error("the credential `{0}` has characters that no header can carry: set it anew")]
    Characters(String),
}

impl Credential {
    /// Sets the one header that carries it, for a request to this place.
    pub(crate) fn put(&self, headers: &mut HeaderMap, dialect: Dialect, base: &Base) -> Result<(), Unusable> {
        headers.remove(API_KEY);
        headers.remove(AUTHORIZATION);
        if let Some(place) = &self.place
            && !place.same_origin(base)
        {
            let url = self.platform_url.clone().unwrap_or_default();
            return Err(Unusable::Elsewhere(self.name.clone(), url));
        }
        // As OpenAI's dialects have it: a bearer.
        let dialect = if self.kind == CredentialType::AuthToken { Dialect::Chat } else { dialect };
        let placed = put(headers, dialect, self.value.expose_secret().as_bytes());
        placed.map_err(|_: GatewayError| Unusable::Characters(self.name.clone()))
    }
}

impl Credential {
    /// Whether it may go to this address: why not.
    pub(crate) fn goes_to(&self, name: &str, url: &str) -> Result<(), String> {
        let base = Base::parse(name, url).map_err(|error| error.to_string())?;
        match &self.place {
            Some(place) if !place.same_origin(&base) => {
                let url = self.platform_url.clone().unwrap_or_default();
                Err(Unusable::Elsewhere(self.name.clone(), url).to_string())
            }
            _ => Ok(()),
        }
    }
}

/// What is known of the credentials, as it was read last.
#[derive(Debug, Default)]
pub(crate) struct Known {
    opened: BTreeMap<String, Result<Arc<Credential>, Arc<str>>>,
    providers: BTreeMap<String, Result<Arc<Provider>, Arc<str>>>,
    /// How often they were read so far.
    number: u64,
}

/// The credentials and the providers. Cloning shares them.
#[derive(Clone, Debug)]
pub struct ServerCredentials(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: KeySource,
    known: ArcSwap<Known>,
    turn: Mutex<()>,
}

impl Default for ServerCredentials {
    /// None, and no keys to open any with.
    fn default() -> Self {
        Self::with(KeySource::File(PathBuf::from(KEY_FILE)))
    }
}

/// A credential was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It could not be sealed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How the credentials stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CredentialsHealth {
    /// How many cannot be opened. The log and `GET /api/admin/credentials` say which, why, and what to do.
    pub unreadable: usize,
    /// How many are named by an upstream or a provider and are not stored.
    pub missing: usize,
}

impl ServerCredentials {
    /// None yet, with keys from there.
    pub fn with(source: KeySource) -> Self {
        Self(Arc::new(Inner { source, known: ArcSwap::default(), turn: Mutex::new(()) }))
    }

    /// Those that the database holds.
    pub async fn stored(store: &Store, source: KeySource) -> Result<Self, StoreError> {
        let new = Self::with(source);
        new.take(store).await?;
        Ok(new)
    }

    /// Takes over what the database holds now. The key file is read again: a rotation may have changed it.
    pub async fn take(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.0.turn.lock().await;
        let (sealed, stored) = store.credentials().await?;
        let keys = if sealed.is_empty() { Ok(None) } else { self.0.source.read() };
        let keys = keys.map_err(|error| Arc::from(error.to_string()));
        let before = self.0.known.load_full();
        let mut known = Known { number: before.number + 1, ..Known::default() };
        for one in sealed {
            let opened = open(&keys, &one);
            if let Err(why) = &opened
                && before.opened.get(&one.name).is_none_or(|old| old.as_ref().err() != Some(why))
            {
                tracing::error!(credential = %one.name, %why, "a credential cannot be opened; what needs it is refused");
            }
            known.opened.insert(one.name, opened);
        }
        for one in stored {
            let name = one.name.clone();
            let read = Provider::read(one).map(Arc::new).map_err(Arc::from);
            if let Err(why) = &read {
                tracing::error!(provider = %name, %why, "an inference provider cannot be used");
            }
            known.providers.insert(name, read);
        }
        self.0.known.store(Arc::new(known));
        Ok(())
    }

    /// Until `stop`: takes over what the database holds whenever `number` says that it was changed.
    pub async fn follow(self, mut number: watch::Receiver<u64>, store: Store, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(number.changed()).await {
            while let Err(error) = self.take(&store).await {
                tracing::warn!(%error, "the credentials cannot be read; trying again");
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Those that cannot be opened, each with why and what to do.
    pub fn all_unreadable(&self) -> Vec<(String, String)> {
        let known = self.0.known.load();
        let why = |(name, one): (&String, &Result<_, Arc<str>>)| Some((name.clone(), one.as_ref().err()?.to_string()));
        known.opened.iter().filter_map(why).collect()
    }

    /// The credential of this name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Credential>, Unusable> {
        match self.0.known.load().opened.get(name) {
            None => Err(Unusable::Missing(name.to_owned())),
            Some(Err(why)) => Err(Unusable::Unopened(name.to_owned(), Arc::clone(why))),
            Some(Ok(credential)) => Ok(Arc::clone(credential)),
        }
    }

    /// Why the credential of this name cannot be opened; `None` where it can, or is not known.
    pub fn unreadable(&self, name: &str) -> Option<String> {
        self.0.known.load().opened.get(name)?.as_ref().err().map(ToString::to_string)
    }

    /// The provider of this name; an error where this version cannot use it.
    pub(crate) fn provider(&self, name: &str) -> Option<Result<Arc<Provider>, Arc<str>>> {
        self.0.known.load().providers.get(name).cloned()
    }

    /// The names of all providers.
    pub fn provider_names(&self) -> Vec<String> {
        self.0.known.load().providers.keys().cloned().collect()
    }

    /// The names of the providers that are asked with this credential.
    pub fn providers_with(&self, credential: &str) -> Vec<String> {
        let known = self.0.known.load();
        let providers = known.providers.iter().filter_map(|(name, one)| Some((name, one.as_ref().ok()?)));
        providers
            .filter(|(_, one)| one.credential.as_deref() == Some(credential))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// A number that changes with every change.
    pub(crate) fn number(&self) -> u64 {
        self.0.known.load().number
    }

    /// Which of these names are not stored or cannot be opened, each with why.
    pub fn wanting<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<(&'n str, String)> {
        let why = |name: &'n str| self.find(name).err().map(|why| (name, why.to_string()));
        names.into_iter().filter_map(why).collect()
    }

    /// How they stand; `named` are those that upstreams name.
    pub fn health<'n>(&self, named: impl IntoIterator<Item = &'n str>) -> CredentialsHealth {
        let named: Vec<&str> = named.into_iter().collect();
        let known = self.0.known.load();
        let unreadable = known.opened.values().filter(|one| one.is_err()).count();
        let providers = known.providers.values().flatten().filter_map(|provider| provider.credential.as_deref());
        let mut names: BTreeSet<&str> = providers.collect();
        names.extend(named);
        let missing = names.into_iter().filter(|name| !known.opened.contains_key(*name)).count();
        CredentialsHealth { unreadable, missing }
    }

    /// Keeps a credential with this value, in place of one of its name; says whether there was one. What is opened follows with
    /// [`ServerCredentials::take`].
    pub async fn keep(&self, store: &Store, new: NewCredential) -> Result<bool, KeepError> {
        let source = &self.0.source;
        let seal = move || {
            let keys = source.made()?;
            keys.seal(new.shell, &new.value).map_err(KeyError::from)
        };
        store.set_credential(seal).await.map_err(|error| match error {
            SealError::Seal(error) => KeepError::Key(error),
            SealError::Store(error) => KeepError::Store(error),
        })
    }
}

/// Longer names are none, in characters.
const LONGEST_NAME: usize = 128;

/// Longer values are none, in bytes.
const LARGEST_VALUE: usize = 16 << 10;

/// Whether a credential or a provider can be called so: why not.
pub fn acceptable_name(name: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-:@".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(known) || matches!(name, "." | "..") {
        return Err(format!("must be a name of at most {LONGEST_NAME} letters, digits and `. _ - : @`"));
    }
    Ok(())
}

/// Whether this can be a credential's value: why not. The value is not repeated.
pub fn acceptable_value(value: &SecretString) -> Result<(), String> {
    let value = value.expose_secret();
    if value.is_empty() {
        Err("is empty".to_owned())
    } else if value.len() > LARGEST_VALUE {
        Err(format!("must have at most {LARGEST_VALUE} characters"))
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("has spaces or other characters that no header can carry".to_owned())
    } else {
        Ok(())
    }
}

/// A credential to be kept.
#[derive(Debug)]
pub struct NewCredential {
    /// What is kept beside the value; what is sealed is filled in.
    pub shell: SealedCredential,
    /// The value.
    pub value: SecretString,
}

fn open(keys: &Result<Option<KeyRing>, Arc<str>>, sealed: &SealedCredential) -> Result<Arc<Credential>, Arc<str>> {
    let keys = keys.as_ref().map_err(Arc::clone)?;
    let no_key = || Unopened::OtherKey(sealed.key_id.clone());
    let opened = keys.as_ref().ok_or_else(no_key).and_then(|keys| keys.open(sealed));
    let value = opened.map_err(|why| Arc::from(why.to_string()))?;
    let kind = CredentialType::named(&sealed.credential_type);
    let kind = kind.ok_or_else(|| Arc::from(format!("its type `{}` is not known here", sealed.credential_type)))?;
    let place = sealed.platform_url.as_deref().map(|url| Base::parse(&sealed.name, url)).transpose();
    Ok(Arc::new(Credential {
        name: sealed.name.clone(),
        platform: sealed.platform.clone(),
        platform_url: sealed.platform_url.clone(),
        place: place.map_err(|error| Arc::from(error.to_string()))?,
        kind,
        value,
    }))
}

#[cfg(test)]
mod tests;
