//! Settings that were set while running.

use jiff::Timestamp;

use super::{Store, StoreError, Topic};
use crate::sql;

/// A setting as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSetting {
    /// Its name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

impl Store {
    /// All that were set, by name.
    pub async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        let rows = sql::settings::all(&mut connection.sql()).await?;
        let setting = |(name, value, set_at, set_by)| StoredSetting { name, value, set_at, set_by };
        Ok(rows.into_iter().map(setting).collect())
    }

    /// Sets one, in place of what it was.
    pub async fn set_setting(&self, setting: &StoredSetting) -> Result<(), StoreError> {
        self.set_settings(std::slice::from_ref(setting)).await
    }

    /// Sets several, all or none.
    pub async fn set_settings(&self, settings: &[StoredSetting]) -> Result<(), StoreError> {
        let mut work = self.change(Topic::Settings).await?;
        for StoredSetting { name, value, set_at, set_by } in settings {
            sql::settings::set(&mut work.sql(), name, value, *set_at, set_by).await?;
        }
        Ok(work.commit().await?)
    }

    /// Forgets one. `false`: it was not set.
    pub async fn forget_setting(&self, name: &str) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::Settings).await?;
        let was_there = sql::settings::forget(&mut work.sql(), name).await?;
        work.commit().await?;
        Ok(was_there)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    #[rstest]
    #[tokio::test]
    async fn a_setting_is_set_changed_and_forgotten(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let setting = |value: &str, at| StoredSetting {
            name: "rate_limit_rpm".into(),
            value: value.into(),
            set_at: second(at),
            set_by: "ada".into(),
        };
        store.set_setting(&setting("60", 1)).await.unwrap();
        store.set_setting(&setting("90", 2)).await.unwrap();
        assert_eq!(store.settings().await.unwrap(), [setting("90", 2)]);
        assert!(store.forget_setting("rate_limit_rpm").await.unwrap());
        assert!(!store.forget_setting("rate_limit_rpm").await.unwrap());
        assert_eq!(store.settings().await.unwrap(), []);
    }
}
