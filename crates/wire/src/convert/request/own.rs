//! A request for an upstream of its own dialect, whose history was partly given by others: envelopes among its reasoning
//! are opened where they hold this dialect's, and left out where they hold another's. Every other byte stays.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::ledger::Ledger;
use super::read::chat_reasoning;
use super::take;
use crate::convert::envelope;
use crate::dialect::Dialect;
use crate::json;
use crate::request::Request;

/// The body without envelopes.
pub(super) fn own(request: &Request, ledger: &mut Ledger) -> Bytes {
    let body = request.body();
    if memchr::memmem::find(body, envelope::PREFIX.as_bytes()).is_none() {
        return body.clone();
    }
    let (text, spans) = (request.text(), request.message_spans());
    let list = if request.dialect() == Dialect::Responses { "input" } else { "messages" };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut gone = 0;
    for (i, span) in spans.iter().enumerate() {
        let raw = text.get(span.clone()).unwrap_or_default();
        if !raw.contains(envelope::PREFIX) {
            continue;
        }
        let Ok(Value::Object(message)) = serde_json::from_str(raw) else { continue };
        match changed(request.dialect(), message) {
            Changed::Not => {}
            Changed::To(new) => {
                ledger.drop_each(&format!("{list}[{i}]"), "reasoning of another vendor");
                edits.push((span.clone(), Value::Object(new).to_string()));
            }
            Changed::Opened(new) => edits.push((span.clone(), new.to_string())),
            Changed::Gone => {
                ledger.drop_each(&format!("{list}[{i}]"), "reasoning of another vendor");
                edits.push((without(spans, i, gone == i), String::new()));
                gone += 1;
            }
        }
    }
    Bytes::from(json::splice(text, &edits))
}

/// The span to cut so that element `i` and one comma are gone; `first` says whether none is left before it.
fn without(spans: &[Range<usize>], i: usize, first: bool) -> Range<usize> {
    let span = spans[i].clone();
    match spans.get(i + 1) {
        _ if !first => spans[i - 1].end..span.end,
        Some(next) => span.start..next.start,
        None => span,
    }
}

enum Changed {
    Not,
    /// Something of another vendor is out.
    To(Map<String, Value>),
    /// Only this dialect's own came out of envelopes.
    Opened(Value),
    /// The whole element is another vendor's reasoning.
    Gone,
}

fn changed(dialect: Dialect, message: Map<String, Value>) -> Changed {
    match dialect {
        Dialect::Messages => blocks(message),
        Dialect::Chat => members(&message),
        Dialect::Responses => {
            let sealed = message.get("encrypted_content").and_then(Value::as_str).and_then(envelope::open);
            match sealed {
                None => Changed::Not,
                Some((Dialect::Responses, item)) => Changed::Opened(item),
                Some(_) => Changed::Gone,
            }
        }
    }
}

/// The thinking blocks of a message.
fn blocks(mut message: Map<String, Value>) -> Changed {
    let (mut opened, mut dropped) = (false, false);
    let Some(Value::Array(content)) = message.get_mut("content") else { return Changed::Not };
    content.retain_mut(|block| {
        let opaque = match block.get("type").and_then(Value::as_str) {
            Some("thinking") => block.get("signature"),
            Some("redacted_thinking") => block.get("data"),
            _ => None,
        };
        match opaque.and_then(Value::as_str).and_then(envelope::open) {
            None => true,
            Some((Dialect::Messages, own)) => {
                (*block, opened) = (own, true);
                true
            }
            Some(_) => {
                dropped = true;
                false
            }
        }
    });
    if content.is_empty() && dropped {
        return Changed::Gone;
    }
    outcome(message, opened, dropped)
}

/// The members of a Chat message that carry reasoning.
fn members(message: &Map<String, Value>) -> Changed {
    let mut rest = message.clone();
    let found = chat_reasoning::found(&mut rest);
    if !chat_reasoning::is_sealed(message) {
        return Changed::Not;
    }
    let (mut opened, mut dropped) = (false, false);
    for (from, value) in found {
        if from == Dialect::Chat {
            opened = true;
            rest.extend(take::members(value));
        } else {
            dropped = true;
        }
    }
    outcome(rest, opened, dropped)
}

fn outcome(message: Map<String, Value>, opened: bool, dropped: bool) -> Changed {
    match (opened, dropped) {
        (_, true) => Changed::To(message),
        (true, false) => Changed::Opened(Value::Object(message)),
        (false, false) => Changed::Not,
    }
}

#[cfg(test)]
mod tests;
