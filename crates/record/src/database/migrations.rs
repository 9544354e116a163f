//! The schema's migrations: applied in order, each remembered with its hash.
//!
//! From migration 8 on they only add, so that older gateways go on beside a database that a newer one has brought up to date. The database says
//! which migration a version must at least know to start on it (`record_state.min_migration`); one that older versions cannot
//! live with raises that number.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{PgConnection, SqliteConnection};

use crate::recorder::OpenError;
use crate::sql::{Kind, Query, Sql};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a look at the schema may take on PostgreSQL.
const LOOK: std::time::Duration = std::time::Duration::from_secs(30);

/// How a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Applied as this version has it.
    Applied,
    /// Still to be applied.
    Pending,
    /// Applied in another form than this version has.
    Changed,
    /// Begun and not completed.
    Incomplete,
    /// Applied, older than this version's newest, and not known to it: by a version that is not an earlier one of this.
    Missing,
    /// Applied by a newer version.
    Newer,
}

/// A migration of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When it was applied, where it was.
    pub applied_at: Option<Timestamp>,
    /// How it stands.
    pub standing: Standing,
}

/// How the schema stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// The database.
    pub database: String,
    /// All migrations, in order.
    pub migrations: Vec<MigrationStatus>,
    /// What a version must at least know to start on this database, where it says so.
    pub min_migration: Option<i64>,
    /// This version can start on it, once what is pending is applied; else why not.
    pub refused: Option<String>,
}

impl SchemaStatus {
    /// Something is still to be applied.
    pub fn pending(&self) -> bool {
        self.migrations.iter().any(|migration| migration.standing == Standing::Pending)
    }
}

/// An applied migration, as the database has it.
struct Applied {
    version: i64,
    name: String,
    at: Option<Timestamp>,
    done: bool,
    sum: Vec<u8>,
}

fn of(kind: Kind) -> &'static Migrator {
    match kind {
        Kind::Sqlite => &SQLITE,
        Kind::Postgres => &POSTGRES,
    }
}

/// The newest migration of this version.
pub(crate) fn newest(kind: Kind) -> i64 {
    of(kind).iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The tables that the migrations make on PostgreSQL, and their own.
pub(crate) fn tables() -> Vec<String> {
    let mut out = vec![POSTGRES.table_name.to_string()];
    for migration in POSTGRES.iter() {
        let made = migration.sql.as_str().split("CREATE TABLE ").skip(1);
        out.extend(made.filter_map(|rest| rest.split([' ', '(']).next()).map(str::to_owned));
    }
    out
}

/// How the schema stands.
pub(super) async fn status(sql: &mut Sql<'_>, database: String) -> Result<SchemaStatus, sqlx::Error> {
    let applied = applied(sql).await?;
    let min_migration = min_migration(sql).await?;
    let known = of(sql.kind());
    let newest = newest(sql.kind());
    let mut migrations: Vec<_> = known.iter().map(|migration| standing(migration, &applied)).collect();
    for other in applied.iter().filter(|applied| !known.version_exists(applied.version)) {
        let standing = if other.version > newest { Standing::Newer } else { Standing::Missing };
        let (version, name) = (other.version, other.name.clone());
        migrations.push(MigrationStatus { version, name, applied_at: other.at, standing });
    }
    migrations.sort_by_key(|migration| migration.version);
    let refused = migrations.iter().find_map(|migration| refusal(migration, newest, min_migration, sql.kind()));
    Ok(SchemaStatus { database, migrations, min_migration, refused })
}

fn standing(migration: &Migration, applied: &[Applied]) -> MigrationStatus {
    let found = applied.iter().find(|applied| applied.version == migration.version);
    let standing = match found {
        None => Standing::Pending,
        Some(applied) if !applied.done => Standing::Incomplete,
        Some(applied) if applied.sum != migration.checksum.as_ref() => Standing::Changed,
        Some(_) => Standing::Applied,
    };
    let (version, name) = (migration.version, migration.description.to_string());
    MigrationStatus { version, name, applied_at: found.and_then(|found| found.at), standing }
}

/// Why this version does not start on a database with this migration, and what to do.
fn refusal(migration: &MigrationStatus, newest: i64, min_migration: Option<i64>, kind: Kind) -> Option<String> {
    let version = migration.version;
    let anew = anew(kind);
    Some(match migration.standing {
        Standing::Applied | Standing::Pending => return None,
        Standing::Newer if min_migration.is_some_and(|min| min <= newest) => return None,
        Standing::Newer => match min_migration {
            Some(min) => format!(
                "its schema (migration {version}) is newer than this version of luthien, which knows {newest}, and is only for versions that know {min}; start the newer version, or restore a backup from before the update (`luthien restore FILE --replace`)"
            ),
            None => format!(
                "its schema (migration {version}) is newer than this version of luthien; start the newer version, or restore a backup from before the update (`luthien restore FILE --replace`)"
            ),
        },
        Standing::Missing => format!(
            "migration {version} ({}) was applied to it, which this version does not have; start the version that made it, or restore a backup (`luthien restore FILE --replace`)",
            migration.name
        ),
        Standing::Changed => format!(
            "migration {version} was applied to it in another form than this version has; start the version that made it, {anew}"
        ),
        Standing::Incomplete => format!("migration {version} was not completed; {anew}"),
    })
}

/// What to do where neither this version nor another can go on with the database.
fn anew(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => {
            "restore a backup (`luthien restore FILE --replace`), or move the file away to begin a new record"
        }
        Kind::Postgres => {
            "restore a backup (`luthien restore FILE --replace`), or name an empty database in DATABASE_URL to begin a new record"
        }
    }
}

