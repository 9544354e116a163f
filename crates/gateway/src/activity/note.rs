//! What is kept of an event until somebody wants to see it, and how it looks then.

use std::sync::Arc;

use http::HeaderValue;
use jiff::Timestamp;
use luthien_record::model::{Evaluation, Start, Status, TransactionId};
use luthien_record::redact::Redactor;
use luthien_wire::Dialect;
use serde_json::{Map, Value, json};

use super::ActivityEvent;
use super::bounds::{self, NAME, TEXT, short};

/// An event, not yet rendered. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A transaction got so far.
    Step(Arc<Facts>, Step),
    /// Something happened in a transaction.
    Happened(Arc<Facts>, Arc<Happening>),
    /// Something happened here.
    Rendered(Arc<ActivityEvent>),
    /// Something happened at another gateway.
    Elsewhere(Arc<ActivityEvent>),
}

/// What is known of a transaction from its request on.
#[derive(Debug)]
pub(crate) struct Facts {
    id: TransactionId,
    dialect: Dialect,
    path: Box<str>,
    conversation: bool,
    session_id: Option<Box<str>>,
    user_id: Option<Box<str>>,
    model: Box<str>,
    streamed: bool,
    policy: Box<str>,
    bytes: usize,
    preview: Option<Box<str>>,
}

impl Facts {
    /// As the record has them. `preview` is how the request's last message begins, where that is known.
    pub(crate) fn new(start: &Start, preview: Option<Box<str>>, redactor: &Redactor) -> Self {
        let name = |text: &String| Box::from(short(&redactor.text(text), NAME));
        Self {
            id: start.id,
            dialect: start.dialect,
            path: short(&redactor.text(&start.path), TEXT).into(),
            conversation: start.conversation,
            session_id: start.session_id.as_ref().map(name),
            user_id: start.user_id.as_ref().map(name),
            model: name(&start.model),
            streamed: start.streamed,
            policy: short(&start.policy, TEXT).into(),
            bytes: start.request.len(),
            preview,
        }
    }

    /// What every event of the transaction says.
    fn members(&self) -> Map<String, Value> {
        let members = json!({
            "session_id": self.session_id, "model": self.model, "dialect": self.dialect.name(), "path": self.path,
            "streamed": self.streamed, "user_id": self.user_id,
        });
        if let Value::Object(members) = members { members } else { Map::new() }
    }
}

/// How far a transaction got.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The request is there.
    Asked,
    /// The policies have let it go on, or the transaction ended without that.
    Settled(Option<Arc<Settled>>),
    /// It is sent to an upstream.
    Sent(HeaderValue, Dialect, usize),
    /// The upstream's answer, or what the client got in its place, is there.
    Answered(Arc<Ended>),
    /// The client got an answer.
    Responded(Arc<Ended>),
    /// It ended badly.
    Failed(Arc<Ended>),
    /// The client went.
    Left(Arc<Ended>),
}

/// A request as the policies and the rules for models left it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) final_model: String,
    pub(crate) changed: bool,
    pub(crate) bytes: usize,
}

/// What happened in a transaction, beside its steps.
#[derive(Debug)]
pub(crate) struct Happening {
    pub(crate) event_type: Box<str>,
    pub(crate) data: Value,
}

/// How a transaction ended. Times are microseconds from its beginning.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) http_status: Option<u16>,
    pub(crate) evaluation: Evaluation,
    pub(crate) error: Option<Box<str>>,
    pub(crate) took: i64,
    pub(crate) first_byte: Option<i64>,
    /// Bytes from the upstream, as they came.
    pub(crate) received: usize,
    /// Bytes of the answer's body to the client.
    pub(crate) sent: usize,
}

impl Note {
    /// It was told by another gateway.
    pub(crate) fn is_from_elsewhere(&self) -> bool {
        matches!(self.what, What::Elsewhere(_))
    }

    /// As readers see it. `replica` is this gateway.
    pub(crate) fn rendered(&self, replica: &str) -> Arc<ActivityEvent> {
        let (facts, event_type, data) = match &self.what {
            What::Rendered(event) | What::Elsewhere(event) => return Arc::clone(event),
            What::Step(facts, step) => (facts, step.event_type(facts), step.data(facts)),
            What::Happened(facts, happening) => (facts, &*happening.event_type, happening.data.clone()),
        };
        let mut members = facts.members();
        match data {
            Value::Object(more) => members.extend(more),
            Value::Null => {}
            other => drop(members.insert("value".to_owned(), other)),
        }
        let id = facts.id.to_string();
        Arc::new(ActivityEvent {
            transaction_id: id.clone(),
            call_id: id,
            event_type: event_type.to_owned(),
            timestamp: self.at,
            data: bounds::fitted(Value::Object(members)),
            replica: replica.to_owned(),
        })
    }
}

impl Step {
    /// The name, as the record has it.
    fn event_type(&self, facts: &Facts) -> &'static str {
        match self {
            Self::Asked => "pipeline.client_request",
            Self::Settled(_) => "transaction.request_recorded",
            Self::Sent(..) => "pipeline.backend_request",
            Self::Answered(_) if facts.streamed => "transaction.streaming_response_recorded",
            Self::Answered(_) => "transaction.non_streaming_response_recorded",
            Self::Responded(_) => "pipeline.client_response",
            Self::Failed(_) => "transaction.failed",
            Self::Left(_) => "transaction.client_disconnected",
        }
    }

    /// What it says beside what all events of the transaction say.
    fn data(&self, facts: &Facts) -> Value {
        match self {
            Self::Asked => json!({
                "conversation": facts.conversation, "policy": facts.policy, "bytes": facts.bytes,
                "preview": facts.preview,
            }),
            Self::Settled(None) => {
                json!({"original_model": facts.model, "final_model": facts.model, "changed": false, "bytes": facts.bytes})
            }
            Self::Settled(Some(settled)) => json!({
                "original_model": facts.model, "final_model": settled.final_model, "changed": settled.changed,
                "bytes": settled.bytes,
            }),
            Self::Sent(upstream, dialect, bytes) => json!({
                "upstream": upstream.to_str().unwrap_or_default(), "upstream_dialect": dialect.name(), "bytes": bytes,
            }),
            Self::Answered(ended) => json!({
                "evaluation": ended.evaluation, "received_bytes": ended.received, "sent_bytes": ended.sent,
                "took_ms": ms(ended.took),
            }),
            Self::Responded(ended) => json!({
                "http_status": ended.http_status, "status": ended.status, "evaluation": ended.evaluation,
                "sent_bytes": ended.sent, "first_byte_ms": ended.first_byte.map(ms), "took_ms": ms(ended.took),
            }),
            Self::Failed(ended) | Self::Left(ended) => json!({
                "http_status": ended.http_status, "status": ended.status, "evaluation": ended.evaluation,
                "error": ended.error, "took_ms": ms(ended.took),
            }),
        }
    }
}

/// Milliseconds, to a tenth.
fn ms(micros: i64) -> Value {
    let micros = micros.max(0);
    let (whole, tenth) = (micros / 1000, micros / 100 % 10);
    serde_json::from_str(&format!("{whole}.{tenth}")).unwrap_or_default()
}
