//! Looks whether a record can be used: its database answers, has the right schema, can be written and is whole.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::database::{Database, DatabaseOptions, SchemaStatus};
use crate::recorder::OpenError;
use crate::sql;

/// How a record's database fares.
#[derive(Debug)]
pub struct Checkup {
    /// Its URL, without a password.
    pub database: String,
    /// How long it took to connect.
    pub connected: Duration,
    /// How long one answer took.
    pub latency: Duration,
    /// The server's clock; none where there is no server.
    pub clock: Option<Timestamp>,
    /// How its schema stands.
    pub schema: SchemaStatus,
    /// Why it cannot be written, if it cannot. Not looked at where the schema cannot be used.
    pub writable: Result<(), String>,
    /// What is damaged in the file.
    pub damages: Vec<String>,
    /// How the file keeps its changes, `wal` where all is well; none where there is no file.
    pub journal_mode: Option<String>,
}

/// Looks at the database at `url`; `None` if there is no such file yet. Changes nothing in it. With `whole`, a file is read from
/// beginning to end.
pub async fn look(url: &str, options: DatabaseOptions, whole: bool) -> Result<Option<Checkup>, OpenError> {
    let database = Database::parse(url, options)?;
    if database.path().is_some_and(|file| !file.is_file()) {
        return Ok(None);
    }
    database.check().await?;
    let schema = database.status().await?;
    let began = Instant::now();
    let mut connection = database.connect_bare().await?;
    let connected = began.elapsed();
    let looked = async {
        let mut sql = connection.sql();
        let began = Instant::now();
        sql::checkup::ping(&mut sql).await?;
        let latency = began.elapsed();
        let clock = sql::checkup::clock(&mut sql).await?;
        let usable = schema.refused.is_none() && !schema.pending();
        let written = if usable { sql::checkup::write_nothing(&mut sql).await } else { Ok(()) };
        let damages = if whole { sql::checkup::damages(&mut sql).await? } else { Vec::new() };
        let journal_mode = sql::checkup::journal_mode(&mut sql).await?;
        Ok((latency, clock, written, damages, journal_mode))
    };
    let looked: Result<_, sqlx::Error> = looked.await;
    // What cannot be closed is closed by the other side.
    let _ = connection.close().await;
    let failed = |source| OpenError::Database { url: database.shown(), source };
    let (latency, clock, written, damages, journal_mode) = looked.map_err(failed)?;
    Ok(Some(Checkup {
        database: database.shown(),
        connected,
        latency,
        clock: clock.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        schema,
        writable: written.map_err(|error| error.to_string()),
        damages,
        journal_mode,
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Db, Home};

    #[rstest]
    #[case(Db::Sqlite)]
    #[case(Db::Postgres)]
    #[tokio::test]
    async fn a_record_that_can_be_used_is_found_so(#[case] db: Db) {
        let server = matches!(db, Db::Postgres);
        let home = Home::new(db);
        let config = home.config();
        let options = DatabaseOptions::default();
        crate::schema::up(&config.database, options).await.unwrap();
        let found = look(&config.database, options, true).await.unwrap().unwrap();
        assert_eq!((&found.writable, found.damages.len(), found.schema.pending()), (&Ok(()), 0, false));
        assert_eq!((found.clock.is_some(), found.journal_mode.is_none()), (server, server));
        assert!(!found.database.contains("password"), "{}", found.database);
    }

    #[tokio::test]
    async fn a_damaged_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("luthien.db");
        let url = format!("sqlite://{}", file.display());
        let options = DatabaseOptions::default();
        assert!(look(&url, options, true).await.unwrap().is_none());
        crate::schema::up(&url, options).await.unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let half = bytes.len() / 2;
        bytes[half..].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        let told = match look(&url, options, true).await {
            Ok(found) => found.unwrap().damages.join("; "),
            Err(error) => error.to_string(),
        };
        assert!(told.contains("malformed") || told.contains("page") || told.contains("btree"), "{told}");
    }
}
