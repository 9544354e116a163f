//! Keys that the gateway gives to its clients: made once, told once, kept as hashes, and known here by their hash.
//!
//! A key has 256 random bits, so that a fast hash protects it as well as a slow one. All begin alike: wherever such a text stands in
//! a request, it does not go upstream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredClientKey};
use memchr::memmem;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::caps::{Caps, ScopeKind};
use crate::credentials::identity_of;

/// With what every key begins.
pub const PREFIX: &str = "lth-";

/// How many of its characters are shown in lists.
const SHOWN: usize = PREFIX.len() + 6;

/// How many characters a key has behind the prefix: 32 bytes in hexadecimal digits.
const DIGITS: usize = 64;

/// How long to wait before what could not be read is read again.
const AGAIN: Duration = Duration::from_millis(500);

/// What the holder of a key may use. Where nothing is said the gateway's own limits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests in a minute; 0: as many as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// How many of them may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Tokens in a minute, those of prompts and answers together; 0: as many as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// What it may use beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Caps>,
}

impl KeyLimits {
    /// Reads those of a new key. The error says what is wrong.
    pub(crate) fn read(value: serde_json::Value) -> Result<Self, String> {
        let limits: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let caps = limits.caps.map(|caps| caps.checked(ScopeKind::Key)).transpose()?;
        Ok(Self { caps, ..limits })
    }
}

/// A key as requests need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedKey {
    /// Its id.
    pub id: Uuid,
    /// What it may use.
    pub limits: KeyLimits,
    /// By which its holder is known, at every gateway on the database alike.
    pub caller: [u8; 16],
    expires_at: Option<Timestamp>,
    revoked: bool,
}

/// What a text is that came where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// A key that holds.
    Key(Arc<IssuedKey>),
    /// A key of this gateway's that does not hold any more, or never did.
    Ended(&'static str),
    /// Something else.
    Other,
}

/// The keys that were given out. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct ClientKeys {
    keys: Arc<ArcSwap<HashMap<[u8; 32], Arc<IssuedKey>>>>,
}

impl ClientKeys {
    /// Those that the database holds.
    pub async fn stored(store: &Store) -> Result<Self, StoreError> {
        let keys = Self::default();
        keys.take(store).await?;
        Ok(keys)
    }

    /// Takes over what the database holds now.
    pub async fn take(&self, store: &Store) -> Result<(), StoreError> {
        let stored = store.client_keys().await?;
        self.keys.store(Arc::new(stored.into_iter().map(issued).collect()));
        Ok(())
    }

    /// These.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(stored: impl IntoIterator<Item = StoredClientKey>) -> Self {
        let keys = Self::default();
        keys.keys.store(Arc::new(stored.into_iter().map(issued).collect()));
        keys
    }

    /// Until `stop`: takes over what the database holds whenever `number` says that it was changed.
    pub async fn follow(self, mut number: watch::Receiver<u64>, store: Store, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(number.changed()).await {
            while let Err(error) = self.take(&store).await {
                tracing::warn!(%error, "the keys of clients cannot be read; trying again");
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
        }
    }

    /// What this text is.
    pub fn find(&self, brought: &[u8], now: Timestamp) -> Known {
        if !brought.starts_with(PREFIX.as_bytes()) {
            return Known::Other;
        }
        match self.keys.load().get(blake3::hash(brought).as_bytes()) {
            None => Known::Ended("the gateway does not know this key of its own"),
            Some(key) if key.revoked => Known::Ended("this gateway key has been revoked"),
            Some(key) if key.expires_at.is_some_and(|end| end <= now) => Known::Ended("this gateway key has expired"),
            Some(key) => Known::Key(Arc::clone(key)),
        }
    }

    /// Some key was given out and has not been revoked.
    pub fn any_holds(&self) -> bool {
        self.keys.load().values().any(|key| !key.revoked)
    }

    /// Some key was ever given out. Revoking the last one opens nothing.
    pub fn any(&self) -> bool {
        !self.keys.load().is_empty()
    }
}

/// Whether a key stands anywhere in a text, one that holds or not; a token of the admin side's counts as one.
pub(crate) fn stands_in(text: &[u8]) -> bool {
    if text.len() < PREFIX.len() + DIGITS {
        return false;
    }
    if crate::admin_access::tokens::stand_in(text) {
        return true;
    }
    let finder = memmem::Finder::new(PREFIX);
    finder.find_iter(text).any(|at| {
        let digits = text[at + PREFIX.len()..].iter().take_while(|byte| byte.is_ascii_hexdigit());
        digits.count() >= DIGITS
    })
}

