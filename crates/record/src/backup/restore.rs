//! Puts a backup's rows into a database: all of them, or the database stays as it was.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sqlx::Connection as _;

use super::cell::Cell;
use super::file::{Header, KeyFile, Reading};
use super::tables::{SESSION, Table, made_anew, tables};
use super::{BackupError, KEY_CELLS, newest, patient};
use crate::database::{Database, DatabaseOptions, apart, migrations};
use crate::recorder::complete::complete;
use crate::sql::insert::Insert;
use crate::sql::{Connection, Kind, Query, Sql, Value};

/// So many rows are stored at a time.
const ROWS: usize = 128;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said of itself.
    pub header: Header,
    /// Where the record that was there before is now.
    pub kept: Option<String>,
    /// The key files that the backup holds.
    pub keys: Vec<KeyFile>,
}

/// Restores the backup at `path` to the database at `url`. What is there is refused, or with `replace` kept beside, named by
/// the time `now`. Nobody may record there meanwhile. `told` gets how many rows of how many are restored.
pub async fn restore(
    path: &Path,
    url: &str,
    options: DatabaseOptions,
    replace: bool,
    now: Timestamp,
    mut told: impl FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    let mut reading = Reading::open(path)?;
    let database = Database::parse(url, patient(options))?;
    let known = migrations::newest(database.kind());
    if reading.header.migration > known {
        let (found, version) = (reading.header.migration, reading.header.version.clone());
        return Err(BackupError::Newer { found, known, version });
    }
    let damaged = |_| BackupError::Damaged(path.into());
    let mut keys = Vec::new();
    for name in reading.header.keys.clone() {
        match reading.row(KEY_CELLS).map_err(damaged)?.as_slice() {
            [Cell::Text(written), Cell::Bytes(bytes)] if *written == name => {
                keys.push(KeyFile { name, bytes: bytes.clone() });
            }
            _ => return Err(BackupError::Damaged(path.into())),
        }
    }
    let stamp = now.strftime("%Y%m%d-%H%M%S").to_string();
    let kept = match database.path() {
        Some(file) => into_file(&mut reading, path, &database, file, replace, &stamp, &mut told).await?,
        None => into_server(&mut reading, path, &database, replace, &stamp, &mut told).await?,
    };
    Ok(Restored { header: reading.header, kept, keys })
}

/// Restores to a new file, which then takes the old one's place.
async fn into_file(
    reading: &mut Reading,
    path: &Path,
    database: &Database,
    file: &Path,
    replace: bool,
    stamp: &str,
    told: &mut impl FnMut(u64, u64),
) -> Result<Option<String>, BackupError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    let used = if file.exists() {
        let mut old = database.connect_bare().await?;
        let used = is_used(&mut old.sql()).await;
        // The last one that closes it leaves one file.
        old.close().await?;
        used?
    } else {
        false
    };
    if used && !replace {
        return Err(BackupError::NotEmpty(database.shown()));
    }
    let fresh = beside(file, "restoring");
    remove(&fresh).map_err(failed(&fresh))?;
    let url = format!("sqlite://{}", fresh.display());
    let new = Database::parse(&url, database.options())?;
    let filled = fill_file(reading, path, &new, told).await;
    if filled.is_err() {
        let _ = remove(&fresh);
    }
    filled?;
    let kept = beside(file, &format!("before-{stamp}"));
    if used {
        std::fs::rename(file, &kept).map_err(failed(file))?;
    }
    remove(file).map_err(failed(file))?;
    std::fs::rename(&fresh, file).map_err(failed(&fresh))?;
    Ok(used.then(|| kept.display().to_string()))
}

async fn fill_file(
    reading: &mut Reading,
    path: &Path,
    new: &Database,
    told: &mut impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let mut connection = new.connect_bare().await?;
    if let Connection::Sqlite(sqlite) = &mut connection {
        migrations::sqlite_to(sqlite, &new.shown(), reading.header.migration).await?;
        let mut work = sqlite.begin_with("BEGIN IMMEDIATE").await?;
        load(&mut Sql::Sqlite(&mut work), reading, path, told).await?;
        work.commit().await?;
    }
    connection.close().await?;
    finish(new).await
}

