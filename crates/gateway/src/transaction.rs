//! One request on its way: its id, and its entry in the record, which is closed exactly once.

mod metering;
mod recording;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use luthien_policy::contract::{EventSink, ReviewContext};
use luthien_record::model::{End, Evaluation, Event, Heads, Start, Status, TransactionId};
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use serde_json::Value;

use crate::activity::note::Settled;
use crate::activity::teller::Teller;
use crate::caps::Places;
use crate::clock::Clock;
use crate::errors::GatewayError;
use crate::headers::header_text;
use crate::live::InForce;
use crate::notify::{About, DECISIONS, Kind, Notice, Notifier};
use crate::open_calls::CallWatch;
use crate::panic_switch::Interrupt;
use crate::redaction::SecretNames;
use crate::tab::Tab;
use crate::way::Core;

use self::recording::Slot;

pub(crate) use self::recording::{Recording, recorded};

/// What all entries are made with, beside the recorder.
#[derive(Clone, Debug)]
pub(crate) struct Keeping {
    /// Who is told.
    pub(crate) notifier: Notifier,
    /// What is masked by its name.
    pub(crate) secrets: Arc<SecretNames>,
    /// The heads of raw HTTP are kept too.
    pub(crate) raw_http: bool,
}

/// How a transaction ends, as the record will say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) error: Option<String>,
    pub(crate) evaluation: Evaluation,
    /// The upstream's stream broke the protocol's rules and was put right on its way to the client.
    pub(crate) repaired: bool,
}

impl Outcome {
    /// An answer that reached its end.
    pub(crate) fn completed(evaluation: Evaluation) -> Self {
        Self { status: Status::Completed, error: None, evaluation, repaired: false }
    }
}

/// The request's entry in the record. Dropped without [`Transaction::close`], it says that the client went.
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) dialect: Dialect,
    /// The id as it stands in headers.
    pub(crate) header: HeaderValue,
    /// The client reads trailers.
    pub(crate) takes_trailers: bool,
    /// What else the head of the answer says of its way.
    marks: HeaderMap,
    clock: Clock,
    recording: Recording,
    http_status: Option<u16>,
    evaluation: Evaluation,
    review: Option<Arc<ReviewContext>>,
    in_force: Arc<InForce>,
    interrupt: Interrupt,
    /// It goes on although a policy that should have checked it did not load.
    unchecked: bool,
    /// Watches what becomes of an answer that its vendor keeps, and of its calls.
    pub(crate) calls: Option<CallWatch>,
    /// Charges what it uses.
    tab: Option<Tab>,
    /// Its places among the answers under way.
    places: Option<Places>,
}

impl Transaction {
    /// Begins the entry. Fails where the record is required and cannot be kept.
    pub(crate) fn begin(
        core: &Core,
        start: Start,
        in_force: Arc<InForce>,
        interrupt: Interrupt,
    ) -> Result<Self, GatewayError> {
        let (id, dialect) = (start.id, start.dialect);
        let teller = Teller::new(core.activity.clone(), start.at);
        let inflight = core.recorder.begin(start).map_err(|_| GatewayError::CannotRecord)?;
        Ok(Self {
            id,
            dialect,
            header: id_header(id),
            takes_trailers: false,
            marks: HeaderMap::new(),
            clock: core.clock,
            recording: Recording(Arc::new(Slot {
                id,
                recorder: core.recorder.clone(),
                keeping: core.keeping.clone(),
                clock: core.clock,
                teller,
                received: AtomicUsize::new(0),
                metering: OnceLock::new(),
                inflight: Mutex::new(Some(inflight)),
            })),
            http_status: None,
            evaluation: Evaluation::None,
            review: None,
            in_force,
            interrupt,
            unchecked: false,
            calls: None,
            tab: None,
            places: None,
        })
    }

    /// A handle for those who only add to the entry.
    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The request is known, as far as it could be read.
    pub(crate) fn asked(&self, request: Option<&Request>) {
        let (slot, at) = (&self.recording.0, self.clock.now());
        self.recording.with(|record| record.set_start(|start| slot.teller.asked(start, request, at)));
    }

