//! The policy setting: every one that was set, the last one in force.

use jiff::Timestamp;

use super::{Query, Row, Sql};

/// A policy setting's row.
#[derive(Clone, Debug)]
pub(crate) struct PolicyRow {
    /// Its place in the order of settings; given when it is added.
    pub(crate) version: i64,
    pub(crate) class_ref: String,
    pub(crate) config: String,
    pub(crate) mode: Option<String>,
    pub(crate) enabled_at: Timestamp,
    pub(crate) enabled_by: String,
}

const SELECT: &str = "SELECT id, class_ref, config, mode, enabled_at, enabled_by FROM policies";

fn read(row: &Row) -> Result<PolicyRow, sqlx::Error> {
    Ok(PolicyRow {
        version: row.get(0)?,
        class_ref: row.get(1)?,
        config: row.get(2)?,
        mode: row.get(3)?,
        enabled_at: row.get(4)?,
        enabled_by: row.get(5)?,
    })
}

/// The last ones, the last first.
pub(crate) async fn latest(sql: &mut Sql<'_>, limit: u32, offset: u32) -> Result<Vec<PolicyRow>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} ORDER BY id DESC LIMIT ? OFFSET ?"));
    sql.all(query.bind(limit).bind(offset)).await?.iter().map(read).collect()
}

/// The one of a version.
pub(crate) async fn one(sql: &mut Sql<'_>, version: i64) -> Result<Option<PolicyRow>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} WHERE id = ?"));
    sql.one(query.bind(version)).await?.as_ref().map(read).transpose()
}

/// How many there are.
pub(crate) async fn count(sql: &mut Sql<'_>) -> Result<i64, sqlx::Error> {
    sql.number(Query::new("SELECT COUNT(*) FROM policies")).await
}

/// Adds one and gives its version.
pub(crate) async fn set(sql: &mut Sql<'_>, row: PolicyRow) -> Result<i64, sqlx::Error> {
    let query = Query::new(
        "INSERT INTO policies (class_ref, config, mode, enabled_at, enabled_by) VALUES (?, ?, ?, ?, ?) RETURNING id",
    );
    let query = query.bind(row.class_ref).bind(row.config).bind(row.mode).bind(row.enabled_at).bind(row.enabled_by);
    sql.number(query).await
}
