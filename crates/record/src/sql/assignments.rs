//! Policy assignments: those that stand, and those that have ended.

use jiff::Timestamp;

use super::{Query, Row, Sql};

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
    pub(crate) set_at: Timestamp,
    pub(crate) set_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was ended, and by whom.
    pub(crate) ended: Option<(Timestamp, String)>,
}

const SELECT: &str =
    "SELECT id, scope, credential, name, class_ref, config, mode, how, set_at, set_by, expires_at, ended_at, ended_by
    FROM policy_assignments";

/// Those that nobody has ended, the oldest first.
pub(crate) async fn standing(sql: &mut Sql<'_>) -> Result<Vec<AssignmentRow>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} WHERE ended_at IS NULL ORDER BY id"));
    sql.all(query).await?.iter().map(read).collect()
}

/// Those that have ended, the newest first.
pub(crate) async fn ended(sql: &mut Sql<'_>, limit: u32, offset: u32) -> Result<Vec<AssignmentRow>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ? OFFSET ?"));
    sql.all(query.bind(limit).bind(offset)).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<AssignmentRow, sqlx::Error> {
    let (ended_at, ended_by): (Option<Timestamp>, Option<String>) = (row.get(11)?, row.get(12)?);
    Ok(AssignmentRow {
        id: row.get(0)?,
        scope: row.get(1)?,
        credential: row.get(2)?,
        name: row.get(3)?,
        class_ref: row.get(4)?,
        config: row.get(5)?,
        mode: row.get(6)?,
        how: row.get(7)?,
        set_at: row.get(8)?,
        set_by: row.get(9)?,
        expires_at: row.get(10)?,
        ended: ended_at.zip(ended_by),
    })
}

/// Adds one and gives its number.
pub(crate) async fn add(sql: &mut Sql<'_>, row: AssignmentRow) -> Result<i64, sqlx::Error> {
    let query = Query::new(
        "INSERT INTO policy_assignments
            (scope, credential, name, class_ref, config, mode, how, set_at, set_by, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    );
    let query = query.bind(row.scope).bind(row.credential).bind(row.name).bind(row.class_ref).bind(row.config);
    let query = query.bind(row.mode).bind(row.how).bind(row.set_at).bind(row.set_by).bind(row.expires_at);
    sql.number(query).await
}

/// Ends one that stands.
pub(crate) async fn end(sql: &mut Sql<'_>, id: i64, at: Timestamp, by: &str) -> Result<(), sqlx::Error> {
    let query =
        Query::new("UPDATE policy_assignments SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL");
    sql.run(query.bind(at).bind(by).bind(id)).await?;
    Ok(())
}
