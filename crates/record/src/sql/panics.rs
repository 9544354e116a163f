//! The panic switch: every position it was put to, the last one in force.

use jiff::Timestamp;

use super::{Query, Sql};

/// A position's row.
#[derive(Clone, Debug)]
pub(crate) struct PanicRow {
    pub(crate) mode: String,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) set_at: Timestamp,
    pub(crate) set_by: String,
}

/// The last ones, the last first.
pub(crate) async fn latest(sql: &mut Sql<'_>, limit: u32) -> Result<Vec<PanicRow>, sqlx::Error> {
    let query =
        Query::new("SELECT mode, reason, message, set_at, set_by FROM panics ORDER BY set_at DESC, id DESC LIMIT ?");
    let rows = sql.all(query.bind(limit)).await?;
    rows.iter()
        .map(|row| {
            Ok(PanicRow {
                mode: row.get(0)?,
                reason: row.get(1)?,
                message: row.get(2)?,
                set_at: row.get(3)?,
                set_by: row.get(4)?,
            })
        })
        .collect()
}

/// Adds one.
pub(crate) async fn set(sql: &mut Sql<'_>, row: PanicRow) -> Result<(), sqlx::Error> {
    let query = Query::new("INSERT INTO panics (mode, reason, message, set_at, set_by) VALUES (?, ?, ?, ?, ?)");
    let query = query.bind(row.mode).bind(row.reason).bind(row.message).bind(row.set_at).bind(row.set_by);
    sql.run(query).await?;
    Ok(())
}
