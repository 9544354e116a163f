//! Whose data were deleted on request, and which transactions are theirs.

use jiff::Timestamp;
use uuid::Uuid;

use super::deletion::Doomed;
use super::{Query, Row, Sql};

/// Whose data are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A session, by its key.
    Session(Uuid),
    /// A user.
    User(String),
}

/// Notes that these data were deleted at this time.
pub(crate) async fn add(sql: &mut Sql<'_>, whose: &Whose, at: Timestamp) -> Result<(), sqlx::Error> {
    let (key, session, user) = match whose {
        Whose::Session(key) => (*key, Some(*key), None),
        // No session's key is made of one text alone.
        Whose::User(user) => (hashed(user), None, Some(user.clone())),
    };
    let query = Query::new(
        "INSERT INTO erasures (key, session, user_id, erased_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET erased_at = excluded.erased_at",
    );
    sql.run(query.bind(key).bind(session).bind(user).bind(at)).await?;
    Ok(())
}

fn hashed(user: &str) -> Uuid {
    let mut key = [0; 16];
    key.copy_from_slice(&blake3::hash(user.as_bytes()).as_bytes()[..16]);
    Uuid::from_bytes(key)
}

/// What was deleted on request, and when.
pub(crate) async fn all(sql: &mut Sql<'_>) -> Result<Vec<(Whose, Timestamp)>, sqlx::Error> {
    let rows = sql.all(Query::new("SELECT session, user_id, erased_at FROM erasures ORDER BY erased_at, key")).await?;
    let read = |row: &Row| -> Result<_, sqlx::Error> {
        let whose = match (row.get(0)?, row.get::<Option<String>>(1)?) {
            (Some(key), _) => Whose::Session(key),
            (None, user) => Whose::User(user.unwrap_or_default()),
        };
        Ok((whose, row.get(2)?))
    };
    rows.iter().map(read).collect()
}

/// Forgets what people call a user; says whether they did.
pub(crate) async fn drop_label(sql: &mut Sql<'_>, whose: &Whose) -> Result<bool, sqlx::Error> {
    let Whose::User(user) = whose else { return Ok(false) };
    Ok(sql.run(Query::new("DELETE FROM user_labels WHERE user_id = ?").bind(user.as_str())).await? > 0)
}

/// Forgets requests from before a time.
pub(crate) async fn drop_before(sql: &mut Sql<'_>, time: Timestamp) -> Result<(), sqlx::Error> {
    sql.run(Query::new("DELETE FROM erasures WHERE erased_at < ?").bind(time)).await?;
    Ok(())
}

/// How many transactions are theirs, in how many sessions.
pub(crate) async fn count(sql: &mut Sql<'_>, whose: &Whose) -> Result<(i64, i64), sqlx::Error> {
    let mut query = Query::new("SELECT COUNT(*), COUNT(DISTINCT t.session_key)");
    push_theirs(&mut query, whose);
    let row = sql.one(query).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok((row.get(0)?, row.get(1)?))
}

/// Their transactions, begun up to a time or at all, at most `most`.
pub(crate) async fn transactions(
    sql: &mut Sql<'_>,
    whose: &Whose,
    until: Option<Timestamp>,
    most: u32,
) -> Result<Vec<Doomed>, sqlx::Error> {
    let mut query = Query::new("SELECT t.id");
    push_theirs(&mut query, whose);
    if let Some(until) = until {
        query.push(" AND t.started_at <= ").push_value(until);
    }
    query.push(" LIMIT ").push_value(most);
    sql.all(query).await?.iter().map(|row| Ok(Doomed { id: row.get(0)?, late: None })).collect()
}

fn push_theirs(query: &mut Query, whose: &Whose) {
    match whose {
        Whose::Session(key) => query.push(" FROM transactions t WHERE t.session_key = ").push_value(*key),
        Whose::User(user) => query
            .push(" FROM session_tags s JOIN transactions t ON t.session_key = s.session WHERE s.kind = 'user' AND s.value = ")
            .push_value(user.as_str())
            .push(" AND t.user_id = ")
            .push_value(user.as_str()),
    };
}
