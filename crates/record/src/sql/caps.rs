//! What keys, sessions and users may use, as operators set it.

use jiff::Timestamp;

use super::{Query, Sql};

/// A row: scope, id, what is allowed, when and by whom.
pub(crate) type CapsRow = (String, String, String, Timestamp, String);

/// All of them.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<CapsRow>, sqlx::Error> {
    let rows = sql.all(Query::new("SELECT scope, id, caps, set_at, set_by FROM caps ORDER BY scope, id")).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).collect()
}

/// Sets one, in place of what it was.
pub(crate) async fn set(sql: &mut Sql<'_>, row: CapsRow) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO caps (scope, id, caps, set_at, set_by) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (scope, id) DO UPDATE SET caps = excluded.caps, set_at = excluded.set_at, set_by = excluded.set_by",
    );
    let (scope, id, caps, at, by) = row;
    sql.run(query.bind(scope).bind(id).bind(caps).bind(at).bind(by)).await?;
    Ok(())
}

/// Forgets one; says whether it was there.
pub(crate) async fn forget(sql: &mut Sql<'_>, scope: &str, id: &str) -> Result<bool, sqlx::Error> {
    Ok(sql.run(Query::new("DELETE FROM caps WHERE scope = ? AND id = ?").bind(scope).bind(id)).await? > 0)
}
