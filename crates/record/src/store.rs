//! Queries: what has been recorded, given back whole.

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use sqlx::{Connection as _, SqlitePool};
use uuid::Uuid;

use crate::recorder::OpenError;
use crate::sqlite::{self, Database};

mod names;
mod policies;
mod rebuild;

pub use policies::{StoredAssignment, StoredPanic, StoredPolicy};
use rebuild::Rebuild;

use crate::model::{Decision, Evaluation, Event, Headers, Status, TransactionId};

/// What has been recorded, over read connections of its own. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    editor: SqlitePool,
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or refused.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// What it holds cannot be read back.
    #[error("the record of {what} is damaged: {why}")]
    Damaged {
        /// Of what.
        what: String,
        /// What does not fit.
        why: String,
    },
}

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// At most this many.
    pub limit: u32,
    /// After this many.
    pub offset: u32,
    /// With a turn of this user.
    pub user_id: Option<String>,
    /// With a turn that asked for or got this model.
    pub model: Option<String>,
    /// With a turn at or after this time.
    pub from: Option<Timestamp>,
    /// With a turn before this time.
    pub to: Option<Timestamp>,
    /// With this text in what a user asked (letter case aside).
    pub q: Option<String>,
    /// With (`true`) or without (`false`) an intervention of a policy.
    pub policy_intervention: Option<bool>,
}

/// One session in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// The id by which [`Store::session`] finds it.
    pub session_id: String,
    /// The key that it came with, as its credential's hash in hexadecimal digits; empty for none.
    pub key: String,
    /// Its first transaction.
    pub first: Timestamp,
    /// Its last transaction.
    pub last: Timestamp,
    /// Turns of the conversation; preflight calls do not count.
    pub turns: u64,
    /// Events of all its transactions.
    pub events: u64,
    /// Turns in which a policy intervened.
    pub interventions: u64,
    /// The models asked for, sorted.
    pub models: Vec<String>,
    /// The users, sorted.
    pub users: Vec<String>,
    /// What the user asked first.
    pub preview: Option<String>,
}

/// A page of sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionPage {
    /// Latest first.
    pub sessions: Vec<SessionRow>,
    /// How many there are in all.
    pub total: u64,
}

/// One call in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRow {
    /// The transaction.
    pub id: TransactionId,
    /// Its session's id.
    pub session_id: String,
    /// How many events it has.
    pub events: u64,
    /// When it ended.
    pub latest: Timestamp,
}

/// The latest calls.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// Latest first.
    pub calls: Vec<CallRow>,
    /// How many there are in all.
    pub total: u64,
}

/// What was sent upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamRequest {
    /// The upstream's name.
    pub upstream: String,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// What the upstream speaks.
    pub dialect: Dialect,
    /// The body; the client's own where nothing was changed.
    pub body: Bytes,
}

/// A transaction with its bodies, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionDetail {
    /// The id.
    pub id: TransactionId,
    /// The id by which [`Store::session`] finds its session.
    pub session_id: String,
    /// When the request's head had arrived.
    pub at: Timestamp,
    /// When the first byte went to the client.
    pub first_byte: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// The dialect.
    pub dialect: Dialect,
    /// The path with its query.
    pub path: String,
    /// It is a turn of a conversation: no side endpoint and no preflight call.
    pub turn: bool,
    /// The user, where known.
    pub user_id: Option<String>,
    /// The model asked for.
    pub model: String,
    /// The client asked for a stream.
    pub streamed: bool,
    /// The policy that was active.
    pub policy: String,
    /// How it ended.
    pub status: Status,
    /// The HTTP status that the client got.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What was evaluated.
    pub evaluation: Evaluation,
    /// The client's request.
    pub request: Bytes,
    /// What the policies made of it, in the client's dialect; none where they changed nothing.
    pub edited_request: Option<Bytes>,
    /// What was sent upstream; none if nothing was.
    pub upstream_request: Option<UpstreamRequest>,
    /// The upstream's HTTP status; none if it gave none.
    pub upstream_status: Option<u16>,
    /// The upstream's headers.
    pub upstream_headers: Headers,
    /// The upstream's answer, as received.
    pub upstream_response: Bytes,
    /// The client's answer, as sent, where it was not the upstream's.
    pub own_response: Option<Bytes>,
    /// The decisions, late ones last.
    pub decisions: Vec<Decision>,
    /// The policies' events.
    pub events: Vec<Event>,
    /// For each message of the request, what it and those before it mean, as a hash: equal in two transactions as far as the
    /// one resends the other's history, whatever cache marks and spelling. Empty where the body has no messages.
    pub identities: Vec<[u8; 32]>,
}