    /// It is sent to an upstream of this name, in this dialect, so many bytes.
    pub(crate) fn sent(&self, settled: impl FnOnce() -> Settled, to: (HeaderValue, Dialect, usize)) {
        self.recording.meter(|metering| metering.sent(to.1, to.2));
        self.recording.0.teller.sent(self.clock.now(), settled, to);
    }

    /// So much of the answer's body has gone to the client.
    pub(crate) fn went(&self, bytes: usize) {
        self.recording.0.teller.went(bytes);
    }

    /// Where policies put what they emit, told as it happens.
    pub(crate) fn policy_events(&self) -> EventSink {
        EventSink::told_to(Arc::new(self.recording.clone()))
    }

    /// The policies that hold for it.
    pub(crate) fn in_force(&self) -> &Arc<InForce> {
        &self.in_force
    }

    /// These policies hold for it, now that it is known whose it is.
    pub(crate) fn runs_under(&mut self, in_force: Arc<InForce>) {
        if Arc::ptr_eq(&self.in_force, &in_force) {
            return;
        }
        let label = in_force.label().to_owned();
        self.recording.with(|record| record.set_start(|start| start.policy = label));
        self.in_force = in_force;
    }

    /// It is sent on. What should have checked it and did not load makes all of it unchecked.
    pub(crate) fn goes_on(&mut self) {
        self.unchecked = !self.in_force.missing.is_empty();
    }

    /// An evaluation as the record will have it.
    pub(crate) fn judged(&self, evaluation: Evaluation) -> Evaluation {
        if self.unchecked { Evaluation::FailedOpen } else { evaluation }
    }

    /// What ends its answer before its time.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Policies are asked from now on; what they emit goes on the record. Until they have answered, nothing is evaluated.
    pub(crate) fn reviewed_in(&mut self, context: Arc<ReviewContext>) {
        self.review = Some(context);
    }

    /// What is known of the evaluation so far; it counts if the client goes.
    pub(crate) fn note_evaluation(&mut self, evaluation: Evaluation) {
        self.evaluation = evaluation;
    }

    /// What is known of the evaluation so far.
    pub(crate) fn evaluation(&self) -> Evaluation {
        self.evaluation
    }

    /// An answer that was there is not handed out: on the record too, if a policy is why.
    pub(crate) fn not_handed_out(&mut self, why: GatewayError) -> GatewayError {
        if matches!(why, GatewayError::PolicyBlocked(_)) {
            self.evaluation = Evaluation::Intervened;
        }
        why
    }

    /// The head of the answer is to say this, in place of what it was to say under this name.
    pub(crate) fn mark(&mut self, name: HeaderName, value: HeaderValue) {
        self.marks.insert(name, value);
    }

