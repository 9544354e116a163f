//! Calls and their events, for debugging.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::messages::{self, json_or_text};
use super::notes::decision_event;
use crate::model::{Status, TransactionId};
use crate::store::{Store, StoreError, TransactionDetail};

/// The latest calls.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Calls {
    /// Latest first.
    pub calls: Vec<CallSummary>,
    /// How many there are in all.
    pub total: u64,
}

/// One call in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
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

/// How far a call went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// How it ended.
    pub(crate) status: Status,
    /// A request went upstream.
    pub(crate) sent: bool,
    /// An answer came from there, or one went to the client.
    pub(crate) answered: bool,
    /// Something went to the client.
    pub(crate) responded: bool,
}

/// The events of every such call, in order, those of policies left out.
pub(crate) fn lifecycle(course: Course, streamed: bool) -> Vec<&'static str> {
    let mut out = vec!["pipeline.client_request", "transaction.request_recorded"];
    if course.sent {
        out.push("pipeline.backend_request");
    }
    if course.answered || course.responded {
        out.push(if streamed {
            "transaction.streaming_response_recorded"
        } else {
            "transaction.non_streaming_response_recorded"
        });
    }
    if course.responded {
        out.push("pipeline.client_response");
    }
    match course.status {
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
    Ok(store.transaction(id).await?.map(|call| detail(&call)))
}

fn detail(call: &TransactionDetail) -> CallDetail {
    let (call_id, session_id) = (call.id.to_string(), call.session_id.clone());
    let event = |event_type: &str, timestamp, payload| CallEvent {
        call_id: call_id.clone(),
        event_type: event_type.to_owned(),
        timestamp,
        hook: event_type.to_owned(),
        payload,
        session_id: session_id.clone(),
    };
    let course = Course {
        status: call.status,
        sent: call.upstream_request.is_some(),
        answered: call.upstream_status.is_some(),
        responded: call.http_status.is_some(),
    };
    let mut events = Vec::new();
    let mut policies_told = false;
    for event_type in lifecycle(course, call.streamed) {
        if !REQUEST_SIDE.contains(&event_type) && !std::mem::replace(&mut policies_told, true) {
            // Policies have spoken once the request was sent, before the answer was.
            events.extend(call.events.iter().map(|policy| event(&policy.event_type, policy.at, policy.data.clone())));
            events.extend(call.decisions.iter().map(|decision| {
                let payload = serde_json::to_value(decision).unwrap_or_default();
                event(&decision_event(decision), call.ended, payload)
            }));
        }
        let timestamp = if REQUEST_SIDE.contains(&event_type) { call.at } else { call.ended };
        events.push(event(event_type, timestamp, payload(call, event_type)));
    }
    CallDetail {
        call_id: call.id.to_string(),
        events,
        trace_url: None,
        tempo_trace_url: None,
        session_id: call.session_id.clone(),
    }
}

const REQUEST_SIDE: [&str; 3] = ["pipeline.client_request", "transaction.request_recorded", "pipeline.backend_request"];

fn payload(call: &TransactionDetail, event_type: &str) -> Value {
    let came = || messages::as_json(call.upstream_dialect(), &call.upstream_response);
    let went = || messages::as_json(call.dialect, call.client_response());
    match event_type {
        "pipeline.client_request" => json!({
            "path": call.path, "dialect": call.dialect.name(), "policy": call.policy, "user_id": call.user_id,
            "body": json_or_text(&call.request),
        }),
        "transaction.request_recorded" => {
            let sent = call.upstream_request.as_ref().and_then(|sent| messages::request(sent.dialect, &sent.body));
            let sent = sent.or_else(|| messages::request(call.dialect, call.final_request()));
            let final_model = sent.map_or_else(|| call.model.clone(), |sent| sent.model().to_owned());
            json!({
                "original_model": call.model, "final_model": final_model,
                "original_request": json_or_text(&call.request), "final_request": json_or_text(call.final_request()),
            })
        }
        "pipeline.backend_request" => call.upstream_request.as_ref().map_or(Value::Null, |sent| {
            json!({
                "upstream": sent.upstream, "dialect": sent.dialect.name(), "method": sent.method, "url": sent.url,
                "body": json_or_text(&sent.body),
            })
        }),
        "transaction.streaming_response_recorded" | "transaction.non_streaming_response_recorded" => json!({
            "original_response": came(), "final_response": went(),
            "upstream_status": call.upstream_status, "upstream_headers": call.upstream_headers,
            "evaluation": call.evaluation,
        }),
        "pipeline.client_response" => json!({"http_status": call.http_status, "first_byte_at": call.first_byte}),
        _ => json!({"status": call.status, "error": call.error}),
    }
}
