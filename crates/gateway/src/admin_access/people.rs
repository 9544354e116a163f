//! The people who may use the admin side, as requests need them: in memory, known by their token's hash.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPerson};
use uuid::Uuid;

use crate::admin::Role;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// Of their token.
    pub(crate) hash: [u8; 32],
    expires_at: Option<Timestamp>,
}

impl Person {
    /// Their token counts now.
    fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct People {
    by_hash: ArcSwap<HashMap<[u8; 32], Arc<Person>>>,
}

impl People {
    /// Takes over what the database holds now.
    pub(super) async fn take(&self, store: &Store) -> Result<(), StoreError> {
        let people = store.people().await?;
        self.by_hash.store(Arc::new(people.into_iter().filter_map(person).collect()));
        Ok(())
    }

    /// Whose token has this hash, where it counts.
    pub(super) fn with_token(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<Person>> {
        self.by_hash.load().get(hash).filter(|person| person.holds(now)).cloned()
    }

    /// The person of this id, where their token counts.
    pub(super) fn of(&self, id: Uuid, now: Timestamp) -> Option<Arc<Person>> {
        self.by_hash.load().values().find(|person| person.id == id && person.holds(now)).cloned()
    }
}

fn person(stored: StoredPerson) -> Option<([u8; 32], Arc<Person>)> {
    let Some(role) = Role::from_name(&stored.role) else {
        // A newer version knows it; what it allows is not known here.
        tracing::warn!(name = %stored.name, role = %stored.role, "a person has a role that this version does not know, and gets in nowhere");
        return None;
    };
    let StoredPerson { id, name, hash, expires_at, .. } = stored;
    Some((hash, Arc::new(Person { id, name: name.into(), role, hash, expires_at })))
}
