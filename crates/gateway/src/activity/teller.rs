//! Tells the steps of one transaction, each once and in order, under the names that the record uses for them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use jiff::Timestamp;
use luthien_record::model::{Decision, End, Start, Status};
use luthien_record::redact::Redactor;
use luthien_wire::Dialect;
use luthien_wire::request::Request;
use serde_json::{Value, json};

use super::Activity;
use super::bounds::{self, NAME, TEXT, short};
use super::note::{Ended, Facts, Happening, Note, Settled, Step, What};

/// The largest message that is looked into for a preview, in bytes: reading it is work on the way of the request.
const LOOKED_INTO: usize = 4 << 10;

/// The most bytes of a preview.
const PREVIEW: usize = 200;

/// Tells of one transaction.
#[derive(Debug)]
pub(crate) struct Teller {
    activity: Activity,
    began: Timestamp,
    /// Known once the request is.
    facts: OnceLock<Arc<Facts>>,
    settled: AtomicBool,
    answered: AtomicBool,
    /// Microseconds from the beginning; -1 before.
    first_byte: AtomicI64,
    /// Bytes of the answer that went to the client.
    sent: AtomicUsize,
}

impl Teller {
    pub(crate) fn new(activity: Activity, began: Timestamp) -> Self {
        Self {
            activity,
            began,
            facts: OnceLock::new(),
            settled: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            first_byte: AtomicI64::new(-1),
            sent: AtomicUsize::new(0),
        }
    }

    /// The request is there.
    pub(crate) fn asked(&self, start: &Start, request: Option<&Request>, at: Timestamp) {
        // Looking for one costs more than all the rest.
        let preview =
            request.filter(|_| self.activity.is_watched()).and_then(|request| preview(request, self.redactor()));
        if self.facts.set(Arc::new(Facts::new(start, preview, self.redactor()))).is_ok() {
            self.step(at, Step::Asked);
        }
    }

    /// The request goes to an upstream.
    pub(crate) fn sent(&self, at: Timestamp, settled: impl FnOnce() -> Settled, to: (HeaderValue, Dialect, usize)) {
        if !self.settled.swap(true, Ordering::Relaxed) {
            let mut settled = settled();
            self.redactor().text_in(&mut settled.final_model);
            self.step(at, Step::Settled(Some(Arc::new(settled))));
        }
        let (upstream, dialect, bytes) = to;
        self.step(at, Step::Sent(upstream, dialect, bytes));
    }

