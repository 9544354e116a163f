//! What the record knows of a transaction: the value types that the gateway hands over and that queries give back.

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A transaction's id: UUID v7, so that ids sort by time. The same value is in the response headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub Uuid);

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known when a request has been accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Start {
    /// The id.
    pub id: TransactionId,
    /// When the request's head had arrived.
    pub at: Timestamp,
    /// The dialect of the path.
    pub dialect: Dialect,
    /// The path with its query, as requested.
    pub path: String,
    /// `false` for calls that are no turn of a conversation (`count_tokens` and other side endpoints).
    pub conversation: bool,
    /// The session as the client named it.
    pub session_id: Option<String>,
    /// The user, where one is known.
    pub user_id: Option<String>,
    /// Which credential the client came with, as a keyed hash: sessions are told apart by it. Never the credential.
    pub credential: Option<[u8; 16]>,
    /// The model the client asked for; empty if the body could not be read.
    pub model: String,
    /// The client asked for a stream.
    pub streamed: bool,
    /// The request body, decoded; empty if it never arrived. Serialised apart: it may be large.
    #[serde(skip)]
    pub request: Bytes,
    /// Which policy is active: its name and version, as in the response header.
    pub policy: String,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CallStatus)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The client got an answer to its end.
    Completed,
    /// The upstream refused, or failed before an answer.
    UpstreamError,
    /// The upstream failed within its answer.
    UpstreamBroken,
    /// The gateway refused the request (bad input, limits, credentials).
    Refused,
    /// The client went before the end.
    ClientDisconnected,
    /// The gateway died or was stopped before the end; found in the journal at the next start.
    Interrupted,
}

impl Status {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Completed, "completed"),
        (Self::UpstreamError, "upstream_error"),
        (Self::UpstreamBroken, "upstream_broken"),
        (Self::Refused, "refused"),
        (Self::ClientDisconnected, "client_disconnected"),
        (Self::Interrupted, "interrupted"),
    ];

    /// The name in the record.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(value, _)| *value == self).map_or("", |(_, name)| name)
    }

    /// The value of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
    }
}

/// Whether content was evaluated, over the whole transaction (W-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluation {
    /// No policy watches this.
    None,
    /// Every watched thing was decided, and none changed.
    Passed,
    /// Something was changed or blocked.
    Intervened,
    /// A policy failed and let something through.
    FailedOpen,
    /// The end came before everything watched was decided; what was undecided did not go out.
    NotEvaluated,
}

impl Evaluation {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::None, "none"),
        (Self::Passed, "passed"),
        (Self::Intervened, "intervened"),
        (Self::FailedOpen, "failed_open"),
        (Self::NotEvaluated, "not_evaluated"),
    ];

    /// The name in the record.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(value, _)| *value == self).map_or("", |(_, name)| name)
    }

    /// The value of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
    }
}

/// One decision of one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The policy's native name.
    pub policy: String,
    /// What it was about: `{"kind": "tool_call", "id": …, "name": …, "block": …}`, as the policy crate writes it.
    pub target: Value,
    /// `pass`, `replace`, `drop`, `ask` or `block`; of requests also `refuse`, `route` and `credential`.
    pub action: String,
    /// `enforce`, `shadow`, or `overruled` where others in the same group outweighed it.
    pub mode: String,
    /// The answer follows from `on_error`.
    pub failed: bool,
    /// The suspicion score, 0 to 1.
    pub score: Option<f64>,
    /// Why.
    pub reason: Option<String>,
    /// Microseconds from question to answer.
    pub micros: u64,
}

/// An event of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// `policy.<name>.<what>`.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub data: Value,
}

/// Names and values of headers, in order, credentials already taken out.
pub type Headers = Vec<(String, String)>;

/// The heads of one HTTP exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// The request's method.
    pub method: String,
    /// Where it went, without credentials.
    pub url: String,
    /// Its headers, credentials masked.
    pub request_headers: Headers,
    /// The answer's headers, credentials masked.
    pub response_headers: Headers,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When the last of the answer had come or gone.
    pub completed_at: Option<Timestamp>,
}

/// The heads of a transaction's raw HTTP: bodies and the rest are pieces of the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawHeads {
    /// Between client and gateway.
    pub inbound: Heads,
    /// Between gateway and the upstream that was asked last.
    pub outbound: Option<Heads>,
}

/// What is known when a transaction has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How.
    pub status: Status,
    /// The HTTP status that the client got, if any went out.
    pub http_status: Option<u16>,
    /// What went wrong, in words; none if nothing did.
    pub error: Option<String>,
    /// What was evaluated.
    pub evaluation: Evaluation,
}
