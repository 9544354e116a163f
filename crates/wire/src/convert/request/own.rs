//! A request for an upstream of its own dialect, whose history was partly given by others: envelopes among its reasoning
//! are opened where they hold this dialect's, and left out where they hold another's; what tells of another's web searches
//! loses what only the gateway knows, or goes where the vendor would refuse it. Every other byte stays.

use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::ledger::Ledger;
use super::models::{Thinks, takes_no_reasoning, thinks};
use super::read::chat_reasoning;
use super::shown::Shown;
use super::take;
use crate::convert::{citation, envelope, search};
use crate::dialect::Dialect;
use crate::json;
use crate::request::Request;

/// Whether a body may tell of what vendors of several dialects gave: whether there are marks of ours in it.
pub fn is_shared(body: &[u8]) -> bool {
    let marks = [envelope::PREFIX, search::FOREIGN];
    marks.iter().any(|mark| memchr::memmem::find(body, mark.as_bytes()).is_some())
}

/// The body without envelopes.
pub(super) fn own(request: &Request, ledger: &mut Ledger) -> Bytes {
    let body = request.body();
    // Whoever gave it, OpenAI did not.
    let unwanted = request.dialect() == Dialect::Chat && takes_no_reasoning(request.model());
    if !is_shared(body) && !unwanted {
        return body.clone();
    }
    let (text, spans) = (request.text(), request.message_spans());
    let list = if request.dialect() == Dialect::Responses { "input" } else { "messages" };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut gone = 0;
    let shown = Shown::new(request);
    // The last message of the model that lost reasoning, and how it begins now.
    let mut lost: Option<(usize, bool)> = None;
    for (i, span) in spans.iter().enumerate() {
        let raw = text.get(span.clone()).unwrap_or_default();
        if !is_shared(raw.as_bytes()) && !unwanted {
            continue;
        }
        let Ok(Value::Object(mut message)) = serde_json::from_str(raw) else { continue };
        let stripped = unwanted.then(|| plain(&mut message)).flatten();
        let searched = raw.contains(search::FOREIGN);
        let what = if searched { "what another vendor thought or searched" } else { "reasoning of another vendor" };
        let kept = stripped.map(|named| (message.clone(), named));
        let changed = match (changed(request.dialect(), message, &shown), kept) {
            (Changed::Not, Some((message, named))) => outcome(message, true, named),
            (Changed::Opened(new), Some((_, true))) => Changed::To(take::members(new)),
            (changed, _) => changed,
        };
        match changed {
            Changed::Not => {}
            Changed::To(new) => {
                lost = Some((i, begins_with_thinking(&new)));
                ledger.drop_each(&format!("{list}[{i}]"), what);
                edits.push((span.clone(), Value::Object(new).to_string()));
            }
            Changed::Opened(new) => edits.push((span.clone(), new.to_string())),
            Changed::Gone => {
                ledger.drop_each(&format!("{list}[{i}]"), what);
                edits.push((without(spans, i, gone == i), String::new()));
                gone += 1;
            }
        }
    }
    if request.dialect() == Dialect::Messages
        && let Some((i, false)) = lost
        && thinks(request.model()) == Thinks::Budget
        && goes_on(text, spans, i)
        && let Some(span) = budget(request)
    {
        ledger.drop_as("thinking", "the turn that goes on began without thinking of this vendor");
        edits.push((span, r#"{"type":"disabled"}"#.to_owned()));
        edits.sort_by_key(|(span, _)| span.start);
    }
    Bytes::from(json::splice(text, &edits))
}

/// Whether a message of the model begins with its vendor's thinking.
fn begins_with_thinking(message: &Map<String, Value>) -> bool {
    let first = message.get("content").and_then(|content| content.get(0)).and_then(|block| block.get("type"));
    first.is_some_and(|kind| kind == "thinking" || kind == "redacted_thinking")
}

/// Whether message `i` is the model's last, and what its tools gave back follows.
fn goes_on(text: &str, spans: &[Range<usize>], i: usize) -> bool {
    let messages =
        spans.iter().skip(i + 1).filter_map(|span| serde_json::from_str::<Value>(text.get(span.clone())?).ok());
    let mut after = messages.filter(|message| message["role"] != "system");
    let results = |message: Value| {
        message["content"].as_array().is_some_and(|all| all.iter().any(|b| b["type"] == "tool_result"))
    };
    after.next().is_some_and(results) && after.all(|message| message["role"] != "assistant")
}

/// Where the request asks for thinking with a budget.
fn budget(request: &Request) -> Option<Range<usize>> {
    let raw = request.raw("thinking")?;
    let thinking: Value = serde_json::from_str(raw).ok()?;
    let start = raw.as_ptr() as usize - request.text().as_ptr() as usize;
    (thinking["type"] == "enabled").then(|| start..start + raw.len())
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
    /// Only this dialect's own came out of envelopes, and what is ours.
    Opened(Value),
    /// The whole element is another vendor's reasoning.
    Gone,
}

fn changed(dialect: Dialect, message: Map<String, Value>, shown: &Shown<'_>) -> Changed {
    match dialect {
        Dialect::Messages => blocks(message, shown),
        Dialect::Chat => members(&message, shown),
        Dialect::Responses if message.get("type").is_none_or(|kind| kind != "reasoning") => item(message),
        Dialect::Responses => {
            let sealed = message.get("encrypted_content").and_then(Value::as_str).and_then(envelope::open);
            match sealed {
                None => Changed::Not,
                Some((Dialect::Responses, item)) if shown.has(&item) => Changed::Opened(item),
                Some(_) => Changed::Gone,
            }
        }
    }
}

/// An item that is no reasoning. But for searches and sources, what looks like an envelope in it is its own.
fn item(mut item: Map<String, Value>) -> Changed {
    let mut stripped = item.get("type").is_some_and(|kind| kind == "web_search_call") && search::strip(&mut item);
    if let Some(Value::Array(parts)) = item.get_mut("content") {
        for part in parts.iter_mut().filter_map(Value::as_object_mut) {
            stripped |= citation::strip(part);
        }
    }
    if stripped { Changed::Opened(Value::Object(item)) } else { Changed::Not }
}

/// The thinking blocks of a message, and those that tell of searches.
fn blocks(mut message: Map<String, Value>, shown: &Shown<'_>) -> Changed {
    let (mut opened, mut dropped) = (false, false);
    let Some(Value::Array(content)) = message.get_mut("content") else { return Changed::Not };
    content.retain_mut(|block| {
        if search::is_foreign(block) {
            dropped = true;
            return false;
        }
        opened |= block.as_object_mut().is_some_and(citation::strip);
        let opaque = match block.get("type").and_then(Value::as_str) {
            Some("thinking") => block.get("signature"),
            Some("redacted_thinking") => block.get("data"),
            _ => None,
        };
        match opaque.and_then(Value::as_str).and_then(envelope::open) {
            None => true,
            Some((Dialect::Messages, own)) if shown.has(&own) => {
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

/// Takes reasoning of any kind out of a Chat message of the model's: whether it said something, if there was some.
fn plain(message: &mut Map<String, Value>) -> Option<bool> {
    let before = message.len();
    message.get("role").filter(|role| *role == "assistant")?;
    let named = !chat_reasoning::found(message).is_empty();
    (message.len() < before).then_some(named)
}

/// The members of a Chat message that carry reasoning.
fn members(message: &Map<String, Value>, shown: &Shown<'_>) -> Changed {
    let mut rest = message.clone();
    let found = chat_reasoning::found(&mut rest);
    if !chat_reasoning::is_sealed(message) {
        return Changed::Not;
    }
    let (mut opened, mut dropped) = (false, false);
    for (from, value) in found {
        if from == Dialect::Chat && shown.has(&value) {
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
