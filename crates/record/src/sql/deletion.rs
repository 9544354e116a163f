//! Transactions deleted with all that is kept beside them. What their sessions referred to for them alone becomes a candidate
//! for `garbage`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use uuid::Uuid;

use super::garbage;
use super::sessions::{SessionInserts, SessionRow};
use super::state::begin_deletion;
use super::transactions::{ids_of_session, several};
use super::{Query, Sql, texts};
use crate::body::Hash;
use crate::recorder::complete::references_of;

/// So many values go into one statement.
const AT_ONCE: usize = 500;

/// How many rows of a session are read at a time.
const ROWS_AT_ONCE: usize = 200;

/// A transaction to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doomed {
    pub(crate) id: Uuid,
    /// With another number of late decisions it stays: one came that is nowhere else.
    pub(crate) late: Option<i64>,
}

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) transactions: u64,
    /// Sessions of which nothing is left.
    pub(crate) sessions: u64,
}

/// Deletes transactions within the current database transaction, of which this is the first work. At most some hundred: nobody
/// else writes meanwhile.
pub(crate) async fn delete(sql: &mut Sql<'_>, doomed: &[Doomed]) -> Result<Deleted, sqlx::Error> {
    begin_deletion(sql).await?;
    let (mut ids, mut sessions) = (Vec::new(), BTreeSet::new());
    for doomed in doomed.chunks(AT_ONCE) {
        for (id, session) in still_there(sql, doomed).await? {
            ids.push(id);
            sessions.insert(session);
        }
    }
    for ids in ids.chunks(AT_ONCE) {
        delete_rows(sql, ids).await?;
    }
    texts::remove(sql, &ids).await?;
    let mut gone = 0;
    for session in sessions {
        gone += u64::from(!settle(sql, session).await?);
    }
    Ok(Deleted { transactions: ids.len() as u64, sessions: gone })
}

/// Those that are there, with their sessions, and have no late decision that nobody knows of.
async fn still_there(sql: &mut Sql<'_>, doomed: &[Doomed]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let mut query = Query::new(
        "SELECT id, session_key, (SELECT COUNT(*) FROM late_decisions l WHERE l.transaction_id = t.id)
        FROM transactions t WHERE session_key IS NOT NULL AND id IN ",
    );
    query.push_list(doomed.iter().map(|doomed| doomed.id));
    let mut found = Vec::new();
    for row in sql.all(query).await? {
        let (id, late): (Uuid, i64) = (row.get(0)?, row.get(2)?);
        let expected = doomed.iter().find(|doomed| doomed.id == id).and_then(|doomed| doomed.late);
        if expected.is_none_or(|expected| expected == late) {
            found.push((id, row.get(1)?));
        }
    }
    Ok(found)
}

async fn delete_rows(sql: &mut Sql<'_>, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    let these = |text: &str, end: &str| {
        let mut query = Query::new(text);
        query.push_list(ids.iter().copied()).push(end);
        query
    };
    for table in ["late_decisions", "request_logs"] {
        sql.run(these(&format!("DELETE FROM {table} WHERE transaction_id IN "), "")).await?;
    }
    sql.run(these("DELETE FROM transactions WHERE id IN ", "")).await?;
    Ok(())
}

/// Brings a session up to date with the transactions that are left to it; says whether there are any.
async fn settle(sql: &mut Sql<'_>, session: Uuid) -> Result<bool, sqlx::Error> {
    let (mut left, mut needed) = (None::<SessionRow>, HashSet::new());
    for ids in ids_of_session(sql, session).await?.chunks(ROWS_AT_ONCE) {
        for row in &several(sql, ids).await? {
            needed.extend(references_of(row).into_iter().map(|reference| reference.hash));
            let adds = SessionRow::of(row);
            left = Some(match left {
                Some(left) => left.and(adds),
                None => adds,
            });
        }
    }
    for statement in ["DELETE FROM sessions WHERE key = ?", "DELETE FROM session_tags WHERE session = ?"] {
        sql.run(Query::new(statement).bind(session)).await?;
    }
    forget(sql, session, &needed).await?;
    let Some(mut left) = left else { return Ok(false) };
    left.events += late_decisions(sql, session).await?;
    SessionInserts::new().run(sql, BTreeMap::from([(session, left)])).await?;
    Ok(true)
}

async fn forget(sql: &mut Sql<'_>, session: Uuid, needed: &HashSet<Hash>) -> Result<(), sqlx::Error> {
    let rows = sql.all(Query::new("SELECT hash FROM refs WHERE session = ?").bind(session)).await?;
    let referred: Vec<Hash> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    let stale: Vec<Hash> = referred.into_iter().filter(|hash| !needed.contains(hash)).collect();
    for stale in stale.chunks(AT_ONCE) {
        let mut query = Query::new("DELETE FROM refs WHERE session = ");
        query.push_value(session).push(" AND hash IN ").push_list(stale.iter().copied());
        sql.run(query).await?;
    }
    garbage::add(sql, stale).await
}

async fn late_decisions(sql: &mut Sql<'_>, session: Uuid) -> Result<i64, sqlx::Error> {
    let query = Query::new(
        "SELECT COUNT(*) FROM late_decisions l JOIN transactions t ON t.id = l.transaction_id WHERE t.session_key = ?",
    );
    sql.number(query.bind(session)).await
}