fn issued(stored: StoredClientKey) -> ([u8; 32], Arc<IssuedKey>) {
    // What this version does not know of limits it cannot keep: such a key waits for one that does.
    let limits = serde_json::from_value(stored.limits);
    let key = IssuedKey {
        id: stored.id,
        caller: stored.caller,
        revoked: stored.revoked.is_some() || limits.is_err(),
        limits: limits.unwrap_or_default(),
        expires_at: stored.expires_at,
    };
    (stored.hash, Arc::new(key))
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) limits: KeyLimits,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) by: String,
}

impl NewKey {
    /// Makes the key, and says how it is to be kept. `identity` gives by what callers are known.
    pub(crate) fn make(
        self,
        id: Uuid,
        at: Timestamp,
        identity: &[u8; 32],
    ) -> Result<(SecretString, StoredClientKey), getrandom::Error> {
        let mut random = [0; DIGITS / 2];
        getrandom::fill(&mut random)?;
        let key = random.iter().fold(PREFIX.to_owned(), |key, byte| format!("{key}{byte:02x}"));
        let stored = StoredClientKey {
            id,
            hash: *blake3::hash(key.as_bytes()).as_bytes(),
            caller: identity_of(identity, key.as_bytes()),
            start: key.chars().take(SHOWN).collect(),
            name: self.name,
            limits: serde_json::to_value(self.limits).unwrap_or_default(),
            created_at: at,
            created_by: self.by,
            expires_at: self.expires_at,
            revoked: None,
        };
        Ok((key.into(), stored))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn keys(stored: impl IntoIterator<Item = StoredClientKey>) -> ClientKeys {
        ClientKeys::of(stored)
    }

    /// One that was given out, revoked or not.
    pub(crate) fn one(revoked: bool) -> ClientKeys {
        keys([StoredClientKey { revoked: revoked.then(|| (at(5), "bob".into())), ..key(None).1 }])
    }

    fn key(expires_at: Option<Timestamp>) -> (SecretString, StoredClientKey) {
        let limits = KeyLimits { requests_per_minute: Some(60), ..KeyLimits::default() };
        let new = NewKey { name: "laptop".into(), limits, expires_at, by: "ada".into() };
        new.make(Uuid::from_u128(1), at(1), &[7; 32]).unwrap()
    }

    #[test]
    fn a_key_holds_until_it_expires_or_is_revoked() {
        let (secret, stored) = key(Some(at(100)));
        let secret = secret.expose_secret().as_bytes();
        let known = keys([stored.clone()]);
        let Known::Key(found) = known.find(secret, at(99)) else { panic!("not found") };
        assert_eq!((found.id, found.limits.requests_per_minute), (stored.id, Some(60)));
        assert_eq!(known.find(secret, at(100)), Known::Ended("this gateway key has expired"));
        assert_eq!(known.find(b"lth-00", at(1)), Known::Ended("the gateway does not know this key of its own"));
        assert_eq!(known.find(b"sk-ant-1", at(1)), Known::Other);
        let revoked = keys([StoredClientKey { revoked: Some((at(5), "bob".into())), ..stored }]);
        assert_eq!(revoked.find(secret, at(6)), Known::Ended("this gateway key has been revoked"));
        assert!(known.any() && revoked.any() && !keys([]).any());
    }

    #[test]
    fn what_is_kept_does_not_give_the_key() {
        let (secret, stored) = key(None);
        let (secret, kept) = (secret.expose_secret(), format!("{stored:?}"));
        assert_eq!(secret.len(), PREFIX.len() + DIGITS);
        assert!(!kept.contains(secret) && secret.starts_with(&stored.start));
        assert_ne!(key(None).0.expose_secret(), secret);
    }

    #[test]
    fn a_key_with_limits_of_another_version_does_not_hold() {
        let (secret, stored) = key(None);
        let newer = StoredClientKey { limits: serde_json::json!({"dollars": 5}), ..stored };
        assert_eq!(
            keys([newer]).find(secret.expose_secret().as_bytes(), at(1)),
            Known::Ended("this gateway key has been revoked")
        );
    }

    #[test]
    fn keys_are_found_within_texts() {
        let secret = key(None).0.expose_secret().to_owned();
        assert!(stands_in(format!("Bearer {secret}").as_bytes()));
        assert!(stands_in(format!("lth-x;{secret},").as_bytes()));
        assert!(!stands_in(b"health-check lth-abc"));
    }
}
