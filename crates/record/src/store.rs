//! Queries: what has been recorded, given back whole.

use std::collections::HashSet;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use uuid::Uuid;

use crate::archive::Archived;
use crate::database::{Database, DatabaseOptions};
use crate::recorder::OpenError;
use crate::sql::sessions::ListedSession;
use crate::sql::texts::Wanted;
use crate::sql::{self, Pool, Sql};

mod audit;
mod caps;
mod client_keys;
mod credentials;
mod cursor;
mod identity;
mod labels;
mod logins;
mod names;
mod people;
mod policies;
pub(crate) mod rebuild;
mod request_logs;
mod revisions;
mod search;
mod settings;
mod spending;

pub use audit::{AuditEntry, AuditFilter, AuditPage};
pub use caps::StoredCaps;
pub use client_keys::StoredClientKey;
pub use credentials::{SealError, SealedCredential, StoredProvider};
pub use cursor::Cursor;
pub use logins::{LoginKind, StoredLogin};
pub(crate) use names::find;
pub use people::{Added, StoredPerson};
pub use policies::{StoredAssignment, StoredPanic, StoredPolicy};
pub(crate) use rebuild::Pieces;
use rebuild::Rebuild;
pub use request_logs::{RequestLog, RequestLogDetail, RequestLogFilter, RequestLogPage};
pub use revisions::{Revisions, Topic};
pub use settings::StoredSetting;
pub use spending::{Spender, Spent, SpentOn, Totals};

use crate::model::{Decision, Evaluation, Event, Headers, Status, TransactionId};
pub use crate::words::{Search, SearchError};

/// What has been recorded, over read connections of its own. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Store {
    readers: Pool,
    /// For what other processes change and this one must see soon: never behind a slow search.
    follower: Pool,
    editor: Pool,
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
    /// With a turn that has what is searched for, in the request's new part or the answer.
    pub q: Option<Search>,
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
        Self { readers: database.readers(), follower: database.follower(), editor: database.editor() }
    }

    /// Opens a record for reading beside whoever writes it. The database must be there and of this version.
    pub async fn open(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let database = Database::parse(url, options)?;
        // What cannot be closed is closed by the other side.
        let _ = database.connect(false).await?.close().await;
        Ok(Self::new(&database))
    }

    /// Closes the connections. Queries fail from then on.
    pub async fn close(&self) {
        self.readers.close().await;
        self.follower.close().await;
        self.editor.close().await;
    }

    /// Connections for queries.
    pub(crate) fn readers(&self) -> &Pool {
        &self.readers
    }

    /// A connection for what is rarely written.
    pub(crate) fn editor(&self) -> &Pool {
        &self.editor
    }

    /// The sessions that `filter` names, latest first.
    pub async fn sessions(&self, filter: &SessionFilter) -> Result<SessionPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let found = match &filter.q {
            Some(search) => Some(search::found(&mut sql, search, Wanted::Sessions).await?),
            None => None,
        };
        let (rows, total) = sql::sessions::list(&mut sql, filter, found.as_ref()).await?;
        Ok(SessionPage { sessions: Self::listed(&mut sql, rows).await?, total: unsigned(total) })
    }

    /// Rows with what lists show beside them.
    async fn listed(sql: &mut Sql<'_>, rows: Vec<ListedSession>) -> Result<Vec<SessionRow>, StoreError> {
        let keys: Vec<Uuid> = rows.iter().map(|row| row.key).collect();
        let tags = sql::sessions::tags(sql, &keys).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in rows {
            let of = |wanted: &str| {
                let these = tags.iter().filter(|(key, kind, _)| *key == row.key && kind == wanted);
                these.map(|(_, _, value)| value.clone()).collect()
            };
            sessions.push(SessionRow {
                session_id: names::public(sql, &row.session, &row.credential).await?,
                key: names::digits(&row.credential, row.credential.len()),
                first: row.first,
                last: row.last,
                turns: unsigned(row.turns),
                events: unsigned(row.events),
                interventions: unsigned(row.interventions),
                models: of("model"),
                users: of("user"),
                preview: row.preview,
            });
        }
        Ok(sessions)
    }

    /// A session with all its transactions; none if the id is unknown. [`Store::cursor`] gives them one at a time.
    pub async fn session(&self, id: &str) -> Result<Option<Session>, StoreError> {
        let Some(mut cursor) = self.cursor(id).await? else { return Ok(None) };
        let mut transactions = Vec::new();
        while let Some(call) = cursor.next().await? {
            transactions.push(call);
        }
        Ok(Some(Session { session_id: cursor.session().session_id.clone(), transactions }))
    }

    /// The latest `limit` calls.
    pub async fn calls(&self, limit: u32) -> Result<CallPage, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let total = unsigned(sql::calls::count(&mut sql).await?);
        let mut page = CallPage { calls: Vec::new(), total };
        for row in sql::calls::latest(&mut sql, limit).await? {
            let session_id = names::public(&mut sql, &row.session, &row.credential).await?;
            let id = TransactionId(row.id);
            page.calls.push(CallRow { id, session_id, events: unsigned(row.events), latest: row.ended_at });
        }
        Ok(page)
    }

    /// Those of these transactions that are recorded.
    pub async fn recorded(&self, ids: &[TransactionId]) -> Result<HashSet<TransactionId>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let mut connection = self.readers.acquire().await?;
        let ids = ids.iter().map(|id| id.0);
        Ok(sql::transactions::known(&mut connection.sql(), ids).await?.into_iter().map(TransactionId).collect())
    }

    /// A transaction with its bodies; none if the id is unknown.
    pub async fn transaction(&self, id: TransactionId) -> Result<Option<TransactionDetail>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        let Some(row) = sql::transactions::one(&mut sql, id.0).await? else { return Ok(None) };
        let session_id = names::public(&mut sql, &row.session, &row.credential).await?;
        Rebuild::new(&mut sql, &mut Pieces::default()).detail(row, session_id).await.map(Some)
    }

    /// A transaction as an archive keeps it, and how many late decisions it holds at least; none if it is not there. `pieces` are
    /// those that were read for others.
    pub(crate) async fn archived(&self, id: Uuid, pieces: &mut Pieces) -> Result<Option<(Archived, i64)>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut sql = connection.sql();
        // Counted first: what comes meanwhile is then one too many, and keeps the transaction from being removed.
        let late = sql::transactions::late_decisions(&mut sql, id).await?.len();
        let Some(row) = sql::transactions::one(&mut sql, id).await? else { return Ok(None) };
        let (session, credential) = (row.session.clone(), row.credential.clone());
        let line = match Rebuild::new(&mut sql, pieces).detail(row, session.clone()).await {
            Ok(detail) => Archived::new(detail, session, &credential),
            // Deleted meanwhile.
            Err(_) if sql::transactions::one(&mut sql, id).await?.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some((line, i64::try_from(late).unwrap_or(i64::MAX))))
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn damaged(what: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.into(), why: why.to_string() }
}
