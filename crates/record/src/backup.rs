//! Backup and restore: the whole record in one file of our own, the same for both databases, so that it also moves from one to the
//! other.
//!
//! A backup is read in one snapshot, also while a gateway records. Only the index of words is of another form on each database: it is
//! restored as it was to the same kind and made anew on the other.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::database::{Database, DatabaseOptions};
use crate::private::private;
use crate::recorder::OpenError;
use crate::sql::{Kind, Query, Sql};
use crate::store::StoreError;

mod cell;
mod file;
mod pages;
mod restore;
mod tables;

pub use file::{Contained, Header, KeyFile};
pub use restore::{Restored, restore};

use cell::Cell;
use file::Writing;
use pages::Pages;

/// The key files' place among the rows: before the tables, a name and its bytes each.
const KEY_CELLS: usize = 2;

/// How long one statement may take: a large table is counted, or a large record's schema changed.
const STATEMENT: Duration = Duration::from_hours(1);

/// The options for that.
fn patient(options: DatabaseOptions) -> DatabaseOptions {
    DatabaseOptions { query_timeout: options.query_timeout.max(STATEMENT), ..options }
}

/// Why a backup could not be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no backup.
    #[error("`{}` is no backup of luthien", .0.display())]
    NoBackup(PathBuf),
    /// It is a backup in a form of a newer version.
    #[error("`{}` was made by a newer version of luthien; restore it with that one", .0.display())]
    NewerForm(PathBuf),
    /// It is not whole.
    #[error("`{}` is cut off or was changed: its checksum does not fit; nothing was restored, use another copy", .0.display())]
    Damaged(PathBuf),
    /// It has a newer schema.
    #[error(
        "the backup is of schema {found} (luthien {version}) and this version knows schemas up to {known}; restore it with that version or a later one"
    )]
    Newer {
        /// The backup's newest migration.
        found: i64,
        /// Ours.
        known: i64,
        /// The version that made it.
        version: String,
    },
    /// There is no record to back up.
    #[error("there is no record at `{0}` yet")]
    NoRecord(String),
    /// The record there is not empty.
    #[error("the record at `{0}` is not empty: --replace restores in its place and keeps it beside")]
    NotEmpty(String),
    /// Others use the database.
    #[error("{0} connections of luthien are open to the database: stop the gateways that use it, then restore")]
    InUse(i64),
    /// What the backup holds does not fit.
    #[error("the backup does not fit this version: {0}; nothing was restored")]
    Unfit(String),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// What was restored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a backup is of.
#[derive(Clone, Debug)]
pub struct About {
    /// The version of luthien.
    pub version: String,
    /// The time.
    pub now: Timestamp,
    /// Key files to put in.
    pub keys: Vec<KeyFile>,
}

/// Writes a backup of the record at `url` into a new file at `path`, readable by its owner alone. `told` gets how many rows of
/// how many are written.
pub async fn backup(
    url: &str,
    options: DatabaseOptions,
    path: &std::path::Path,
    about: About,
    mut told: impl FnMut(u64, u64),
) -> Result<Header, BackupError> {
    let database = Database::parse(url, patient(options))?;
    if database.path().is_some_and(|file| !file.is_file()) {
        return Err(BackupError::NoRecord(database.shown()));
    }
    let pool = database.readers();
    let mut connection = pool.acquire().await?;
    let mut sql = connection.sql();
    sql.run(Query::new(match sql.kind() {
        Kind::Sqlite => "BEGIN",
        Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }))
    .await?;
    let written = write(&mut sql, path, about, &database, &mut told).await;
    // It was only read.
    let _ = sql.run(Query::new("ROLLBACK")).await;
    drop(connection);
    pool.close().await;
    if written.is_err() {
        let _ = std::fs::remove_file(partial(path));
    }
    written
}

async fn write(
    sql: &mut Sql<'_>,
    path: &std::path::Path,
    about: About,
    database: &Database,
    told: &mut impl FnMut(u64, u64),
) -> Result<Header, BackupError> {
    let failed = |source| BackupError::File { path: path.into(), source };
    let migration = newest(sql).await?.ok_or_else(|| BackupError::NoRecord(database.shown()))?;
    let tables = tables::tables(sql).await?;
    let mut contained = Vec::new();
    for table in &tables {
        let rows = sql.number(Query::new(format!("SELECT COUNT(*) FROM {}", table.name))).await?;
        let columns = table.columns.iter().map(|column| column.name.clone()).collect();
        contained.push(Contained { name: table.name.clone(), columns, rows: rows.unsigned_abs() });
    }
    let header = Header {
        version: about.version,
        migration,
        made_at: about.now,
        database: name(sql.kind()).into(),
        tables: contained,
        keys: about.keys.iter().map(|key| key.name.clone()).collect(),
    };
    let whole: u64 = header.tables.iter().map(|table| table.rows).sum();
    let mut written = 0;
    // Under its name only when it is whole.
    let partial = partial(path);
    let mut out = Writing::new(create(&partial)?, &header).map_err(failed)?;
    for key in about.keys {
        out.row(&[Cell::Text(key.name), Cell::Bytes(key.bytes)]).map_err(failed)?;
    }
    for table in &tables {
        let mut pages = Pages::new(sql, table).await?;
        loop {
            let rows = pages.next(sql).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                out.row(row).map_err(failed)?;
            }
            written += rows.len() as u64;
            told(written, whole);
        }
    }
    out.finish().map_err(failed)?;
    std::fs::hard_link(&partial, path)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Err(error),
            // Not every file system has hard links.
            _ => std::fs::rename(&partial, path),
        })
        .map_err(failed)?;
    let _ = std::fs::remove_file(&partial);
    Ok(header)
}

/// The newest migration of the schema; `None` where there is none.
async fn newest(sql: &mut Sql<'_>) -> Result<Option<i64>, sqlx::Error> {
    let there = Query::new(match sql.kind() {
        Kind::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Kind::Postgres => {
            "SELECT COUNT(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = current_schema()"
        }
    });
    if sql.number(there).await? == 0 {
        return Ok(None);
    }
    sql.one(Query::new("SELECT MAX(version) FROM _sqlx_migrations")).await?.map_or(Ok(None), |row| row.get(0))
}

/// What a backup calls the database that it comes from.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    }
}

fn partial(path: &std::path::Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn create(path: &std::path::Path) -> Result<File, BackupError> {
    let _ = std::fs::remove_file(path);
    private().create_new(true).write(true).open(path).map_err(|source| BackupError::File { path: path.into(), source })
}

#[cfg(test)]
mod tests;
