//! The list of calls.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Query, Sql};

/// A call's row.
#[derive(Clone, Debug)]
pub(crate) struct ListedCall {
    pub(crate) id: Uuid,
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) events: i64,
    pub(crate) ended_at: Timestamp,
}

/// The latest calls.
pub(crate) async fn latest(sql: &mut Sql<'_>, limit: u32) -> Result<Vec<ListedCall>, sqlx::Error> {
    let query = Query::new(
        "SELECT id, session, credential, ended_at,
            event_count + (SELECT COUNT(*) FROM late_decisions l WHERE l.transaction_id = t.id) AS events
        FROM transactions t ORDER BY started_at DESC, id DESC LIMIT ?",
    );
    let rows = sql.all(query.bind(limit)).await?;
    rows.iter()
        .map(|row| {
            Ok(ListedCall {
                id: row.get("id")?,
                session: row.get("session")?,
                credential: row.get("credential")?,
                events: row.get("events")?,
                ended_at: row.get("ended_at")?,
            })
        })
        .collect()
}

/// How many there are.
pub(crate) async fn count(sql: &mut Sql<'_>) -> Result<i64, sqlx::Error> {
    sql.number(Query::new("SELECT COUNT(*) FROM transactions")).await
}
