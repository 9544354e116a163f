//! What an operator allows particular keys, sessions and users to use.

use jiff::Timestamp;
use serde_json::Value;

use super::{Store, StoreError, Topic, damaged};
use crate::sql;

/// What one may use, as it was set.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCaps {
    /// `key`, `session` or `user`.
    pub scope: String,
    /// Which one.
    pub id: String,
    /// What it may use; an object.
    pub caps: Value,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

impl Store {
    /// All that were set, by scope and id.
    pub async fn caps(&self) -> Result<Vec<StoredCaps>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        let rows = sql::caps::all(&mut connection.sql()).await?;
        let read = |(scope, id, caps, set_at, set_by): sql::caps::CapsRow| {
            let caps =
                serde_json::from_str(&caps).map_err(|error| damaged(&format!("the caps of {scope} {id}"), error))?;
            Ok(StoredCaps { scope, id, caps, set_at, set_by })
        };
        rows.into_iter().map(read).collect()
    }

    /// Sets what one may use, in place of what it was.
    pub async fn set_caps(&self, caps: &StoredCaps) -> Result<(), StoreError> {
        let StoredCaps { scope, id, caps, set_at, set_by } = caps.clone();
        let mut work = self.change(Topic::Caps).await?;
        sql::caps::set(&mut work.sql(), (scope, id, caps.to_string(), set_at, set_by)).await?;
        Ok(work.commit().await?)
    }

    /// Forgets what one may use. `false`: it was not set.
    pub async fn forget_caps(&self, scope: &str, id: &str) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::Caps).await?;
        let was_there = sql::caps::forget(&mut work.sql(), scope, id).await?;
        work.commit().await?;
        Ok(was_there)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    #[rstest]
    #[tokio::test]
    async fn caps_are_set_changed_and_forgotten(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let caps = |tokens: u64, at| StoredCaps {
            scope: "user".into(),
            id: "ada".into(),
            caps: json!({"tokens_per_day": tokens}),
            set_at: second(at),
            set_by: "bob".into(),
        };
        store.set_caps(&caps(5, 1)).await.unwrap();
        store.set_caps(&caps(7, 2)).await.unwrap();
        assert_eq!(store.caps().await.unwrap(), [caps(7, 2)]);
        assert_eq!(store.revisions().await.unwrap().of(Topic::Caps), 2);
        assert!(!store.forget_caps("key", "ada").await.unwrap());
        assert!(store.forget_caps("user", "ada").await.unwrap());
        assert_eq!(store.caps().await.unwrap(), []);
    }
}
