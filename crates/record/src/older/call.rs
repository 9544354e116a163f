//! One call of an older proxy becomes a transaction: its events are put together.

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::shape::{dialect, path};
use crate::import::{Imported, ImportedAnswer, ImportedRequest};
use crate::model::{End, Evaluation, Event, Start, Status, TransactionId};

/// The record of where a transaction came from.
pub(super) const IMPORTED: &str = "record.imported";

/// A call's row.
#[derive(Clone, Debug)]
pub(super) struct CallRow {
    pub(super) id: String,
    pub(super) model: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) status: Option<String>,
    pub(super) session: Option<String>,
    pub(super) user: Option<String>,
    pub(super) created: Timestamp,
    pub(super) completed: Option<Timestamp>,
}

/// An event's row that could be read.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    pub(super) event_type: String,
    pub(super) at: Timestamp,
    pub(super) session: Option<String>,
    /// JSON.
    pub(super) payload: Box<RawValue>,
}

/// What became of a call.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) transaction: Imported,
    /// It was streamed and its two answers are the same one.
    pub(super) one_answer: bool,
}

/// What is taken of the payloads of all events.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow)]
    original_model: Option<&'a RawValue>,
    #[serde(borrow)]
    original_request: Option<&'a RawValue>,
    #[serde(borrow)]
    final_request: Option<&'a RawValue>,
    #[serde(borrow)]
    original_response: Option<&'a RawValue>,
    #[serde(borrow)]
    final_response: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
}

/// A call being put together.
struct Call<'a> {
    row: &'a CallRow,
    /// The client's request, and what the policies made of it.
    request: Option<(Bytes, Bytes)>,
    /// The body of an earlier event, where the request itself was not recorded.
    asked: Option<Bytes>,
    answer: Option<(Bytes, Bytes)>,
    streamed: bool,
    model: Option<String>,
    session: Option<String>,
    user: Option<String>,
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
    last: Timestamp,
    left: bool,
    failed: Option<String>,
    events: Vec<Event>,
}

/// The transaction of a call and its events, in their order.
pub(super) fn transaction(row: &CallRow, events: &[EventRow], from: &str, now: Timestamp) -> Made {
    let mut call = Call {
        row,
        request: None,
        asked: None,
        answer: None,
        streamed: false,
        model: None,
        session: row.session.clone(),
        user: row.user.clone(),
        began: None,
        ended: None,
        last: row.created,
        left: false,
        failed: None,
        events: Vec::new(),
    };
    for event in events {
        call.take(event);
    }
    call.finish(from, now)
}

