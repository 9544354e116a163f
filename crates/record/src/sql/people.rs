//! Who may use the admin side under a name of their own.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Query, Row, Sql};
use crate::store::StoredPerson;

/// All of them, by name.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<StoredPerson>, sqlx::Error> {
    let query = Query::new(
        "SELECT id, name, role, hash, start, created_at, created_by, token_at, expires_at FROM people
        ORDER BY name, id",
    );
    sql.all(query).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<StoredPerson, sqlx::Error> {
    Ok(StoredPerson {
        id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        hash: row.get(3)?,
        start: row.get(4)?,
        created_at: row.get(5)?,
        created_by: row.get(6)?,
        token_at: row.get(7)?,
        expires_at: row.get(8)?,
    })
}

/// Adds one.
pub(crate) async fn add(sql: &mut Sql<'_>, person: &StoredPerson) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO people (id, name, role, hash, start, created_at, created_by, token_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(person.id).bind(person.name.as_str()).bind(person.role.as_str()).bind(person.hash);
    let query = query.bind(person.start.as_str()).bind(person.created_at).bind(person.created_by.as_str());
    sql.run(query.bind(person.token_at).bind(person.expires_at)).await?;
    Ok(())
}

/// Says anew what one may do and until when; says whether there is one.
pub(crate) async fn set(
    sql: &mut Sql<'_>,
    id: Uuid,
    role: &str,
    expires_at: Option<Timestamp>,
) -> Result<bool, sqlx::Error> {
    let query = Query::new("UPDATE people SET role = ?, expires_at = ? WHERE id = ?");
    Ok(sql.run(query.bind(role).bind(expires_at).bind(id)).await? > 0)
}

/// Gives one another token; says whether there is one.
pub(crate) async fn renew(
    sql: &mut Sql<'_>,
    id: Uuid,
    hash: [u8; 32],
    start: &str,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let query = Query::new("UPDATE people SET hash = ?, start = ?, token_at = ? WHERE id = ?");
    Ok(sql.run(query.bind(hash).bind(start).bind(at).bind(id)).await? > 0)
}

/// Removes one; says whether there was one.
pub(crate) async fn remove(sql: &mut Sql<'_>, id: Uuid) -> Result<bool, sqlx::Error> {
    Ok(sql.run(Query::new("DELETE FROM people WHERE id = ?").bind(id)).await? > 0)
}
