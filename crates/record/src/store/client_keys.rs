//! Keys that the gateway gives to its clients: kept as hashes, and kept when they are revoked.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError, Topic, damaged};
use crate::sql;
use crate::sql::client_keys::ClientKeyRow;

/// A key, without the key itself.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredClientKey {
    /// Its id.
    pub id: Uuid,
    /// The BLAKE3 hash of the key.
    pub hash: [u8; 32],
    /// By which its sessions and assignments know it: its keyed hash.
    pub caller: [u8; 16],
    /// The key's first characters, for people.
    pub start: String,
    /// What it is called.
    pub name: String,
    /// What it may use; an object.
    pub limits: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, and by whom.
    pub revoked: Option<(Timestamp, String)>,
}

impl Store {
    /// All keys, the newest first.
    pub async fn client_keys(&self) -> Result<Vec<StoredClientKey>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        sql::client_keys::all(&mut connection.sql()).await?.into_iter().map(key).collect()
    }

    /// Keeps a key.
    pub async fn add_client_key(&self, key: &StoredClientKey) -> Result<(), StoreError> {
        let row = ClientKeyRow {
            id: key.id,
            hash: key.hash,
            caller: key.caller.to_vec(),
            start: key.start.clone(),
            name: key.name.clone(),
            limits: key.limits.to_string(),
            created_at: key.created_at,
            created_by: key.created_by.clone(),
            expires_at: key.expires_at,
            revoked: None,
        };
        let mut work = self.change(Topic::ClientKeys).await?;
        sql::client_keys::add(&mut work.sql(), row).await?;
        Ok(work.commit().await?)
    }

    /// Revokes a key. `false`: there is none of this id that is not revoked yet.
    pub async fn revoke_client_key(&self, id: Uuid, at: Timestamp, by: &str) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::ClientKeys).await?;
        let done = sql::client_keys::revoke(&mut work.sql(), id, at, by).await?;
        work.commit().await?;
        Ok(done)
    }
}

fn key(row: ClientKeyRow) -> Result<StoredClientKey, StoreError> {
    let what = format!("the client key {}", row.id);
    Ok(StoredClientKey {
        limits: serde_json::from_str(&row.limits).map_err(|error| damaged(&what, error))?,
        caller: row.caller.try_into().map_err(|_| damaged(&what, "its caller is none"))?,
        id: row.id,
        hash: row.hash,
        start: row.start,
        name: row.name,
        created_at: row.created_at,
        created_by: row.created_by,
        expires_at: row.expires_at,
        revoked: row.revoked,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    #[rstest]
    #[tokio::test]
    async fn a_key_is_kept_and_revoked_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let key = StoredClientKey {
            id: Uuid::from_u128(5),
            hash: [3; 32],
            caller: [4; 16],
            start: "lth-abcd".into(),
            name: "ada's laptop".into(),
            limits: json!({"requests_per_minute": 60}),
            created_at: second(1),
            created_by: "ada".into(),
            expires_at: Some(second(100)),
            revoked: None,
        };
        store.add_client_key(&key).await.unwrap();
        assert_eq!(store.client_keys().await.unwrap(), std::slice::from_ref(&key));
        assert!(store.revoke_client_key(key.id, second(5), "bob").await.unwrap());
        assert!(!store.revoke_client_key(key.id, second(6), "eve").await.unwrap());
        assert!(!store.revoke_client_key(Uuid::from_u128(6), second(6), "eve").await.unwrap());
        let revoked = StoredClientKey { revoked: Some((second(5), "bob".into())), ..key };
        assert_eq!(store.client_keys().await.unwrap(), [revoked]);
    }
}
