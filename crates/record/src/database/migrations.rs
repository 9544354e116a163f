//! The schema's migrations: applied in order, each remembered with its hash.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{PgConnection, SqliteConnection};

use crate::recorder::OpenError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Brings a SQLite database up to date, or (without `migrate`) finds out whether it is.
pub(super) async fn of_sqlite(connection: &mut SqliteConnection, url: &str, migrate: bool) -> Result<(), OpenError> {
    if !migrate {
        return check(&SQLITE, connection, url).await;
    }
    SQLITE.run(connection).await.map_err(|error| refused(error, url))
}

/// The same for a PostgreSQL database. Gateways that start at once take turns.
pub(super) async fn of_postgres(connection: &mut PgConnection, url: &str, migrate: bool) -> Result<(), OpenError> {
    if !migrate {
        return check(&POSTGRES, connection, url).await;
    }
    POSTGRES.run(connection).await.map_err(|error| refused(error, url))
}

/// Whether all migrations of this version have been applied, in the form that it has.
async fn check<C: Migrate>(migrator: &Migrator, connection: &mut C, url: &str) -> Result<(), OpenError> {
    let table = migrator.table_name.as_ref();
    let look = async |connection: &mut C| {
        connection.ensure_migrations_table(table).await?;
        if let Some(version) = connection.dirty_version(table).await? {
            return Err(MigrateError::Dirty(version));
        }
        connection.list_applied_migrations(table).await
    };
    let applied = look(connection).await.map_err(|error| refused(error, url))?;
    for migration in migrator.iter() {
        let why = match applied.iter().find(|applied| applied.version == migration.version) {
            Some(applied) if applied.checksum == migration.checksum => continue,
            Some(_) => return Err(refused(MigrateError::VersionMismatch(migration.version), url)),
            None => format!(
                "migration {} ({}) is not applied and DATABASE_AUTO_MIGRATE is off; run `luthien migrate up`",
                migration.version, migration.description
            ),
        };
        return Err(OpenError::Schema { url: url.into(), why });
    }
    match applied.iter().find(|applied| !migrator.version_exists(applied.version)) {
        Some(newer) => Err(refused(MigrateError::VersionMissing(newer.version), url)),
        None => Ok(()),
    }
}

fn refused(error: MigrateError, url: &str) -> OpenError {
    let url = url.to_owned();
    let why = match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            return OpenError::Database { url, source };
        }
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => format!(
            "its schema (migration {version}) is newer than this version of luthien; start the newer version, or restore a backup from before the update"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "migration {version} was applied to it in another form than this version has; start the version that made it, restore a backup, or move the file away to begin a new record"
        ),
        MigrateError::Dirty(version) => format!(
            "migration {version} was not completed; restore a backup, or move the file away to begin a new record"
        ),
        other => format!("{other}; restore a backup, or move the file away to begin a new record"),
    };
    OpenError::Schema { url, why }
}
