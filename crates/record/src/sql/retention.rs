//! What is old, how large the record is, and who removes what.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Kind, Query, Sql};

/// An old transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    pub(crate) id: Uuid,
    pub(crate) started_at: Timestamp,
    pub(crate) session: Uuid,
}

/// The oldest transactions behind `after`, begun before `before`, the oldest first, at most `most`.
pub(crate) async fn oldest(
    sql: &mut Sql<'_>,
    after: Option<&Old>,
    before: Option<Timestamp>,
    most: usize,
) -> Result<Vec<Old>, sqlx::Error> {
    let mut query = Query::new("SELECT id, started_at, session_key FROM transactions WHERE session_key IS NOT NULL");
    if let Some(after) = after {
        query.push(" AND (started_at, id) > (").push_value(after.started_at).push(", ").push_value(after.id).push(")");
    }
    if let Some(before) = before {
        query.push(" AND started_at < ").push_value(before);
    }
    query.push(" ORDER BY started_at, id LIMIT ").push_value(i64::try_from(most).unwrap_or(i64::MAX));
    let rows = sql.all(query).await?;
    rows.iter().map(|row| Ok(Old { id: row.get(0)?, started_at: row.get(1)?, session: row.get(2)? })).collect()
}

/// How many transactions were begun before a time, or at all, and the first one's time.
pub(crate) async fn count(
    sql: &mut Sql<'_>,
    before: Option<Timestamp>,
) -> Result<(i64, Option<Timestamp>), sqlx::Error> {
    let mut query = Query::new("SELECT COUNT(*), MIN(started_at) FROM transactions");
    if let Some(before) = before {
        query.push(" WHERE started_at < ").push_value(before);
    }
    let row = sql.one(query).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok((row.get(0)?, row.get(1)?))
}

/// So many pages of a table are summed up by one statement: 128 MiB with the usual pages.
const PAGES: i64 = if cfg!(test) { 1 } else { 16_384 };

/// What a table of PostgreSQL holds in its rows.
pub(crate) const HELD: [(&str, &str); 3] = [
    ("contents", "octet_length(data) + 80"),
    ("nodes", "COALESCE(octet_length(data), 0) + 160"),
    (
        "transactions",
        "octet_length(request) + COALESCE(octet_length(edited_request), 0)
            + COALESCE(octet_length(upstream_request), 0) + COALESCE(octet_length(upstream_response), 0)
            + COALESCE(octet_length(client_response), 0) + COALESCE(octet_length(upstream_headers), 0)
            + COALESCE(octet_length(decisions), 0) + COALESCE(octet_length(events), 0) + 400",
    ),
];

/// The statements whose numbers together say how many bytes of the database are in use. In SQLite one: its pages but the free ones.
/// In PostgreSQL, whose tables do not become smaller by deleting, the stored values, with something for each row, without indexes:
/// each statement reads a stretch of a table's pages, so that none takes long however large the record is.
pub(crate) async fn size(sql: &mut Sql<'_>) -> Result<Vec<Query>, sqlx::Error> {
    if sql.kind() == Kind::Sqlite {
        return Ok(vec![Query::new(
            "SELECT (page_count - freelist_count) * page_size
            FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
        )]);
    }
    let mut parts = Vec::new();
    for (table, held) in HELD {
        let pages = sql.number(Query::new(format!(
            "SELECT pg_relation_size(CAST('{table}' AS regclass)) / CAST(current_setting('block_size') AS BIGINT)"
        )));
        let pages = pages.await?;
        let mut from = 0;
        while from < pages {
            let to = from + PAGES;
            parts.push(Query::new(format!(
                "SELECT CAST(COALESCE(SUM({held}), 0) AS BIGINT) FROM {table}
                WHERE ctid >= CAST('({from},0)' AS tid) AND ctid < CAST('({to},0)' AS tid)"
            )));
            from = to;
        }
    }
    Ok(parts)
}

/// How the last run ended, and who is at it now.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) held_until: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) outcome: Option<String>,
}

pub(crate) async fn state(sql: &mut Sql<'_>) -> Result<State, sqlx::Error> {
    let row = sql.one(Query::new("SELECT held_until, ended_at, outcome FROM retention")).await?;
    let row = row.ok_or(sqlx::Error::RowNotFound)?;
    Ok(State { held_until: row.get(0)?, ended_at: row.get(1)?, outcome: row.get(2)? })
}

/// Takes the work for `holder`, or keeps it, until a time. Not if another has it.
pub(crate) async fn hold(
    sql: &mut Sql<'_>,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, sqlx::Error> {
    let query = Query::new(
        "UPDATE retention SET holder = ?, held_until = ? WHERE holder IS NULL OR holder = ? OR held_until < ?",
    );
    Ok(sql.run(query.bind(holder).bind(until).bind(holder).bind(now)).await? == 1)
}

/// Gives the work back, with what is to be said of it.
pub(crate) async fn release(sql: &mut Sql<'_>, holder: Uuid, now: Timestamp, outcome: &str) -> Result<(), sqlx::Error> {
    let query =
        Query::new("UPDATE retention SET holder = NULL, held_until = NULL, ended_at = ?, outcome = ? WHERE holder = ?");
    sql.run(query.bind(now).bind(outcome).bind(holder)).await?;
    Ok(())
}

/// Deletes late decisions that came before `before` for transactions that are gone; their keys begin with their time.
pub(crate) async fn drop_orphans(sql: &mut Sql<'_>, before: Timestamp) -> Result<(), sqlx::Error> {
    let mut bound = [0; 16];
    bound[..8].copy_from_slice(&before.as_microsecond().to_be_bytes());
    let query = Query::new(
        "DELETE FROM late_decisions WHERE id < ?
            AND NOT EXISTS (SELECT 1 FROM transactions t WHERE t.id = late_decisions.transaction_id)",
    );
    sql.run(query.bind(Uuid::from_bytes(bound))).await?;
    Ok(())
}

/// Gives free space back to the disk, where that is ours to do.
pub(crate) async fn shrink(sql: &mut Sql<'_>) -> Result<bool, sqlx::Error> {
    if sql.kind() == Kind::Postgres {
        return Ok(false);
    }
    // The index of the search keeps the words of what was deleted until its parts are written anew.
    sql.run(Query::new("INSERT INTO words (words) VALUES ('optimize')")).await?;
    sql.run(Query::new("VACUUM")).await?;
    // So that the file itself becomes smaller now.
    sql.all(Query::new("PRAGMA wal_checkpoint(TRUNCATE)")).await?;
    Ok(true)
}
