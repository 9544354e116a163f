//! Policy assignments in SQLite: those that stand, and those that have ended.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

/// An assignment's row.
#[derive(Clone, Debug)]
pub(crate) struct AssignmentRow {
    /// Given when it is added.
    pub(crate) id: i64,
    pub(crate) scope: String,
    pub(crate) credential: Option<Vec<u8>>,
    pub(crate) name: Option<String>,
    pub(crate) class_ref: String,
    pub(crate) config: String,
    pub(crate) mode: String,
    pub(crate) how: String,
    pub(crate) set_at: i64,
    pub(crate) set_by: String,
    pub(crate) expires_at: Option<i64>,
    /// When it was ended, and by whom.
    pub(crate) ended: Option<(i64, String)>,
}

/// Those that nobody has ended, the oldest first.
pub(crate) async fn standing(connection: &mut SqliteConnection) -> Result<Vec<AssignmentRow>, sqlx::Error> {
    let sql = "SELECT id, scope, credential, name, class_ref, config, mode, how, set_at, set_by, expires_at, ended_at, ended_by
        FROM policy_assignments WHERE ended_at IS NULL ORDER BY id";
    sqlx::query(sql).fetch_all(connection).await?.iter().map(read).collect()
}

/// Those that have ended, the newest first.
pub(crate) async fn ended(
    connection: &mut SqliteConnection,
    limit: u32,
    offset: u32,
) -> Result<Vec<AssignmentRow>, sqlx::Error> {
    let sql = "SELECT id, scope, credential, name, class_ref, config, mode, how, set_at, set_by, expires_at, ended_at, ended_by
        FROM policy_assignments WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ? OFFSET ?";
    sqlx::query(sql).bind(limit).bind(offset).fetch_all(connection).await?.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<AssignmentRow, sqlx::Error> {
    let (ended_at, ended_by): (Option<i64>, Option<String>) = (row.try_get(11)?, row.try_get(12)?);
    Ok(AssignmentRow {
        id: row.try_get(0)?,
        scope: row.try_get(1)?,
        credential: row.try_get(2)?,
        name: row.try_get(3)?,
        class_ref: row.try_get(4)?,
        config: row.try_get(5)?,
        mode: row.try_get(6)?,
        how: row.try_get(7)?,
        set_at: row.try_get(8)?,
        set_by: row.try_get(9)?,
        expires_at: row.try_get(10)?,
        ended: ended_at.zip(ended_by),
    })
}

/// Adds one and gives its number.
pub(crate) async fn add(connection: &mut SqliteConnection, row: AssignmentRow) -> Result<i64, sqlx::Error> {
    let sql = "INSERT INTO policy_assignments
        (scope, credential, name, class_ref, config, mode, how, set_at, set_by, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(row.scope)
        .bind(row.credential)
        .bind(row.name)
        .bind(row.class_ref)
        .bind(row.config)
        .bind(row.mode)
        .bind(row.how)
        .bind(row.set_at)
        .bind(row.set_by)
        .bind(row.expires_at)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// Ends one that stands.
pub(crate) async fn end(connection: &mut SqliteConnection, id: i64, at: i64, by: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE policy_assignments SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL")
        .bind(at)
        .bind(by)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}
