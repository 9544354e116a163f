//! The names that people give to users, whom the record knows by ids.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Store, StoreError};
use crate::sql::labels;

impl Store {
    /// The ids of the users that sessions have, sorted: at most `limit` after `offset`.
    pub async fn users(&self, limit: u32, offset: u32) -> Result<Vec<String>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(labels::users(&mut connection.sql(), limit, offset).await?)
    }

    /// All names, by user.
    pub async fn labels(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(labels::all(&mut connection.sql()).await?)
    }

    /// The names of these users, of those that have one.
    pub async fn labels_of(&self, users: &[String]) -> Result<BTreeMap<String, String>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        Ok(labels::of(&mut connection.sql(), users).await?)
    }

    /// Gives a user a name, in place of the one it had.
    pub async fn set_label(&self, user: &str, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut work = self.editor.begin().await?;
        labels::set(&mut work.sql(), user, name, at).await?;
        Ok(work.commit().await?)
    }

    /// Takes a user's name away, if it has one.
    pub async fn remove_label(&self, user: &str) -> Result<(), StoreError> {
        let mut work = self.editor.begin().await?;
        labels::remove(&mut work.sql(), user).await?;
        Ok(work.commit().await?)
    }
}
