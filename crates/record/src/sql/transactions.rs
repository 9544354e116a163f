//! Transactions: rows written whole, once, with all that is kept beside them, and read back.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::bodies::{BodyInserts, ContentRow, NodeRow};
use super::insert::Insert;
use super::references::{Reference, ReferenceInserts};
use super::request_logs::{LogInserts, LogRow};
use super::sessions::{SessionInserts, SessionRow, add_events, session_key};
use super::state::epoch_for_batch;
use super::texts::{TextInserts, TextRow};
use super::{Kind, Query, Row, Sql, Value};
use crate::body::Hash;

/// A transaction's row.
#[derive(Clone, Debug)]
pub(crate) struct TransactionRow {
    pub(crate) id: Uuid,
    pub(crate) session_key: Uuid,
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) started_at: Timestamp,
    pub(crate) first_byte_at: Option<Timestamp>,
    pub(crate) ended_at: Timestamp,
    pub(crate) dialect: String,
    pub(crate) path: String,
    pub(crate) turn: bool,
    pub(crate) user_id: Option<String>,
    pub(crate) model: String,
    pub(crate) streamed: bool,
    pub(crate) policy: String,
    pub(crate) status: String,
    pub(crate) http_status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) evaluation: String,
    pub(crate) event_count: i64,
    pub(crate) preview: Option<String>,
    pub(crate) history: Option<Hash>,
    pub(crate) request: Vec<u8>,
    pub(crate) upstream: Option<[String; 3]>,
    pub(crate) upstream_dialect: Option<String>,
    pub(crate) edited_request: Option<Vec<u8>>,
    pub(crate) upstream_request: Option<Vec<u8>>,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) upstream_headers: Option<String>,
    pub(crate) upstream_response: Option<Vec<u8>>,
    pub(crate) client_response: Option<Vec<u8>>,
    pub(crate) decisions: Option<String>,
    pub(crate) events: Option<String>,
}

/// A late decision's row.
#[derive(Clone, Debug)]
pub(crate) struct LateRow {
    pub(crate) id: Uuid,
    pub(crate) transaction: Uuid,
    pub(crate) decision: String,
}

/// Everything that one batch stores.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) contents: Vec<ContentRow>,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) transactions: Vec<TransactionRow>,
    pub(crate) late: Vec<LateRow>,
    pub(crate) references: Vec<Reference>,
    /// Stored only with their transaction, the first time.
    pub(crate) texts: Vec<TextRow>,
    pub(crate) logs: Vec<LogRow>,
}

const COLUMNS: [&str; 34] = [
    "id",
    "session_key",
    "session",
    "credential",
    "started_at",
    "first_byte_at",
    "ended_at",
    "dialect",
    "path",
    "turn",
    "user_id",
    "model",
    "streamed",
    "policy",
    "status",
    "http_status",
    "error",
    "evaluation",
    "event_count",
    "preview",
    "history",
    "request",
    "upstream",
    "upstream_method",
    "upstream_url",
    "upstream_dialect",
    "edited_request",
    "upstream_request",
    "upstream_status",
    "upstream_headers",
    "upstream_response",
    "client_response",
    "decisions",
    "events",
];

/// Writes batches.
#[derive(Debug)]
pub(crate) struct BatchInserts {
    bodies: BodyInserts,
    transactions: Insert,
    late: Insert,
    sessions: SessionInserts,
    references: ReferenceInserts,
    texts: TextInserts,
    logs: LogInserts,
}

impl BatchInserts {
    pub(crate) fn new() -> Self {
        let late = ["id", "transaction_id", "decision"];
        let returning = |given: &str| format!("ON CONFLICT DO NOTHING RETURNING {given}");
        Self {
            bodies: BodyInserts::new(),
            transactions: Insert::with("transactions", &COLUMNS, &["?"; COLUMNS.len()], &returning("id")),
            late: Insert::with("late_decisions", &late, &["?"; 3], &returning("transaction_id")),
            sessions: SessionInserts::new(),
            references: ReferenceInserts::new(),
            texts: TextInserts::new(),
            logs: LogInserts::new(),
        }
    }

