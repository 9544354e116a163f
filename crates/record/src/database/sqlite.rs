//! SQLite: one file, one writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};

use super::{DatabaseOptions, migrations};
use crate::private::private;
use crate::recorder::OpenError;

/// How long the writer waits for another process's lock before it turns to the journal.
const WRITER_WAITS: Duration = Duration::from_secs(1);

/// How long queries and rare writes wait for a lock.
const OTHERS_WAIT: Duration = Duration::from_secs(5);

/// A database file.
#[derive(Clone, Debug)]
pub(super) struct File {
    url: String,
    path: PathBuf,
    options: DatabaseOptions,
}

impl File {
    /// Reads a `sqlite://path` URL (`sqlite:path` too; what follows a `?` is not taken).
    pub(super) fn parse(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        let path = path.map(|path| path.split('?').next().unwrap_or_default());
        match path {
            Some(path) if !path.is_empty() && path != ":memory:" => {
                Ok(Self { url: url.into(), path: path.into(), options })
            }
            _ => Err(OpenError::UnknownDatabase(url.into())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn connect_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(OTHERS_WAIT)
            // Statements of a hundred rows are no use in a log.
            .disable_statement_logging()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn connect(&self, create: bool, migrate: bool) -> Result<SqliteConnection, OpenError> {
        let mut connection = self.open(create).await?;
        self.refuse_older(&mut connection).await?;
        migrations::of_sqlite(&mut connection, &self.url, migrate).await?;
        // Statements of many rows keep the pages they change, in case they fail: from here on in memory. Migrations may sort more
        // than fits there.
        let failed = |source| OpenError::Database { url: self.url.clone(), source };
        sqlx::query("PRAGMA temp_store = memory").execute(&mut connection).await.map_err(failed)?;
        Ok(connection)
    }

    /// Whether the file can be a record's: not where it is an older proxy's.
    pub(super) async fn check(&self) -> Result<(), OpenError> {
        let mut connection = self.open(false).await?;
        let checked = self.refuse_older(&mut connection).await;
        // What cannot be closed is closed with the process.
        let _ = connection.close().await;
        checked
    }

    /// Refuses an older proxy's file: some of its tables have the names of ours.
    async fn refuse_older(&self, connection: &mut SqliteConnection) -> Result<(), OpenError> {
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table'";
        let tables: Vec<String> = sqlx::query_scalar(tables)
            .fetch_all(connection)
            .await
            .map_err(|source| OpenError::Database { url: self.url.clone(), source })?;
        let has = |name: &str| tables.iter().any(|table| table == name);
        if has("_sqlx_migrations") || !super::OLDER.into_iter().any(has) {
            return Ok(());
        }
        let path = self.path.display();
        let why = format!(
            "it is the database of an older proxy; give the gateway one of its own (without DATABASE_URL it is luthien.db in the data folder), and take over what was recorded by `luthien import luthien-proxy {path}`"
        );
        Err(OpenError::Schema { url: self.url.clone(), why })
    }

    /// The same, whatever the schema.
    pub(super) async fn open(&self, create: bool) -> Result<SqliteConnection, OpenError> {
        // A larger write-ahead log means fewer checkpoints under load; hashes land all over their indexes, so those should fit in memory.
        if create {
            // SQLite gives its other files the mode of this one. What is wrong with it SQLite says better.
            let _ = private().create(true).append(true).open(&self.path);
        }
        let options = self
            .connect_options()
            .create_if_missing(create)
            .busy_timeout(WRITER_WAITS)
            .pragma("wal_autocheckpoint", "8000")
            .pragma("cache_size", "-32000")
            // What a statement gives is handed over without a change of threads for each row.
            .row_buffer_size(1024);
        let failed = |source| OpenError::Database { url: self.url.clone(), source };
        SqliteConnection::connect_with(&options).await.map_err(failed)
    }

    pub(super) fn readers(&self) -> SqlitePool {
        self.reading(self.options.pool_size)
    }

    pub(super) fn follower(&self) -> SqlitePool {
        self.reading(1)
    }

    fn reading(&self, most: u32) -> SqlitePool {
        let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(self.options.connect_timeout);
        pool.connect_lazy_with(self.connect_options().pragma("query_only", "1"))
    }

    pub(super) fn editor(&self) -> SqlitePool {
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(self.options.connect_timeout);
        // What it deletes is overwritten: somebody may have asked for that.
        pool.connect_lazy_with(self.connect_options().pragma("secure_delete", "1"))
    }
}

/// Tells a file from others.
pub(crate) type FileIdentity = (u64, u64);

/// Which file is at `path`, so that a file put in its place is noticed; `None` if there is none.
#[cfg(unix)]
pub(crate) fn file_identity(path: &Path) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Which file is at `path`; `None` if there is none.
#[cfg(not(unix))]
pub(crate) fn file_identity(path: &Path) -> Option<FileIdentity> {
    std::fs::metadata(path).ok().map(|_| (0, 0))
}