    /// An upstream answers.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// The first byte of the answer goes to the client.
    pub(crate) fn first_byte(&self, at: Timestamp) {
        let micros = self.since(at);
        // Only the first one counts.
        let _ = self.first_byte.compare_exchange(-1, micros, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// So much of the answer's body went to the client.
    pub(crate) fn went(&self, bytes: usize) {
        self.sent.store(bytes, Ordering::Relaxed);
    }

    /// Something happened.
    pub(crate) fn happened(&self, at: Timestamp, event_type: &str, data: &Value) {
        let (event_type, mut data) = (short(event_type, NAME).into(), data.clone());
        self.redactor().value(&mut data);
        self.tell(at, Happening { event_type, data: bounds::fitted(data) });
    }

    /// A policy has decided.
    pub(crate) fn decided(&self, at: Timestamp, decision: &Decision) {
        let Decision { policy, target, action, mode, failed, score, reason, micros } = decision;
        let reason = reason.as_deref().map(|reason| short(&self.redactor().text(reason), TEXT).into_owned());
        let mut data = json!({
            "policy": policy, "target": target, "action": action, "mode": mode, "failed": failed, "score": score,
            "reason": reason, "took_us": micros,
        });
        self.redactor().value(&mut data);
        let event_type = format!("policy.{}.decision", short(policy, NAME)).into();
        self.tell(at, Happening { event_type, data: bounds::fitted(data) });
    }

    /// It is over: what has not been told is, up to its end.
    pub(crate) fn ended(&self, start: &Start, end: &End, received: usize) {
        let at = end.at;
        let ended = Arc::new(Ended {
            status: end.status,
            http_status: end.http_status,
            evaluation: end.evaluation,
            error: end.error.as_deref().map(|error| short(&self.redactor().text(error), TEXT).into()),
            took: self.since(at),
            first_byte: Some(self.first_byte.load(Ordering::Relaxed)).filter(|micros| *micros >= 0),
            received,
            sent: self.sent.load(Ordering::Relaxed),
        });
        let untold = self.facts.get().is_none();
        let facts = self.facts.get_or_init(|| Arc::new(Facts::new(start, None, self.redactor())));
        let settled = self.settled.swap(true, Ordering::Relaxed);
        let responded = end.http_status.is_some();
        let answered = responded || self.answered.load(Ordering::Relaxed);
        let last = match end.status {
            Status::Completed => None,
            Status::ClientDisconnected => Some(Step::Left(Arc::clone(&ended))),
            _ => Some(Step::Failed(Arc::clone(&ended))),
        };
        let steps = [
            untold.then_some(Step::Asked),
            (!settled).then_some(Step::Settled(None)),
            answered.then(|| Step::Answered(Arc::clone(&ended))),
            responded.then(|| Step::Responded(Arc::clone(&ended))),
            last,
        ];
        let note = |step| Note { at, what: What::Step(Arc::clone(facts), step) };
        self.activity.note(steps.into_iter().flatten().map(note));
    }

    fn redactor(&self) -> &Redactor {
        self.activity.redactor()
    }

    fn since(&self, at: Timestamp) -> i64 {
        at.as_microsecond() - self.began.as_microsecond()
    }

    fn step(&self, at: Timestamp, step: Step) {
        if let Some(facts) = self.facts.get() {
            self.activity.note([Note { at, what: What::Step(Arc::clone(facts), step) }]);
        }
    }

    fn tell(&self, at: Timestamp, happening: Happening) {
        if let Some(facts) = self.facts.get() {
            self.activity.note([Note { at, what: What::Happened(Arc::clone(facts), Arc::new(happening)) }]);
        }
    }
}

/// How the last message begins; none where it has no text or is very long.
fn preview(request: &Request, redactor: &Redactor) -> Option<Box<str>> {
    let last = match request.message_spans().last() {
        Some(span) => request.text().get(span.clone())?,
        None => request.raw("input")?,
    };
    if last.len() > LOOKED_INTO {
        return None;
    }
    let message: Value = serde_json::from_str(last).ok()?;
    let content = message.get("content").unwrap_or(&message);
    let text = match content {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().rev().find_map(|part| part.get("text")?.as_str())?,
        _ => return None,
    };
    Some(short(redactor.text(text).trim(), PREVIEW).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview_of(dialect: Dialect, body: &str) -> Option<Box<str>> {
        let kind = luthien_wire::request::RequestKind::Turn;
        let request = Request::parse(dialect, kind, bytes::Bytes::from(body.to_owned())).unwrap();
        preview(&request, &Redactor::default())
    }

    #[test]
    fn a_preview_is_how_the_last_text_begins() {
        let words = |content: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        assert_eq!(preview_of(Dialect::Chat, &words(r#"" hello ""#)).as_deref(), Some("hello"));
        let parts = r#"[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"image","data":""}]"#;
        assert_eq!(preview_of(Dialect::Chat, &words(parts)).as_deref(), Some("b"));
        let long = format!("\"{}\"", "x".repeat(300));
        let cut = format!("{}… (100 more bytes)", "x".repeat(200));
        assert_eq!(preview_of(Dialect::Chat, &words(&long)).as_deref(), Some(&*cut));
        assert_eq!(preview_of(Dialect::Responses, r#"{"model":"m","input":"just so"}"#).as_deref(), Some("just so"));
        assert_eq!(preview_of(Dialect::Chat, &words(&format!("\"{}\"", "x".repeat(5000)))), None);
    }
}
