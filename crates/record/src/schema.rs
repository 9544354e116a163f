//! The schema of a record: how it stands, and bringing it up to date apart from a start.

use crate::database::{Database, DatabaseOptions, SchemaStatus};
use crate::recorder::OpenError;

/// How the schema of the record at `url` stands; `None` if there is no such file yet.
pub async fn status(url: &str, options: DatabaseOptions) -> Result<Option<SchemaStatus>, OpenError> {
    let database = Database::parse(url, options)?;
    if database.path().is_some_and(|file| !file.is_file()) {
        return Ok(None);
    }
    database.status().await.map(Some)
}

/// Applies what is pending, and gives how the schema stands then. The database is made if it is missing.
pub async fn up(url: &str, options: DatabaseOptions) -> Result<SchemaStatus, OpenError> {
    let database = Database::parse(url, DatabaseOptions { migrate: true, ..options })?;
    // What cannot be closed is closed by the other side.
    let _ = database.connect(true).await?.close().await;
    database.status().await
}

#[cfg(test)]
mod tests;