/// What was applied; nothing where there is no schema yet.
async fn applied(sql: &mut Sql<'_>) -> Result<Vec<Applied>, sqlx::Error> {
    if !has(sql, "_sqlx_migrations", "version").await? {
        return Ok(Vec::new());
    }
    let at = match sql.kind() {
        Kind::Sqlite => "CAST(strftime('%s', installed_on) AS INTEGER)",
        Kind::Postgres => "CAST(EXTRACT(EPOCH FROM installed_on) AS BIGINT)",
    };
    let query = format!("SELECT version, description, {at}, success, checksum FROM _sqlx_migrations ORDER BY version");
    let read = |row: &crate::sql::Row| {
        let at: Option<i64> = row.get(2)?;
        Ok(Applied {
            version: row.get(0)?,
            name: row.get(1)?,
            at: at.and_then(|at| Timestamp::from_second(at).ok()),
            done: row.get(3)?,
            sum: row.get(4)?,
        })
    };
    sql.all(Query::new(query)).await?.iter().map(read).collect()
}

async fn min_migration(sql: &mut Sql<'_>) -> Result<Option<i64>, sqlx::Error> {
    if !has(sql, "record_state", "min_migration").await? {
        return Ok(None);
    }
    sql.one(Query::new("SELECT min_migration FROM record_state")).await?.map_or(Ok(None), |row| row.get(0))
}

/// Whether there is a table with this column.
async fn has(sql: &mut Sql<'_>, table: &str, column: &str) -> Result<bool, sqlx::Error> {
    let query = Query::new(match sql.kind() {
        Kind::Sqlite => "SELECT COUNT(*) FROM pragma_table_info(?) WHERE name = ?",
        Kind::Postgres => {
            "SELECT COUNT(*) FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = ? AND column_name = ?"
        }
    });
    Ok(sql.number(query.bind(table).bind(column)).await? > 0)
}

/// Brings a SQLite database up to date, or (without `migrate`) finds out whether it is.
pub(super) async fn of_sqlite(connection: &mut SqliteConnection, url: &str, migrate: bool) -> Result<(), OpenError> {
    check(&mut Sql::Sqlite(connection), url, migrate).await?;
    if !migrate {
        return Ok(());
    }
    tolerant(&SQLITE).run(connection).await.map_err(|error| refused(error, url, Kind::Sqlite))
}

/// The same for a PostgreSQL database. Gateways that start at once take turns.
pub(super) async fn of_postgres(connection: &mut PgConnection, url: &str, migrate: bool) -> Result<(), OpenError> {
    check(&mut Sql::Postgres(connection, LOOK), url, migrate).await?;
    if !migrate {
        return Ok(());
    }
    tolerant(&POSTGRES).run(connection).await.map_err(|error| refused(error, url, Kind::Postgres))
}

/// Brings a new SQLite database to the schema that it had with this migration.
pub(crate) async fn sqlite_to(connection: &mut SqliteConnection, url: &str, to: i64) -> Result<(), OpenError> {
    SQLITE.run_direct(Some(to), connection, false).await.map_err(|error| refused(error, url, Kind::Sqlite))
}

/// The same on PostgreSQL, also within a database transaction.
pub(crate) async fn postgres_to(connection: &mut PgConnection, url: &str, to: i64) -> Result<(), OpenError> {
    POSTGRES.run_direct(Some(to), connection, false).await.map_err(|error| refused(error, url, Kind::Postgres))
}

/// The same migrations, which leave alone what a newer version has applied: whether that may be was found out before.
fn tolerant(migrator: &Migrator) -> Migrator {
    let mut tolerant = Migrator { migrations: Cow::Owned(migrator.iter().cloned().collect()), ..Migrator::DEFAULT };
    tolerant.set_ignore_missing(true);
    tolerant
}

/// Whether this version can start on the database, once (with `migrate`) what is pending is applied.
async fn check(sql: &mut Sql<'_>, url: &str, migrate: bool) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database { url: url.into(), source };
    let status = status(sql, url.to_owned()).await.map_err(failed)?;
    let pending = status.migrations.iter().find(|migration| migration.standing == Standing::Pending);
    let why = match (status.refused, pending) {
        (Some(why), _) => why,
        (None, Some(pending)) if !migrate => format!(
            "migration {} ({}) is not applied and DATABASE_AUTO_MIGRATE is off; run `luthien migrate up`",
            pending.version, pending.name
        ),
        (None, _) => return Ok(()),
    };
    Err(OpenError::Schema { url: url.into(), why })
}

fn refused(error: MigrateError, url: &str, kind: Kind) -> OpenError {
    let url = url.to_owned();
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            OpenError::Database { url, source }
        }
        other => OpenError::Schema { url, why: format!("{other}; {}", anew(kind)) },
    }
}
