//! The panic switch in SQLite: every position it was put to, the last one in force.

use sqlx::{Row as _, SqliteConnection};

/// A position's row.
#[derive(Clone, Debug)]
pub(crate) struct PanicRow {
    pub(crate) mode: String,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) set_at: i64,
    pub(crate) set_by: String,
}

/// The last ones, the last first.
pub(crate) async fn latest(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<PanicRow>, sqlx::Error> {
    let sql = "SELECT mode, reason, message, set_at, set_by FROM panics ORDER BY id DESC LIMIT ?";
    let rows = sqlx::query(sql).bind(limit).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(PanicRow {
                mode: row.try_get(0)?,
                reason: row.try_get(1)?,
                message: row.try_get(2)?,
                set_at: row.try_get(3)?,
                set_by: row.try_get(4)?,
            })
        })
        .collect()
}

/// Adds one.
pub(crate) async fn set(connection: &mut SqliteConnection, row: PanicRow) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO panics (mode, reason, message, set_at, set_by) VALUES (?, ?, ?, ?, ?)")
        .bind(row.mode)
        .bind(row.reason)
        .bind(row.message)
        .bind(row.set_at)
        .bind(row.set_by)
        .execute(connection)
        .await?;
    Ok(())
}
