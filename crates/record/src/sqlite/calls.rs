//! The list of calls in SQLite.

use sqlx::{Row as _, SqliteConnection};

/// A call's row.
#[derive(Clone, Debug)]
pub(crate) struct ListedCall {
    pub(crate) id: Vec<u8>,
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) events: i64,
    pub(crate) ended_at: i64,
}

/// The latest calls.
pub(crate) async fn latest(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<ListedCall>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, session, credential, ended_at,
            event_count + (SELECT COUNT(*) FROM late_decisions l WHERE l.transaction_id = t.id) AS events
        FROM transactions t ORDER BY id DESC LIMIT ?",
    )
    .bind(limit)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ListedCall {
                id: row.try_get("id")?,
                session: row.try_get("session")?,
                credential: row.try_get("credential")?,
                events: row.try_get("events")?,
                ended_at: row.try_get("ended_at")?,
            })
        })
        .collect()
}

/// How many there are.
pub(crate) async fn count(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM transactions").fetch_one(connection).await
}
