//! One transaction as a line of JSON, whole: what is written down here can be read back without the database.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{Decision, Evaluation, Event, Headers, Status, TransactionId};
use crate::store::TransactionDetail;

/// The version of the form.
const VERSION: u8 = 1;

/// A transaction in an archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Archived {
    /// The version of this form, 1.
    pub luthien_transaction: u8,
    /// The id.
    pub id: TransactionId,
    /// The session as its client named it; the transaction's own id where it named none.
    pub session: String,
    /// Which credential the client came with: a keyed hash in hexadecimal digits, empty where it came with none.
    pub credential: String,
    /// When the request's head had arrived.
    pub started_at: Timestamp,
    /// When the first byte went to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The client's dialect.
    pub dialect: Dialect,
    /// The path with its query.
    pub path: String,
    /// It is a turn of a conversation.
    pub turn: bool,
    /// The user, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was evaluated.
    pub evaluation: Evaluation,
    /// The client's request.
    pub request: Body,
    /// What the policies made of it, in the client's dialect; left out where they changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_request: Option<Body>,
    /// What was sent upstream and what came; left out where nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Sent>,
    /// The client's answer; left out where it is the upstream's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_response: Option<Body>,
    /// The policies' decisions, late ones last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The policies' events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// The upstream's side of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The upstream's name.
    pub name: String,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// The body that was sent; left out where it is the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Body>,
    /// Its HTTP status; left out where it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its headers, names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers,
    /// Its answer, as received.
    pub response: Body,
}

impl Archived {
    /// The line of a transaction of this session and credential.
    pub(crate) fn new(detail: TransactionDetail, session: String, credential: &[u8]) -> Self {
        let TransactionDetail { request, upstream_request, upstream_response, .. } = detail;
        let upstream = upstream_request.map(|sent| Sent {
            name: sent.upstream,
            method: sent.method,
            url: sent.url,
            dialect: sent.dialect,
            request: (sent.body != request).then_some(Body(sent.body)),
            status: detail.upstream_status,
            headers: detail.upstream_headers,
            response: Body(upstream_response),
        });
        Self {
            luthien_transaction: VERSION,
            id: detail.id,
            session,
            credential: digits(credential),
            started_at: detail.at,
            first_byte_at: detail.first_byte,
            ended_at: detail.ended,
            dialect: detail.dialect,
            path: detail.path,
            turn: detail.turn,
            user_id: detail.user_id,
            model: detail.model,
            streamed: detail.streamed,
            policy: detail.policy,
            status: detail.status,
            http_status: detail.http_status,
            error: detail.error,
            evaluation: detail.evaluation,
            request: Body(request),
            edited_request: detail.edited_request.map(Body),
            upstream,
            client_response: detail.own_response.map(Body),
            decisions: detail.decisions,
            events: detail.events,
        }
    }

    /// Reads a line. The error says what does not fit.
    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        let read: Self = serde_json::from_str(line)?;
        if read.luthien_transaction != VERSION {
            let found = Unexpected::Unsigned(read.luthien_transaction.into());
            return Err(serde_json::Error::invalid_value(found, &"version 1 of an archived transaction"));
        }
        Ok(read)
    }
}

/// A body's bytes: in JSON a text where they are UTF-8, else `{"base64": …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub Bytes);

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Written::Encoded { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into())),
            Written::Encoded { base64 } => {
                STANDARD.decode(base64).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Encoded { base64: String },
}

fn digits(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(2 * hash.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
