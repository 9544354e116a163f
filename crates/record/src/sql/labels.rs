//! Users and the names that people gave them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Query, Row, Sql};

/// The users of all sessions, in their order.
pub(crate) async fn users(sql: &mut Sql<'_>, limit: u32, offset: u32) -> Result<Vec<String>, sqlx::Error> {
    let query =
        Query::new("SELECT DISTINCT value FROM session_tags WHERE kind = 'user' ORDER BY value LIMIT ? OFFSET ?");
    sql.all(query.bind(limit).bind(offset)).await?.iter().map(|row| row.get(0)).collect()
}

/// All names, by user.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let query = Query::new("SELECT user_id, display_name FROM user_labels");
    sql.all(query).await?.iter().map(read).collect()
}

/// The names of these users, of those that have one.
pub(crate) async fn of(sql: &mut Sql<'_>, users: &[String]) -> Result<BTreeMap<String, String>, sqlx::Error> {
    /// A statement takes only so many values.
    const AT_ONCE: usize = 1000;
    let mut out = BTreeMap::new();
    for users in users.chunks(AT_ONCE) {
        let mut query = Query::new("SELECT user_id, display_name FROM user_labels WHERE user_id IN ");
        query.push_list(users.iter().cloned());
        for row in sql.all(query).await? {
            let (user, name) = read(&row)?;
            out.insert(user, name);
        }
    }
    Ok(out)
}

/// Gives a user a name, in place of the one it had.
pub(crate) async fn set(sql: &mut Sql<'_>, user: &str, name: &str, at: Timestamp) -> Result<(), sqlx::Error> {
    let query = Query::new(
        "INSERT INTO user_labels (user_id, display_name, set_at) VALUES (?, ?, ?)
        ON CONFLICT (user_id) DO UPDATE SET display_name = excluded.display_name, set_at = excluded.set_at",
    );
    sql.run(query.bind(user).bind(name).bind(at)).await.map(|_| ())
}

/// Takes a user's name away, if it has one.
pub(crate) async fn remove(sql: &mut Sql<'_>, user: &str) -> Result<(), sqlx::Error> {
    sql.run(Query::new("DELETE FROM user_labels WHERE user_id = ?").bind(user)).await.map(|_| ())
}

fn read(row: &Row) -> Result<(String, String), sqlx::Error> {
    Ok((row.get(0)?, row.get(1)?))
}