impl TransactionDetail {
    /// What the client got.
    pub fn client_response(&self) -> &Bytes {
        self.own_response.as_ref().unwrap_or(&self.upstream_response)
    }
    /// The client's request as the policies left it, in the client's dialect.
    pub fn final_request(&self) -> &Bytes {
        self.edited_request.as_ref().unwrap_or(&self.request)
    }
    /// What the upstream speaks: its answer is to be read so.
    pub fn upstream_dialect(&self) -> Dialect {
        self.upstream_request.as_ref().map_or(self.dialect, |sent| sent.dialect)
    }
    /// The upstream speaks another dialect than the client.
    pub fn converted(&self) -> bool {
        self.upstream_dialect() != self.dialect
    }
}

/// A session with its transactions.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The id by which it was found.
    pub session_id: String,
    /// In the order of their start.
    pub transactions: Vec<TransactionDetail>,
}

impl Store {
    pub(crate) fn new(database: &Database) -> Self {
        Self { readers: database.readers(), editor: database.editor() }
    }

    /// Opens a record for reading beside whoever writes it. The database must be there and of this version.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let database = Database::parse(url)?;
        let checked = database.connect(false).await?;
        checked.close().await.map_err(|source| OpenError::Database { url: url.into(), source })?;
        Ok(Self::new(&database))
    }

    /// Closes the connections. Queries fail from then on.
    pub async fn close(&self) {
        self.readers.close().await;
        self.editor.close().await;
    }

    /// The sessions that `filter` names, latest first.
    pub async fn sessions(&self, filter: &SessionFilter) -> Result<SessionPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let total = unsigned(sqlite::sessions::count(&mut connection, filter).await?);
        let mut page = SessionPage { sessions: Vec::new(), total };
        for row in sqlite::sessions::list(&mut connection, filter).await? {
            let session_id = names::public(&mut connection, &row.session, &row.credential).await?;
            page.sessions.push(SessionRow {
                session_id,
                key: names::digits(&row.credential, row.credential.len()),
                first: time(row.first)?,
                last: time(row.last)?,
                turns: unsigned(row.turns),
                events: unsigned(row.events),
                interventions: unsigned(row.interventions),
                models: sorted(&row.models),
                users: sorted(&row.users),
                preview: row.preview,
            });
        }
        Ok(page)
    }

    /// A session with all its transactions; none if the id is unknown.
    pub async fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let Some((session, credential)) = names::find(&mut connection, id).await? else { return Ok(None) };
        let rows = sqlite::transactions::of_session(&mut connection, &session, &credential).await?;
        let session_id = names::public(&mut connection, &session, &credential).await?;
        let mut rebuild = Rebuild::new(&mut connection);
        let mut transactions = Vec::with_capacity(rows.len());
        for row in rows {
            transactions.push(rebuild.detail(row, session_id.clone()).await?);
        }
        Ok(Some(Session { session_id, transactions }))
    }

    /// The latest `limit` calls.
    pub async fn calls(&self, limit: u32) -> Result<CallPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let total = unsigned(sqlite::calls::count(&mut connection).await?);
        let mut page = CallPage { calls: Vec::new(), total };
        for row in sqlite::calls::latest(&mut connection, limit).await? {
            let session_id = names::public(&mut connection, &row.session, &row.credential).await?;
            let id = Uuid::from_slice(&row.id).map_err(|error| damaged("a call", error))?;
            let latest = time(row.ended_at)?;
            page.calls.push(CallRow { id: TransactionId(id), session_id, events: unsigned(row.events), latest });
        }
        Ok(page)
    }

    /// A transaction with its bodies; none if the id is unknown.
    pub async fn transaction(&self, id: TransactionId) -> Result<Option<TransactionDetail>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let Some(row) = sqlite::transactions::one(&mut connection, id.0.as_bytes()).await? else { return Ok(None) };
        let session_id = names::public(&mut connection, &row.session, &row.credential).await?;
        Rebuild::new(&mut connection).detail(row, session_id).await.map(Some)
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|error| damaged("a time", error))
}

fn damaged(what: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.into(), why: why.to_string() }
}

fn sorted(json: &str) -> Vec<String> {
    let mut names: Vec<String> = serde_json::from_str(json).unwrap_or_default();
    names.sort();
    names
}
