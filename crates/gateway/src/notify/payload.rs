//! What a notification says: bounded JSON, by docs/schemas/notification-v1.json.

use bytes::Bytes;
use jiff::Timestamp;
use luthien_record::model::{Decision, End, Start};
use luthien_record::recorder::Outline;
use luthien_record::redact::Redactor;
use serde::Serialize;
use serde_json::Value;

use super::deliver::Letter;
use super::{About, Notice};

/// The version of the schema.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Payload<'a> {
    version: u32,
    id: &'a str,
    kind: &'static str,
    timestamp: Timestamp,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<Subject>,
    #[serde(skip_serializing_if = "Value::is_null")]
    data: Value,
    links: Links,
}

#[derive(Default, Serialize)]
#[serde(default)]
struct Subject {
    transaction_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    streamed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    decisions: Vec<Decided>,
    decisions_left_out: usize,
}

#[derive(Serialize)]
struct Decided {
    policy: String,
    action: String,
    mode: String,
    target: Value,
    failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Default, Serialize)]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals: Option<String>,
}

/// The notification as it is sent, under this id, of a bounded notice. Links begin with `base`.
pub(super) fn letter(notice: Notice, id: String, base: &str, redactor: &Redactor) -> Letter {
    let Notice { kind, at, text, about, data } = notice;
    let transaction = match about {
        About::Nothing => None,
        About::Named { transaction_id, session_id, user_id, model } => {
            Some(Subject { transaction_id, session_id, user_id, model, ..Subject::default() })
        }
        About::Open(outline) => Some(begun(*outline)),
        About::Ended(outline, end) => Some(ended(*outline, end)),
    };
    let mut links = transaction.as_ref().map(|transaction| links(transaction, base)).unwrap_or_default();
    if data.get("approval").is_some() {
        links.approvals = Some(format!("{base}/api/admin/approvals"));
    }
    let name = kind.name();
    let payload = Payload { version: VERSION, id: &id, kind: name, timestamp: at, text, transaction, data, links };
    let mut payload = serde_json::to_value(&payload).unwrap_or_default();
    redactor.value(&mut payload);
    let body = Bytes::from(payload.to_string());
    Letter { id, kind: name, body }
}

fn begun(outline: Outline) -> Subject {
    let Outline { start, upstream, first_byte, decisions, decisions_left_out } = outline;
    let Start { id, at, dialect, path, session_id, user_id, model, streamed, policy, .. } = start;
    Subject {
        transaction_id: id.to_string(),
        session_id,
        user_id,
        model,
        dialect: Some(dialect.name()),
        path: Some(path),
        streamed: Some(streamed),
        policy: Some(policy),
        upstream,
        started_at: Some(at),
        first_byte_at: first_byte,
        decisions: decisions.into_iter().map(decided).collect(),
        decisions_left_out,
        ..Subject::default()
    }
}

fn ended(outline: Outline, end: End) -> Subject {
    let started = outline.start.at;
    Subject {
        ended_at: Some(end.at),
        duration_ms: i64::try_from(end.at.duration_since(started).as_millis()).ok(),
        status: Some(end.status.name()),
        http_status: end.http_status,
        evaluation: Some(end.evaluation.name()),
        error: end.error,
        ..begun(outline)
    }
}

fn decided(decision: Decision) -> Decided {
    let Decision { policy, target, action, mode, failed, score, reason, .. } = decision;
    Decided { policy, action, mode, target, failed, score, reason }
}

fn links(transaction: &Subject, base: &str) -> Links {
    let session = transaction.session_id.as_ref().unwrap_or(&transaction.transaction_id);
    Links {
        conversation: Some(format!("{base}/conversation/live/{}", escaped(session))),
        record: Some(format!("{base}/api/debug/calls/{}", transaction.transaction_id)),
        approvals: None,
    }
}

/// A text as one step of a URL's path. Clients choose the names of their sessions.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests;