/// Brings the schema up to date, and makes anew what is missing.
async fn finish(database: &Database) -> Result<(), BackupError> {
    let mut connection = database.connect(false).await?;
    complete(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Whether the backup comes from such a database.
fn same(reading: &Reading, kind: Kind) -> bool {
    reading.header.database == super::name(kind)
}

/// Restores to a server in one database transaction; the old tables go to a schema of their own.
async fn into_server(
    reading: &mut Reading,
    path: &Path,
    database: &Database,
    replace: bool,
    stamp: &str,
    told: &mut impl FnMut(u64, u64),
) -> Result<Option<String>, BackupError> {
    let Connection::Postgres(mut connection, within) = database.connect_bare().await? else { return Ok(None) };
    apart(&mut connection).await?;
    let mut work = connection.begin().await?;
    let mut sql = Sql::Postgres(&mut work, within);
    let others = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'luthien'
        AND datname = current_database() AND pid <> pg_backend_pid()";
    let others = sql.number(Query::new(others)).await?;
    if others > 0 {
        return Err(BackupError::InUse(others));
    }
    let used = is_used(&mut sql).await?;
    if used && !replace {
        return Err(BackupError::NotEmpty(database.shown()));
    }
    let schema = format!("luthien_before_{}", stamp.replace('-', "_"));
    if used {
        sql.run(Query::new(format!("CREATE SCHEMA {schema}"))).await?;
    }
    let old = ours(&mut sql).await?;
    if used {
        for table in old {
            sql.run(Query::new(format!("ALTER TABLE {table} SET SCHEMA {schema}"))).await?;
        }
    } else if !old.is_empty() {
        // Together: some refer to others.
        sql.run(Query::new(format!("DROP TABLE {}", old.join(", ")))).await?;
    }
    migrations::postgres_to(&mut work, &database.shown(), reading.header.migration).await?;
    load(&mut Sql::Postgres(&mut work, within), reading, path, told).await?;
    work.commit().await?;
    connection.close().await?;
    finish(database).await?;
    Ok(used.then(|| format!("the schema {schema}")))
}

/// Tables that have rows also where nothing was recorded yet.
const STATE: [&str; 3] = ["garbage", "retention", "revisions"];

/// Whether there is something of somebody's in the record.
async fn is_used(sql: &mut Sql<'_>) -> Result<bool, sqlx::Error> {
    if newest(sql).await?.is_none() {
        return Ok(false);
    }
    for table in
        tables(sql).await?.into_iter().filter(|table| !made_anew(&table.name) && !STATE.contains(&table.name.as_str()))
    {
        let any = Query::new(format!("SELECT CAST(EXISTS (SELECT 1 FROM {}) AS BIGINT)", table.name));
        let any = match sql.kind() {
            Kind::Sqlite => any,
            Kind::Postgres => {
                Query::new(format!("SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT 1) AS first", table.name))
            }
        };
        if sql.number(any).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The tables of the record that are there, the schema's own among them.
async fn ours(sql: &mut Sql<'_>) -> Result<Vec<String>, sqlx::Error> {
    let mut query = Query::new(
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ",
    );
    query.push_list(migrations::tables()).push(" ORDER BY 1");
    sql.all(query).await?.iter().map(|row| row.get(0)).collect()
}

/// Reads the backup's rows into the tables, which are empty, within the current database transaction.
async fn load(
    sql: &mut Sql<'_>,
    reading: &mut Reading,
    path: &Path,
    told: &mut impl FnMut(u64, u64),
) -> Result<(), BackupError> {
    let damaged = |_| BackupError::Damaged(path.into());
    let here = tables(sql).await?;
    let whole: u64 = reading.header.tables.iter().map(|table| table.rows).sum();
    let mut done = 0;
    for contained in reading.header.tables.clone() {
        if made_anew(&contained.name) && !same(reading, sql.kind()) {
            reading.skip(contained.columns.len(), contained.rows).map_err(damaged)?;
            done += contained.rows;
            continue;
        }
        let table = fitting(&here, &contained.name, &contained.columns)?;
        // The schema may come with rows of its own.
        sql.run(Query::new(format!("DELETE FROM {}", table.name))).await?;
        let columns: Vec<&str> = contained.columns.iter().map(String::as_str).collect();
        let insert = Insert::with(&table.name, &columns, &table.places(), "");
        // Without its session a transaction is taken for one to complete.
        let incomplete = columns.iter().position(|column| *column == SESSION && !same(reading, sql.kind()));
        let mut left = contained.rows;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(ROWS);
            let mut rows = Vec::with_capacity(count);
            for _ in 0..count {
                let mut row = reading.row(columns.len()).map_err(damaged)?;
                if let Some(index) = incomplete {
                    row[index] = Cell::Null;
                }
                rows.push(values(&table, row)?);
            }
            insert.run(sql, rows, |row, out| out.extend(row)).await?;
            left -= count as u64;
            done += count as u64;
            told(done, whole);
        }
        number_on(sql, &table).await?;
    }
    if reading.ended().map_err(damaged)? { Ok(()) } else { Err(BackupError::Damaged(path.into())) }
}

/// The table here with the columns that the backup has.
fn fitting(here: &[Table], name: &str, columns: &[String]) -> Result<Table, BackupError> {
    let table = here.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| BackupError::Unfit(format!("it has a table `{name}`")))?;
    let column = |wanted: &String| {
        let found = table.columns.iter().find(|column| column.name == *wanted).cloned();
        found.ok_or_else(|| BackupError::Unfit(format!("its table `{name}` has a column `{wanted}`")))
    };
    let columns = columns.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Table { name: table.name.clone(), columns })
}

fn values(table: &Table, row: Vec<Cell>) -> Result<Vec<Value>, BackupError> {
    let value = |(cell, column): (Cell, &super::tables::Column)| {
        let unfit = || BackupError::Unfit(format!("a value in {}.{}", table.name, column.name));
        cell.value(column.kind).ok_or_else(unfit)
    };
    row.into_iter().zip(&table.columns).map(value).collect()
}

/// Has the database number on behind what was restored.
async fn number_on(sql: &mut Sql<'_>, table: &Table) -> Result<(), sqlx::Error> {
    for column in table.columns.iter().filter(|column| column.numbered) {
        let (table, column) = (&table.name, &column.name);
        let sequence = format!("pg_get_serial_sequence('{table}', '{column}')");
        let set = format!("SELECT setval({sequence}, COALESCE(MAX({column}), 0) + 1, false) FROM {table}");
        sql.all(Query::new(set)).await?;
    }
    Ok(())
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// Removes a database file with those that SQLite keeps beside it.
fn remove(file: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
