//! The policy setting in SQLite: every one that was set, the last one in force.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

/// A policy setting's row.
#[derive(Clone, Debug)]
pub(crate) struct PolicyRow {
    /// Its place in the order of settings; given when it is added.
    pub(crate) version: i64,
    pub(crate) class_ref: String,
    pub(crate) config: String,
    pub(crate) mode: Option<String>,
    pub(crate) enabled_at: i64,
    pub(crate) enabled_by: String,
}

fn read(row: &SqliteRow) -> Result<PolicyRow, sqlx::Error> {
    Ok(PolicyRow {
        version: row.try_get(0)?,
        class_ref: row.try_get(1)?,
        config: row.try_get(2)?,
        mode: row.try_get(3)?,
        enabled_at: row.try_get(4)?,
        enabled_by: row.try_get(5)?,
    })
}

/// The last ones, the last first.
pub(crate) async fn latest(
    connection: &mut SqliteConnection,
    limit: u32,
    offset: u32,
) -> Result<Vec<PolicyRow>, sqlx::Error> {
    let sql =
        "SELECT id, class_ref, config, mode, enabled_at, enabled_by FROM policies ORDER BY id DESC LIMIT ? OFFSET ?";
    sqlx::query(sql).bind(limit).bind(offset).fetch_all(connection).await?.iter().map(read).collect()
}

/// The one of a version.
pub(crate) async fn one(connection: &mut SqliteConnection, version: i64) -> Result<Option<PolicyRow>, sqlx::Error> {
    let sql = "SELECT id, class_ref, config, mode, enabled_at, enabled_by FROM policies WHERE id = ?";
    sqlx::query(sql).bind(version).fetch_optional(connection).await?.as_ref().map(read).transpose()
}

/// How many there are.
pub(crate) async fn count(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM policies").fetch_one(connection).await
}

/// Adds one and gives its version.
pub(crate) async fn set(connection: &mut SqliteConnection, row: PolicyRow) -> Result<i64, sqlx::Error> {
    let done =
        sqlx::query("INSERT INTO policies (class_ref, config, mode, enabled_at, enabled_by) VALUES (?, ?, ?, ?, ?)")
            .bind(row.class_ref)
            .bind(row.config)
            .bind(row.mode)
            .bind(row.enabled_at)
            .bind(row.enabled_by)
            .execute(connection)
            .await?;
    Ok(done.last_insert_rowid())
}
