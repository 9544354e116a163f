//! The record in SQLite: how the file is opened, and which schema it must have. All SQL is in the modules below.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection, SqliteConnection, SqlitePool};

use crate::private::private;
use crate::recorder::OpenError;

pub(crate) mod assignments;
pub(crate) mod bodies;
pub(crate) mod calls;
mod insert;
pub(crate) mod panics;
pub(crate) mod policies;
pub(crate) mod sessions;
pub(crate) mod transactions;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long the writer waits for another process's lock before it turns to the journal.
const WRITER_WAITS: Duration = Duration::from_secs(1);

/// How long queries and rare writes wait for a lock.
const OTHERS_WAIT: Duration = Duration::from_secs(5);

/// Connections for queries.
const READERS: u32 = 4;

/// Where the database is.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    url: String,
    path: PathBuf,
}

impl Database {
    /// Reads a `sqlite://path` URL (`sqlite:path` too; what follows a `?` is not taken).
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        let path = path.map(|path| path.split('?').next().unwrap_or_default());
        match path {
            Some(path) if !path.is_empty() && path != ":memory:" => Ok(Self { url: url.into(), path: path.into() }),
            _ => Err(OpenError::UnknownDatabase(url.into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(OTHERS_WAIT)
            // Statements of a hundred rows are no use in a log.
            .disable_statement_logging()
    }

    /// A connection for the writer, migrated. `create`: make the file if it is missing.
    pub(crate) async fn connect(&self, create: bool) -> Result<SqliteConnection, OpenError> {
        // A larger write-ahead log means fewer checkpoints under load; hashes land all over their indexes, so those should fit in memory.
        if create {
            // SQLite gives its other files the mode of this one. What is wrong with it SQLite says better.
            let _ = private().create(true).append(true).open(&self.path);
        }
        let options = self
            .options()
            .create_if_missing(create)
            .busy_timeout(WRITER_WAITS)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("cache_size", "-8000");
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(|source| self.failed(source))?;
        MIGRATIONS.run(&mut connection).await.map_err(|error| self.schema(error))?;
        Ok(connection)
    }

    /// Connections for queries.
    pub(crate) fn readers(&self) -> SqlitePool {
        let pool = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(OTHERS_WAIT * 2);
        pool.connect_lazy_with(self.options().pragma("query_only", "1"))
    }

    /// A connection for what people write.
    pub(crate) fn editor(&self) -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).acquire_timeout(OTHERS_WAIT * 2).connect_lazy_with(self.options())
    }

    fn failed(&self, source: sqlx::Error) -> OpenError {
        OpenError::Database { url: self.url.clone(), source }
    }

    fn schema(&self, error: MigrateError) -> OpenError {
        let why = match error {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => return self.failed(source),
            MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => format!(
                "its schema (migration {version}) is newer than this version of luthien; start the newer version, or restore a backup from before the update"
            ),
            MigrateError::VersionMismatch(version) => format!(
                "migration {version} was applied to it in another form than this version has; start the version that made it, restore a backup, or move the file away to begin a new record"
            ),
            MigrateError::Dirty(version) => {
                format!(
                    "migration {version} was not completed; restore a backup, or move the file away to begin a new record"
                )
            }
            other => format!("{other}; restore a backup, or move the file away to begin a new record"),
        };
        OpenError::Schema { url: self.url.clone(), why }
    }
}

/// Which file is at `path`, so that a file put in its place is noticed; `None` if there is none.
#[cfg(unix)]
pub(crate) fn file_identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Which file is at `path`; `None` if there is none.
#[cfg(not(unix))]
pub(crate) fn file_identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|_| (0, 0))
}

#[cfg(test)]
mod tests;