    /// Stores the batch in one database transaction, all of it or nothing, and gives the epoch in which it is stored. If that is
    /// not the one that is known to whoever made the batch, what it only refers to may be gone: nothing is stored, and there is
    /// nothing to give.
    pub(crate) async fn run(
        &self,
        sql: &mut Sql<'_>,
        batch: Batch,
        known: Option<i64>,
    ) -> Result<Option<i64>, sqlx::Error> {
        sql.run(Query::new(match sql.kind() {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        }))
        .await?;
        let epoch = epoch_for_batch(sql).await?;
        if known.is_some_and(|known| known != epoch) {
            sql.run(Query::new("ROLLBACK")).await?;
            return Ok(None);
        }
        self.store(sql, batch).await?;
        sql.run(Query::new("COMMIT")).await?;
        Ok(Some(epoch))
    }

    async fn store(&self, sql: &mut Sql<'_>, batch: Batch) -> Result<(), sqlx::Error> {
        self.bodies.run(sql, batch.contents, batch.nodes).await?;
        let sessions: Vec<_> = batch.transactions.iter().map(|row| (row.id, SessionRow::of(row))).collect();
        let new = self.transactions.run(sql, batch.transactions, bind).await?;
        let new: HashSet<Uuid> = new.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        let early = early_decisions(sql, &new).await?;
        let mut added = BTreeMap::<Uuid, SessionRow>::new();
        // A transaction that comes twice, from the queue and from the journal, counts once.
        for (id, mut row) in sessions.into_iter().filter(|(id, _)| new.contains(id)) {
            row.events += early.get(&id).copied().unwrap_or_default();
            let row = match added.remove(&row.key) {
                Some(other) => other.and(row),
                None => row,
            };
            added.insert(row.key, row);
        }
        let late = self
            .late
            .run(sql, batch.late, |row, values| {
                values.extend([row.id.into(), row.transaction.into(), row.decision.into()]);
            })
            .await?;
        let late: Vec<Uuid> = late.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        add_events(sql, &mut added, &late).await?;
        // All sessions at once, since they are locked in the order of their keys.
        self.sessions.run(sql, added).await?;
        self.references.run(sql, batch.references).await?;
        let texts = batch.texts.into_iter().filter(|row| new.contains(&row.transaction)).collect();
        self.texts.run(sql, texts).await?;
        self.logs.run(sql, batch.logs).await?;
        Ok(())
    }
}

/// How many transactions one statement asks for, so that it stays prepared.
const ASKED: [usize; 2] = [16, 256];

/// How many late decisions are there already of transactions that have just been stored.
pub(crate) async fn early_decisions(sql: &mut Sql<'_>, new: &HashSet<Uuid>) -> Result<HashMap<Uuid, i64>, sqlx::Error> {
    let mut found = HashMap::new();
    let ids: Vec<Uuid> = new.iter().copied().collect();
    for some in ids.chunks(ASKED[1]) {
        let size = if some.len() <= ASKED[0] { ASKED[0] } else { ASKED[1] };
        let mut query = Query::new("SELECT transaction_id, COUNT(*) FROM late_decisions WHERE transaction_id IN ");
        query.push_list(some.iter().copied().chain(some.last().copied().into_iter().cycle()).take(size));
        query.push(" GROUP BY transaction_id");
        for row in sql.all(query).await? {
            found.insert(row.get(0)?, row.get(1)?);
        }
    }
    Ok(found)
}

fn bind(row: TransactionRow, values: &mut Vec<Value>) {
    let [upstream, method, url] = row.upstream.map_or([None, None, None], |parts| parts.map(Some));
    values.extend([
        row.id.into(),
        row.session_key.into(),
        row.session.into(),
        row.credential.into(),
        row.started_at.into(),
        row.first_byte_at.into(),
        row.ended_at.into(),
        row.dialect.into(),
        row.path.into(),
        row.turn.into(),
        row.user_id.into(),
        row.model.into(),
        row.streamed.into(),
        row.policy.into(),
        row.status.into(),
        row.http_status.into(),
        row.error.into(),
        row.evaluation.into(),
        row.event_count.into(),
        row.preview.into(),
        row.history.into(),
        row.request.into(),
        upstream.into(),
        method.into(),
        url.into(),
        row.upstream_dialect.into(),
        row.edited_request.into(),
        row.upstream_request.into(),
        row.upstream_status.into(),
        row.upstream_headers.into(),
        row.upstream_response.into(),
        row.client_response.into(),
        row.decisions.into(),
        row.events.into(),
    ]);
}

/// One transaction; `None` if there is none of this id.
pub(crate) async fn one(sql: &mut Sql<'_>, id: Uuid) -> Result<Option<TransactionRow>, sqlx::Error> {
    let row = sql.one(Query::new("SELECT * FROM transactions WHERE id = ?").bind(id)).await?;
    row.as_ref().map(read).transpose()
}