    /// The same for several.
    pub(crate) fn mark_all(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.mark(name.clone(), value.clone());
        }
    }

    /// The head of the answer is to say this beside what it says under this name.
    pub(crate) fn mark_too(&mut self, name: HeaderName, text: &str) {
        let before = self.marks.get(&name).and_then(|value| value.to_str().ok());
        let all = before.map_or_else(|| text.to_owned(), |before| format!("{before}, {text}"));
        self.mark(name, header_text(&all));
    }

    /// The head of the answer is not to say this.
    pub(crate) fn unmark(&mut self, name: HeaderName) {
        self.marks.remove(name);
    }

    /// What the head of the answer says of its way.
    pub(crate) fn marks(&self) -> &HeaderMap {
        &self.marks
    }

    /// Something happened on the way.
    pub(crate) fn event(&self, event_type: &str, data: Value) {
        self.happenings().event(event_type, data);
    }

    /// A handle for those who only tell what happened.
    pub(crate) fn happenings(&self) -> Happenings {
        Happenings { recording: self.recording.clone(), clock: self.clock }
    }

    /// The head of the client's answer is ready.
    pub(crate) fn note_head(&mut self, status: u16, headers: &HeaderMap) {
        self.http_status = Some(status);
        self.recording.heads(|secrets, heads| heads.inbound.response_headers = secrets.masked(headers));
    }

    /// The head of the client's request.
    pub(crate) fn note_inbound<B>(&self, request: &http::Request<B>, url: &str) {
        self.recording.heads(|secrets, heads| heads.inbound = self.begun(request, url, secrets));
    }

    /// The head of the request to the upstream.
    pub(crate) fn note_outbound<B>(&self, request: &http::Request<B>, url: &str) {
        self.recording.heads(|secrets, heads| heads.outbound = Some(self.begun(request, url, secrets)));
    }

    fn begun<B>(&self, request: &http::Request<B>, url: &str, secrets: &SecretNames) -> Heads {
        Heads {
            method: request.method().as_str().to_owned(),
            url: url.to_owned(),
            request_headers: secrets.masked(request.headers()),
            started_at: Some(self.clock.now()),
            ..Heads::default()
        }
    }

    /// A URL as it may be kept.
    pub(crate) fn masked_url(&self, url: &str) -> String {
        self.recording.0.keeping.secrets.query(url)
    }

    /// The first byte of the answer's body goes to the client.
    pub(crate) fn first_byte(&self) {
        let at = self.clock.now();
        self.recording.0.teller.first_byte(at);
        self.recording.with(|record| record.first_byte(at));
    }

    /// Ends the entry.
    pub(crate) fn close(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let at = self.clock.now();
        self.recording.heads(|_, heads| heads.inbound.completed_at = Some(at));
        let Some(inflight) = self.recording.take() else { return };
        self.settle(&inflight, at, outcome.status);
        let teller = &self.recording.0.teller;
        if let Some(review) = self.review.take() {
            let (events, dropped) = review.events.take();
            for event in events {
                inflight.event(Event { event_type: event.event_type, at, data: event.data });
            }
            if dropped > 0 {
                let data = serde_json::json!({"policy_events": dropped});
                teller.happened(at, "recorder.truncated", &data);
                inflight.event(Event { event_type: "recorder.truncated".to_owned(), at, data });
            }
        }
        let Outcome { status, error, evaluation, repaired } = outcome;
        let evaluation = self.judged(evaluation);
        if repaired {
            let data =
                serde_json::json!({"summary": "the upstream's stream broke the protocol's rules and was put right"});
            teller.happened(at, "transaction.response_repaired", &data);
            inflight.event(Event { event_type: "transaction.response_repaired".to_owned(), at, data });
        }
        let end = End { at, status, http_status: self.http_status, error, evaluation };
        inflight.set_start(|start| teller.ended(start, &end, self.recording.received()));
        let notifier = &self.recording.0.keeping.notifier;
        if notifier.wants_transaction(status, evaluation) {
            notifier.tell(|| {
                let outline = inflight.outline(DECISIONS);
                let text = ended_text(&outline.start.model, &end);
                let about = About::Ended(Box::new(outline), end.clone());
                Notice { kind: Kind::Transaction, at, text, about, data: Value::Null }
            });
        }
        inflight.finish(end);
    }
}

/// A transaction's end in one line.
fn ended_text(model: &str, end: &End) -> String {
    let status = end.status.name().replace('_', " ");
    let evaluation = match end.evaluation {
        Evaluation::None => "no policy looked at it",
        Evaluation::Passed => "passed by policy",
        Evaluation::Intervened => "a policy intervened",
        Evaluation::FailedOpen => "a policy failed and let it through",
        Evaluation::NotEvaluated => "ended before it was evaluated",
    };
    let why = end.error.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{model}: {status}, {evaluation}{why}")
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let evaluation = self.evaluation;
        self.end(Outcome { status: Status::ClientDisconnected, error: None, evaluation, repaired: false });
    }
}

/// Puts events on a transaction's entry while it is open.
pub(crate) struct Happenings {
    recording: Recording,
    clock: Clock,
}

impl Happenings {
    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Something happened.
    pub(crate) fn event(&self, event_type: &str, data: Value) {
        let at = self.clock.now();
        self.recording.0.teller.happened(at, event_type, &data);
        let event = Event { event_type: event_type.to_owned(), at, data };
        self.recording.with(|record| record.event(event));
    }
}

/// An id as a header's value.
pub(crate) fn id_header(id: TransactionId) -> HeaderValue {
    let mut buffer = uuid::Uuid::encode_buffer();
    let text = id.0.hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
}
