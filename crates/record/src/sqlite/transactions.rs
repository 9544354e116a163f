//! Transactions in SQLite: rows written whole, once, and read back.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Connection as _, Row as _, SqliteConnection};

use super::bodies::{BodyInserts, ContentRow, NodeRow};
use super::insert::Insert;
use crate::body::Hash;

/// A transaction's row.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionRow {
    pub(crate) id: [u8; 16],
    pub(crate) session: String,
    pub(crate) credential: Vec<u8>,
    pub(crate) started_at: i64,
    pub(crate) first_byte_at: Option<i64>,
    pub(crate) ended_at: i64,
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
    pub(crate) id: [u8; 16],
    pub(crate) transaction: [u8; 16],
    pub(crate) decision: String,
}

/// Everything that one batch stores.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) contents: Vec<ContentRow>,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) transactions: Vec<TransactionRow>,
    pub(crate) late: Vec<LateRow>,
}

const COLUMNS: [&str; 33] = [
    "id",
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
}

impl BatchInserts {
    pub(crate) fn new() -> Self {
        Self {
            bodies: BodyInserts::new(),
            transactions: Insert::new("transactions", &COLUMNS),
            late: Insert::new("late_decisions", &["id", "transaction_id", "decision"]),
        }
    }

    /// Stores the batch in one database transaction: all of it or nothing.
    pub(crate) async fn run(&self, connection: &mut SqliteConnection, batch: Batch) -> Result<(), sqlx::Error> {
        let mut work = connection.begin_with("BEGIN IMMEDIATE").await?;
        self.bodies.run(&mut work, batch.contents, batch.nodes).await?;
        self.transactions.run(&mut work, batch.transactions, bind).await?;
        self.late
            .run(&mut work, batch.late, |row, values| {
                values.add(row.id.to_vec())?;
                values.add(row.transaction.to_vec())?;
                values.add(row.decision)
            })
            .await?;
        work.commit().await
    }
}

fn bind(row: TransactionRow, values: &mut SqliteArguments) -> Result<(), sqlx::error::BoxDynError> {
    values.reserve(COLUMNS.len(), 0);
    values.add(row.id.to_vec())?;
    values.add(row.session)?;
    values.add(row.credential)?;
    values.add(row.started_at)?;
    values.add(row.first_byte_at)?;
    values.add(row.ended_at)?;
    values.add(row.dialect)?;
    values.add(row.path)?;
    values.add(row.turn)?;
    values.add(row.user_id)?;
    values.add(row.model)?;
    values.add(row.streamed)?;
    values.add(row.policy)?;
    values.add(row.status)?;
    values.add(row.http_status)?;
    values.add(row.error)?;
    values.add(row.evaluation)?;
    values.add(row.event_count)?;
    values.add(row.preview)?;
    values.add(row.history.map(|hash| hash.to_vec()))?;
    values.add(row.request)?;
    let [upstream, method, url] = row.upstream.map_or([None, None, None], |parts| parts.map(Some));
    values.add(upstream)?;
    values.add(method)?;
    values.add(url)?;
    values.add(row.upstream_dialect)?;
    values.add(row.edited_request)?;
    values.add(row.upstream_request)?;
    values.add(row.upstream_status)?;
    values.add(row.upstream_headers)?;
    values.add(row.upstream_response)?;
    values.add(row.client_response)?;
    values.add(row.decisions)?;
    values.add(row.events)
}

/// One transaction; `None` if there is none of this id.
pub(crate) async fn one(
    connection: &mut SqliteConnection,
    id: &[u8; 16],
) -> Result<Option<TransactionRow>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM transactions WHERE id = ?").bind(&id[..]).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// A session's transactions, in the order of their start.
pub(crate) async fn of_session(
    connection: &mut SqliteConnection,
    session: &str,
    credential: &[u8],
) -> Result<Vec<TransactionRow>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM transactions WHERE session = ? AND credential = ? ORDER BY id")
        .bind(session)
        .bind(credential)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// The late decisions of a transaction, as JSON, in the order they came.
pub(crate) async fn late_decisions(
    connection: &mut SqliteConnection,
    id: &[u8; 16],
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT decision FROM late_decisions WHERE transaction_id = ? ORDER BY id")
        .bind(&id[..])
        .fetch_all(connection)
        .await
}

fn read(row: &SqliteRow) -> Result<TransactionRow, sqlx::Error> {
    let wrong = || sqlx::Error::Decode("an id or hash of the wrong length".into());
    let hash: Option<Vec<u8>> = row.try_get("history")?;
    let upstream: [Option<String>; 3] =
        [row.try_get("upstream")?, row.try_get("upstream_method")?, row.try_get("upstream_url")?];
    Ok(TransactionRow {
        id: row.try_get::<&[u8], _>("id")?.try_into().map_err(|_| wrong())?,
        session: row.try_get("session")?,
        credential: row.try_get("credential")?,
        started_at: row.try_get("started_at")?,
        first_byte_at: row.try_get("first_byte_at")?,
        ended_at: row.try_get("ended_at")?,
        dialect: row.try_get("dialect")?,
        path: row.try_get("path")?,
        turn: row.try_get("turn")?,
        user_id: row.try_get("user_id")?,
        model: row.try_get("model")?,
        streamed: row.try_get("streamed")?,
        policy: row.try_get("policy")?,
        status: row.try_get("status")?,
        http_status: row.try_get("http_status")?,
        error: row.try_get("error")?,
        evaluation: row.try_get("evaluation")?,
        event_count: row.try_get("event_count")?,
        preview: row.try_get("preview")?,
        history: hash.map(|hash| hash.try_into().map_err(|_| wrong())).transpose()?,
        request: row.try_get("request")?,
        upstream: match upstream {
            [Some(name), Some(method), Some(url)] => Some([name, method, url]),
            _ => None,
        },
        upstream_dialect: row.try_get("upstream_dialect")?,
        edited_request: row.try_get("edited_request")?,
        upstream_request: row.try_get("upstream_request")?,
        upstream_status: row.try_get("upstream_status")?,
        upstream_headers: row.try_get("upstream_headers")?,
        upstream_response: row.try_get("upstream_response")?,
        client_response: row.try_get("client_response")?,
        decisions: row.try_get("decisions")?,
        events: row.try_get("events")?,
    })
}
