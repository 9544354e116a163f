//! Keys that the gateway gives to its clients.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Query, Row, Sql};
use crate::body::Hash;

/// A key's row.
#[derive(Clone, Debug)]
pub(crate) struct ClientKeyRow {
    pub(crate) id: Uuid,
    pub(crate) hash: Hash,
    pub(crate) caller: Vec<u8>,
    pub(crate) start: String,
    pub(crate) name: String,
    pub(crate) limits: String,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was revoked, and by whom.
    pub(crate) revoked: Option<(Timestamp, String)>,
}

const SELECT: &str =
    "SELECT id, hash, caller, start, name, limits, created_at, created_by, expires_at, revoked_at, revoked_by
    FROM client_keys";

fn read(row: &Row) -> Result<ClientKeyRow, sqlx::Error> {
    let (revoked_at, revoked_by): (Option<Timestamp>, Option<String>) = (row.get(9)?, row.get(10)?);
    Ok(ClientKeyRow {
        id: row.get(0)?,
        hash: row.get(1)?,
        caller: row.get(2)?,
        start: row.get(3)?,
        name: row.get(4)?,
        limits: row.get(5)?,
        created_at: row.get(6)?,
        created_by: row.get(7)?,
        expires_at: row.get(8)?,
        revoked: revoked_at.zip(revoked_by),
    })
}

/// All of them, the newest first.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<ClientKeyRow>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} ORDER BY created_at DESC, id DESC"));
    sql.all(query).await?.iter().map(read).collect()
}

/// Adds one.
pub(crate) async fn add(sql: &mut Sql<'_>, row: ClientKeyRow) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO client_keys (id, hash, caller, start, name, limits, created_at, created_by, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(row.id).bind(row.hash).bind(row.caller).bind(row.start).bind(row.name).bind(row.limits);
    sql.run(query.bind(row.created_at).bind(row.created_by).bind(row.expires_at)).await?;
    Ok(())
}

/// Revokes one that is not revoked yet; says whether there was one.
pub(crate) async fn revoke(sql: &mut Sql<'_>, id: Uuid, at: Timestamp, by: &str) -> Result<bool, sqlx::Error> {
    let query = Query::new("UPDATE client_keys SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL");
    Ok(sql.run(query.bind(at).bind(by).bind(id)).await? > 0)
}