impl Call<'_> {
    fn take(&mut self, event: &EventRow) {
        self.last = self.last.max(event.at);
        let payload: Told<'_> = serde_json::from_str(event.payload.get()).unwrap_or_default();
        let session = || event.session.clone().or_else(|| text(payload.session_id));
        self.session = self.session.take().or_else(session);
        self.user = self.user.take().or_else(|| text(payload.user_id));
        match event.event_type.as_str() {
            "pipeline.client_request" => {
                self.began.get_or_insert(event.at);
                self.asked = payload.payload.or(payload.body).map(bytes);
            }
            "transaction.request_recorded" => {
                self.model = text(payload.original_model);
                let first = payload.original_request.or(payload.final_request);
                let last = payload.final_request.or(payload.original_request);
                self.request = first.zip(last).map(|(first, last)| (bytes(first), bytes(last)));
            }
            kind @ ("transaction.streaming_response_recorded" | "transaction.non_streaming_response_recorded") => {
                self.streamed = kind == "transaction.streaming_response_recorded";
                let first = payload.original_response.or(payload.final_response);
                let last = payload.final_response.or(payload.original_response);
                self.answer = first.zip(last).map(|(first, last)| (bytes(first), bytes(last)));
            }
            "pipeline.client_response" => self.ended = Some(event.at),
            "transaction.client_disconnected" => self.left = true,
            "transaction.failed" => self.failed = Some(why(&event.payload)),
            // The rest of the pipeline repeats what these have.
            other if other.starts_with("pipeline.") => {}
            _ => {
                let data = serde_json::from_str(event.payload.get()).unwrap_or_default();
                self.events.push(Event { event_type: event.event_type.clone(), at: event.at, data });
            }
        }
    }

    fn finish(mut self, from: &str, now: Timestamp) -> Made {
        let row = self.row;
        let evaluation = self.evaluation();
        let (request, sent) = match self.request.take() {
            Some((first, last)) => (first, Some(last)),
            None => (self.asked.take().unwrap_or_default(), None),
        };
        let answer = self.answer.take();
        let provider = row.provider.as_deref().unwrap_or_default();
        let named = self.model.take().or_else(|| row.model.clone());
        let dialect = dialect(&request, answer.as_ref().map(|(first, _)| first), provider, named.as_deref());
        let at = self.began.unwrap_or(row.created);
        let status = self.status(answer.is_some());
        let one_answer = self.streamed && answer.as_ref().is_some_and(|(first, last)| first == last);
        self.events.push(Event {
            event_type: IMPORTED.into(),
            at: now,
            data: json!({"from": from, "call_id": row.id}),
        });
        let model = named.or_else(|| super::shape::model(&request)).unwrap_or_default();
        let start = Start {
            id: id_of(&row.id),
            at,
            dialect,
            path: path(dialect).into(),
            conversation: true,
            session_id: self.session.filter(|session| !session.is_empty()),
            user_id: self.user.filter(|user| !user.is_empty()),
            credential: None,
            model,
            streamed: self.streamed,
            request,
            policy: "imported".into(),
        };
        let upstream = if provider.is_empty() { vendor(dialect) } else { provider };
        let error = match (&self.failed, status) {
            (Some(why), _) => Some(why.clone()),
            (None, Status::Interrupted) => Some("no answer was recorded there".into()),
            (None, Status::UpstreamError) => {
                Some(format!("it is marked as {} there", row.status.as_deref().unwrap_or_default()))
            }
            (None, _) => None,
        };
        let end = End {
            at: self.ended.or(row.completed).unwrap_or(self.last).max(at),
            status,
            http_status: answer.is_some().then_some(200),
            error,
            evaluation,
        };
        let request = sent.map(|body| ImportedRequest {
            upstream: upstream.into(),
            method: "POST".into(),
            url: String::new(),
            dialect,
            edited: None,
            body,
        });
        let (response, client) = answer.map_or((None, None), |(first, last)| {
            let changed = (first != last).then_some(last);
            (Some(ImportedAnswer { status: 200, headers: Vec::new(), body: first }), changed)
        });
        let transaction = Imported {
            start,
            request,
            response,
            client,
            first_byte: None,
            decisions: Vec::new(),
            events: self.events,
            end,
        };
        Made { transaction, one_answer }
    }

    fn status(&self, answered: bool) -> Status {
        let marked = self.row.status.as_deref().unwrap_or_default().to_ascii_lowercase();
        match (self.left, &self.failed, answered) {
            (true, _, _) => Status::ClientDisconnected,
            (_, Some(_), false) => Status::UpstreamError,
            (_, Some(_), true) => Status::UpstreamBroken,
            (_, None, true) => Status::Completed,
            (_, None, false) if matches!(marked.as_str(), "failed" | "error" | "failure") => Status::UpstreamError,
            (_, None, false) => Status::Interrupted,
        }
    }

    /// What is known of it: bodies that differ, and what the policies said. That they looked is not in that record.
    fn evaluation(&self) -> Evaluation {
        let differ = |pair: &Option<(Bytes, Bytes)>| pair.as_ref().is_some_and(|(first, last)| first != last);
        if differ(&self.request) || differ(&self.answer) || self.events.iter().any(intervened) {
            return Evaluation::Intervened;
        }
        let passed = |event: &Event| event.event_type.ends_with("judge_error") && event.data["on_error"] == "pass";
        if self.events.iter().any(passed) { Evaluation::FailedOpen } else { Evaluation::None }
    }
}

/// Whether a policy's event says that it changed or blocked something.
fn intervened(event: &Event) -> bool {
    let Some(what) = event.event_type.strip_prefix("policy.").and_then(|rest| rest.rsplit('.').next()) else {
        return false;
    };
    let done = ["blocked", "modified", "replaced", "transformed"].iter().any(|word| what.contains(word));
    done || (what == "judge_result" && matches!(event.data["action"].as_str(), Some("replace" | "block")))
}

/// The transaction's id: the call's own where it is a UUID, else one that always comes out the same.
pub(super) fn id_of(call: &str) -> TransactionId {
    if let Ok(id) = call.parse() {
        return TransactionId(id);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"a call of an older proxy\0");
    hasher.update(call.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    TransactionId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn vendor(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "anthropic",
        Dialect::Chat | Dialect::Responses => "openai",
    }
}

fn why(payload: &RawValue) -> String {
    let payload: Value = serde_json::from_str(payload.get()).unwrap_or_default();
    let words = ["error", "message", "reason"].iter().find_map(|name| payload[*name].as_str());
    words.map_or_else(|| payload.to_string(), str::to_owned)
}

fn bytes(raw: &RawValue) -> Bytes {
    Bytes::copy_from_slice(raw.get().as_bytes())
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}
