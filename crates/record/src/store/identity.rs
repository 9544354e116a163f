//! By which key callers are known in this record.

use super::{Store, StoreError};
use crate::sql;

impl Store {
    /// Notes the fingerprint of the key by which a gateway that starts now knows its callers. `true`: the one before it had another key.
    pub async fn note_identity(&self, fingerprint: &str) -> Result<bool, StoreError> {
        let mut work = self.editor.begin().await?;
        let before = sql::state::identity(&mut work.sql()).await?;
        if before.as_deref() == Some(fingerprint) {
            return Ok(false);
        }
        sql::state::set_identity(&mut work.sql(), fingerprint).await?;
        work.commit().await?;
        Ok(before.is_some())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::testing::{Db, recorder_on};

    #[rstest]
    #[tokio::test]
    async fn another_key_than_before_is_noticed_once(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let mut noticed = Vec::new();
        for fingerprint in ["a", "a", "b", "b", "a"] {
            noticed.push(store.note_identity(fingerprint).await.unwrap());
        }
        assert_eq!(noticed, [false, false, true, false, true]);
    }
}
