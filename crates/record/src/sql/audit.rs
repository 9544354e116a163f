//! What was done on the admin side, and by whom.

use jiff::Timestamp;

use super::{Query, Row, Sql};
use crate::store::{AuditEntry, AuditFilter};

/// Adds entries.
pub(crate) async fn add(sql: &mut Sql<'_>, entries: &[AuditEntry]) -> Result<(), sqlx::Error> {
    for entry in entries {
        let query = Query::new(
            "INSERT INTO audit_log (id, at, name, role, proof, method, route, target, status, replica)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        );
        let query = query.bind(entry.id).bind(entry.at).bind(entry.name.clone()).bind(entry.role.clone());
        let query = query.bind(entry.proof.clone()).bind(entry.method.as_str()).bind(entry.route.as_str());
        sql.run(query.bind(entry.target.as_str()).bind(entry.status).bind(entry.replica.as_str())).await?;
    }
    Ok(())
}

/// Those that a filter names, newest first.
pub(crate) async fn list(sql: &mut Sql<'_>, filter: &AuditFilter) -> Result<Vec<AuditEntry>, sqlx::Error> {
    let mut query =
        Query::new("SELECT id, at, name, role, proof, method, route, target, status, replica FROM audit_log");
    push_filter(&mut query, filter);
    query.push(" ORDER BY at DESC, id DESC LIMIT ").push_value(filter.limit);
    query.push(" OFFSET ").push_value(filter.offset);
    sql.all(query).await?.iter().map(read).collect()
}

/// How many there are.
pub(crate) async fn count(sql: &mut Sql<'_>, filter: &AuditFilter) -> Result<i64, sqlx::Error> {
    let mut query = Query::new("SELECT COUNT(*) FROM audit_log");
    push_filter(&mut query, filter);
    sql.number(query).await
}

/// Removes those from before a time; says how many.
pub(crate) async fn remove(sql: &mut Sql<'_>, before: Timestamp) -> Result<u64, sqlx::Error> {
    sql.run(Query::new("DELETE FROM audit_log WHERE at < ?").bind(before)).await
}

fn push_filter(query: &mut Query, filter: &AuditFilter) {
    query.push(" WHERE 1 = 1");
    for (condition, text) in [(" AND name = ", &filter.name), (" AND route = ", &filter.route)] {
        if let Some(text) = text {
            query.push(condition).push_value(text.clone());
        }
    }
    for (condition, time) in [(" AND at >= ", filter.from), (" AND at < ", filter.to)] {
        if let Some(time) = time {
            query.push(condition).push_value(time);
        }
    }
}

fn read(row: &Row) -> Result<AuditEntry, sqlx::Error> {
    Ok(AuditEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        name: row.get(2)?,
        role: row.get(3)?,
        proof: row.get(4)?,
        method: row.get(5)?,
        route: row.get(6)?,
        target: row.get(7)?,
        status: row.get::<Option<i64>>(8)?.and_then(|status| u16::try_from(status).ok()),
        replica: row.get(9)?,
    })
}
