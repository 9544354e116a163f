//! Rows without a session are completed: those from before there were sessions, and those of a restored backup.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lru::LruCache;
use uuid::Uuid;

use super::texts::Said;
use crate::body::manifest::{Piece, pieces};
use crate::body::split::split;
use crate::body::{ROOT, pack};
use crate::sql::references::{Reference, ReferenceInserts};
use crate::sql::sessions::{SessionInserts, SessionRow};
use crate::sql::state::epoch_for_batch;
use crate::sql::texts::{TextInserts, TextRow};
use crate::sql::transactions::{TransactionRow, early_decisions, set_session, without_session};
use crate::sql::{Connection, Kind, Query, Sql};
use crate::store::rebuild::{Pieces, Rebuild};
use crate::store::{StoreError, TransactionDetail};

/// How many rows are completed at a time.
const BATCH: u32 = 100;

/// Of how many sessions the last turn is remembered: of others more words are stored twice, which finds the same.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Gives every transaction that has none its session, its references and its words, in batches: what was completed stays so.
/// Gives how many there were.
pub(crate) async fn complete(connection: &mut Connection) -> Result<u64, StoreError> {
    let (mut count, mut histories) = (0, histories());
    let inserts = (SessionInserts::new(), ReferenceInserts::new(), TextInserts::new());
    loop {
        let mut sql = connection.sql();
        let begin = if sql.kind() == Kind::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        sql.run(Query::new(begin)).await?;
        let done = next(&mut sql, &inserts, &mut histories).await;
        sql.run(Query::new(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })).await?;
        let Some(completed) = done? else { break };
        if count == 0 && completed > 0 {
            tracing::info!("rows of the record without a session are being completed; this happens once");
        }
        count += completed;
    }
    if count > 0 {
        tracing::info!(count, "rows of the record have been completed");
    }
    Ok(count)
}

/// The identities of each session's last turn, by which later ones know what is new.
pub(crate) type Histories = LruCache<Uuid, Vec<[u8; 32]>>;

/// None yet.
pub(crate) fn histories() -> Histories {
    LruCache::new(REMEMBERED)
}

type Inserts = (SessionInserts, ReferenceInserts, TextInserts);

/// Completes the next rows and says how many; `None` if there are none. Those that another process completes are left to it.
async fn next(sql: &mut Sql<'_>, inserts: &Inserts, histories: &mut Histories) -> Result<Option<u64>, StoreError> {
    // What a transaction refers to is not deleted meanwhile.
    epoch_for_batch(sql).await?;
    let rows = without_session(sql, BATCH).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut own = Vec::new();
    for row in rows {
        if set_session(sql, row.id, row.session_key).await? {
            own.push(row);
        }
    }
    let count = own.len() as u64;
    batch(sql, inserts, own, histories).await?;
    Ok(Some(count))
}

async fn batch(
    sql: &mut Sql<'_>,
    (sessions, references, texts): &Inserts,
    rows: Vec<TransactionRow>,
    histories: &mut Histories,
) -> Result<(), StoreError> {
    let ids = rows.iter().map(|row| row.id).collect();
    let early = early_decisions(sql, &ids).await?;
    let mut added = BTreeMap::<Uuid, SessionRow>::new();
    let (mut referred, mut words) = (Vec::new(), Vec::new());
    for row in rows {
        let mut session = SessionRow::of(&row);
        session.events += early.get(&row.id).copied().unwrap_or_default();
        let session = match added.remove(&row.session_key) {
            Some(other) => other.and(session),
            None => session,
        };
        added.insert(row.session_key, session);
        referred.extend(references_of(&row));
        if row.turn {
            words.extend(words_of(sql, row, histories).await?);
        }
    }
    sessions.run(sql, added).await?;
    referred.sort_unstable();
    referred.dedup();
    references.run(sql, referred).await?;
    Ok(texts.run(sql, words).await?)
}

/// What a transaction's bodies refer to.
pub(crate) fn references_of(row: &TransactionRow) -> Vec<Reference> {
    let own = [&row.edited_request, &row.upstream_request, &row.upstream_response, &row.client_response];
    let packed = own.into_iter().flatten().chain([&row.request]);
    let mut found = Vec::new();
    for manifest in packed.filter_map(|packed| pack::unpack(packed)) {
        for piece in pieces(&manifest).into_iter().flatten() {
            if let Piece::Content(hash) | Piece::Chain(hash) = piece
                && hash != ROOT
            {
                found.push(Reference { session: row.session_key, hash });
            }
        }
    }
    found
}

/// What a transaction is found by.
pub(crate) async fn words_of(
    sql: &mut Sql<'_>,
    row: TransactionRow,
    histories: &mut Histories,
) -> Result<Vec<TextRow>, StoreError> {
    let (id, session) = (row.id, row.session_key);
    let detail = match Rebuild::new(sql, &mut Pieces::default()).detail(row, String::new()).await {
        Ok(detail) => detail,
        // It is shown as damaged by whoever asks for it.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::error!(%error, "a transaction is not found by its words");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let before = histories.put(session, detail.identities.clone()).unwrap_or_default();
    let known = before.iter().zip(&detail.identities).take_while(|(one, other)| one == other).count();
    Ok(said(&detail, known, id, session))
}

/// What of a transaction's texts is in the index: all but what its first `known` messages say.
pub(crate) fn said(detail: &TransactionDetail, known: usize, id: Uuid, session: Uuid) -> Vec<TextRow> {
    let outline = split(detail.dialect, &detail.request);
    let said = Said {
        dialect: detail.dialect,
        request: &detail.request,
        outline: &outline,
        known,
        upstream: detail.upstream_dialect(),
        answer: &detail.upstream_response,
        own: detail.own_response.as_deref(),
    };
    said.rows(id, session)
}