/// Those of these ids that are there.
pub(crate) async fn known(sql: &mut Sql<'_>, ids: impl Iterator<Item = Uuid>) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut query = Query::new("SELECT id FROM transactions WHERE id IN ");
    query.push_list(ids);
    sql.all(query).await?.iter().map(|row| row.get(0)).collect()
}

/// Transactions that have no session yet, the oldest first, with the key that it will have.
pub(crate) async fn without_session(sql: &mut Sql<'_>, most: u32) -> Result<Vec<TransactionRow>, sqlx::Error> {
    let query = Query::new("SELECT * FROM transactions WHERE session_key IS NULL ORDER BY started_at, id LIMIT ?");
    sql.all(query.bind(most)).await?.iter().map(read).collect()
}

/// Puts a transaction into its session; `false` if another process has done so.
pub(crate) async fn set_session(sql: &mut Sql<'_>, id: Uuid, session: Uuid) -> Result<bool, sqlx::Error> {
    let query = Query::new("UPDATE transactions SET session_key = ? WHERE id = ? AND session_key IS NULL");
    Ok(sql.run(query.bind(session).bind(id)).await? > 0)
}

/// A session's transactions, in the order of their start.
pub(crate) async fn ids_of_session(sql: &mut Sql<'_>, session: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    let query = Query::new("SELECT id FROM transactions WHERE session_key = ? ORDER BY started_at, id");
    sql.all(query.bind(session)).await?.iter().map(|row| row.get(0)).collect()
}

/// Those of these transactions that are there, in any order.
pub(crate) async fn several(sql: &mut Sql<'_>, ids: &[Uuid]) -> Result<Vec<TransactionRow>, sqlx::Error> {
    let mut query = Query::new("SELECT * FROM transactions WHERE id IN ");
    query.push_list(ids.iter().copied());
    sql.all(query).await?.iter().map(read).collect()
}

/// The late decisions of a transaction, as JSON, in the order they came.
pub(crate) async fn late_decisions(sql: &mut Sql<'_>, id: Uuid) -> Result<Vec<String>, sqlx::Error> {
    let query = Query::new("SELECT decision FROM late_decisions WHERE transaction_id = ? ORDER BY id");
    sql.all(query.bind(id)).await?.iter().map(|row| row.get(0)).collect()
}

fn read(row: &Row) -> Result<TransactionRow, sqlx::Error> {
    let upstream: [Option<String>; 3] = [row.get("upstream")?, row.get("upstream_method")?, row.get("upstream_url")?];
    let (session, credential): (String, Vec<u8>) = (row.get("session")?, row.get("credential")?);
    let key: Option<Uuid> = row.get("session_key")?;
    Ok(TransactionRow {
        id: row.get("id")?,
        session_key: key.unwrap_or_else(|| session_key(&session, &credential)),
        session,
        credential,
        started_at: row.get("started_at")?,
        first_byte_at: row.get("first_byte_at")?,
        ended_at: row.get("ended_at")?,
        dialect: row.get("dialect")?,
        path: row.get("path")?,
        turn: row.get("turn")?,
        user_id: row.get("user_id")?,
        model: row.get("model")?,
        streamed: row.get("streamed")?,
        policy: row.get("policy")?,
        status: row.get("status")?,
        http_status: status(row.get("http_status")?)?,
        error: row.get("error")?,
        evaluation: row.get("evaluation")?,
        event_count: row.get("event_count")?,
        preview: row.get("preview")?,
        history: row.get("history")?,
        request: row.get("request")?,
        upstream: match upstream {
            [Some(name), Some(method), Some(url)] => Some([name, method, url]),
            _ => None,
        },
        upstream_dialect: row.get("upstream_dialect")?,
        edited_request: row.get("edited_request")?,
        upstream_request: row.get("upstream_request")?,
        upstream_status: status(row.get("upstream_status")?)?,
        upstream_headers: row.get("upstream_headers")?,
        upstream_response: row.get("upstream_response")?,
        client_response: row.get("client_response")?,
        decisions: row.get("decisions")?,
        events: row.get("events")?,
    })
}

fn status(number: Option<i64>) -> Result<Option<u16>, sqlx::Error> {
    number.map(u16::try_from).transpose().map_err(|error| sqlx::Error::Decode(error.into()))
}
