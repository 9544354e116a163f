//! Sessions of browsers on the admin side, and links that begin one.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Query, Row, Sql};
use crate::store::StoredLogin;

const SELECT: &str = "SELECT hash, person, bond, created_at, expires_at FROM admin_logins";

/// All of a kind.
pub(crate) async fn all(sql: &mut Sql<'_>, kind: &str) -> Result<Vec<StoredLogin>, sqlx::Error> {
    sql.all(Query::new(format!("{SELECT} WHERE kind = ?")).bind(kind)).await?.iter().map(read).collect()
}

/// One of a kind.
pub(crate) async fn one(sql: &mut Sql<'_>, kind: &str, hash: [u8; 32]) -> Result<Option<StoredLogin>, sqlx::Error> {
    let query = Query::new(format!("{SELECT} WHERE kind = ? AND hash = ?"));
    sql.one(query.bind(kind).bind(hash)).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<StoredLogin, sqlx::Error> {
    Ok(StoredLogin {
        hash: row.get(0)?,
        person: row.get(1)?,
        bond: row.get(2)?,
        created_at: row.get(3)?,
        expires_at: row.get(4)?,
    })
}

/// Adds one.
pub(crate) async fn add(sql: &mut Sql<'_>, kind: &str, login: &StoredLogin) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO admin_logins (hash, kind, person, bond, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(login.hash).bind(kind).bind(login.person).bind(login.bond);
    sql.run(query.bind(login.created_at).bind(login.expires_at)).await?;
    Ok(())
}

/// Ends one; says whether it was there.
pub(crate) async fn end(sql: &mut Sql<'_>, kind: &str, hash: [u8; 32]) -> Result<bool, sqlx::Error> {
    let query = Query::new("DELETE FROM admin_logins WHERE kind = ? AND hash = ?");
    Ok(sql.run(query.bind(kind).bind(hash)).await? > 0)
}

/// Ends all of a person.
pub(crate) async fn end_of(sql: &mut Sql<'_>, person: Uuid) -> Result<u64, sqlx::Error> {
    sql.run(Query::new("DELETE FROM admin_logins WHERE person = ?").bind(person)).await
}

/// Forgets those that are over, and of the rest of a kind all but the newest.
pub(crate) async fn tidy(sql: &mut Sql<'_>, kind: &str, now: Timestamp, most: u32) -> Result<(), sqlx::Error> {
    sql.run(Query::new("DELETE FROM admin_logins WHERE expires_at <= ?").bind(now)).await?;
    let query = Query::new(
        "DELETE FROM admin_logins WHERE kind = ? AND hash NOT IN
            (SELECT hash FROM admin_logins WHERE kind = ? ORDER BY created_at DESC, hash LIMIT ?)",
    );
    sql.run(query.bind(kind).bind(kind).bind(most)).await?;
    Ok(())
}
