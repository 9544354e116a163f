//! Settings that were set while running.

use jiff::Timestamp;

use super::{Query, Sql};

/// All of them: name, value, when and by whom.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<(String, String, Timestamp, String)>, sqlx::Error> {
    let rows = sql.all(Query::new("SELECT name, value, set_at, set_by FROM settings ORDER BY name")).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).collect()
}

/// Sets one.
pub(crate) async fn set(
    sql: &mut Sql<'_>,
    name: &str,
    value: &str,
    at: Timestamp,
    by: &str,
) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO settings (name, value, set_at, set_by) VALUES (?, ?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at, set_by = excluded.set_by",
    );
    sql.run(query.bind(name).bind(value).bind(at).bind(by)).await?;
    Ok(())
}

/// Forgets one; says whether it was there.
pub(crate) async fn forget(sql: &mut Sql<'_>, name: &str) -> Result<bool, sqlx::Error> {
    Ok(sql.run(Query::new("DELETE FROM settings WHERE name = ?").bind(name)).await? > 0)
}
