//! The words of an answer's tool calls, and those of all else in it: what may not get out, and what may.

use std::collections::BTreeSet;

use luthien_testkit::fixtures::Fixture;
use luthien_wire::Dialect;
use luthien_wire::sse::Splitter;
use serde_json::{Map, Value};

/// Words that any answer may be made of.
const FRAME: [&str; 33] = [
    "event",
    "data",
    "type",
    "index",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "content_block",
    "delta",
    "done",
    "text",
    "text_delta",
    "content",
    "role",
    "assistant",
    "Blocked",
    "stop",
    "added",
    "annotations",
    "completed",
    "content_index",
    "content_part",
    "failed",
    "in_progress",
    "item_id",
    "logprobs",
    "message",
    "output_index",
    "output_item",
    "output_text",
    "part",
    "sequence_number",
    "status",
];

/// The words of four letters and more that only the tool calls of an answer hold.
pub(crate) fn only_in_calls(fixture: &Fixture) -> BTreeSet<String> {
    let (mut calls, mut rest) = (BTreeSet::new(), FRAME.map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
    let mut held = BTreeSet::new();
    let mut items = BTreeSet::new();
    for value in values(fixture.bytes, fixture.streamed) {
        let (call, other) = match fixture.dialect {
            Dialect::Messages => messages(value, &mut held),
            Dialect::Chat => chat(value),
            Dialect::Responses => responses(value, &mut items),
        };
        words(&call, &mut calls);
        words(&other, &mut rest);
    }
    let rest: String = rest.into_iter().collect::<Vec<_>>().join("\n");
    calls.into_iter().filter(|word| !rest.contains(word.as_str())).collect()
}

/// Answers of a text alone in this dialect, and the type of its source: their words may stand in any answer.
pub(crate) fn structure(dialect: Dialect) -> String {
    let named = ["text", "body_text"].map(|name| luthien_testkit::fixtures::named(dialect, name));
    let texts = named.into_iter().flatten().map(|fixture| String::from_utf8_lossy(fixture.bytes));
    texts.chain(["true".into(), "web_search_result_location".into()]).collect::<Vec<_>>().join("\n")
}

/// The words that only the texts of an answer hold: thinking, calls and citations are none.
pub(crate) fn only_in_texts(fixture: &Fixture) -> BTreeSet<String> {
    fn take(value: &mut Value, texts: &mut Vec<Value>) {
        match value {
            Value::Object(members) => {
                let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
                if kind == "summary_text" || kind.contains("reasoning") || kind == "annotation" {
                    return;
                }
                let said = ["response.output_text.delta", "response.refusal.delta"].contains(&kind);
                let call = !["", "text", "text_delta"].contains(&kind)
                    && members.contains_key("content")
                    && !members.contains_key("role");
                for name in if said { &["delta"][..] } else { &["text", "content", "refusal"] } {
                    let name = *name;
                    if !call && members.get(name).is_some_and(Value::is_string) {
                        texts.extend(members.remove(name));
                    }
                }
                members.values_mut().for_each(|value| take(value, texts));
            }
            Value::Array(values) => values.iter_mut().for_each(|value| take(value, texts)),
            _ => {}
        }
    }
    let (mut texts, mut rest) = (BTreeSet::new(), FRAME.map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
    for mut value in values(fixture.bytes, fixture.streamed) {
        let mut taken = Vec::new();
        take(&mut value, &mut taken);
        words(&Value::Array(taken), &mut texts);
        words(&value, &mut rest);
    }
    let rest: String = rest.into_iter().collect::<Vec<_>>().join("\n");
    texts.into_iter().filter(|word| !rest.contains(word.as_str())).collect()
}

/// The first of `words` that stands in an answer, as bytes or once decoded.
pub(crate) fn found<'a>(words: &'a BTreeSet<String>, bytes: &[u8], streamed: bool) -> Option<&'a str> {
    let raw = String::from_utf8_lossy(bytes);
    let mut decoded = BTreeSet::new();
    for value in values(bytes, streamed) {
        self::words(&value, &mut decoded);
    }
    let decoded: String = decoded.into_iter().collect::<Vec<_>>().join("\n");
    words.iter().map(String::as_str).find(|word| raw.contains(word) || decoded.contains(word))
}

/// The names in an answer, its tools' among them: the gateway's own words about a call may hold them.
pub(crate) fn names(fixture: &Fixture) -> BTreeSet<String> {
    fn collect(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                into.extend(members.get("name").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| collect(value, into));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    let mut out = BTreeSet::new();
    for value in values(fixture.bytes, fixture.streamed) {
        collect(&value, &mut out);
    }
    out
}

/// Every JSON value of a stream, or the one that a body is.
fn values(bytes: &[u8], streamed: bool) -> Vec<Value> {
    if !streamed {
        return serde_json::from_slice(bytes).into_iter().collect();
    }
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        out.extend(frame.data.and_then(|data| serde_json::from_slice(&data).ok()));
    }
    out
}

/// A call, a call's result, or a block of a type that nobody knows.
fn is_call(block: &Value) -> bool {
    block["type"].as_str().is_some_and(|kind| kind.ends_with("tool_use") || kind == "sketch")
        || block.get("tool_use_id").is_some()
}

/// What a frame or a body has of calls and their results, and the rest. `held` are the indices of call blocks so far.
fn messages(mut value: Value, held: &mut BTreeSet<u64>) -> (Value, Value) {
    if let Some(blocks) = value.get_mut("content").and_then(Value::as_array_mut) {
        let (calls, rest) = blocks.drain(..).partition(is_call);
        *blocks = rest;
        return (Value::Array(calls), value);
    }
    let index = value["index"].as_u64();
    if value.get("content_block").is_some_and(is_call) {
        held.extend(index);
    }
    if index.is_some_and(|index| held.contains(&index)) { (value, Value::Null) } else { (Value::Null, value) }
}

fn chat(mut value: Value) -> (Value, Value) {
    let mut calls = Vec::new();
    for choice in value.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        for place in ["delta", "message"] {
            let Some(said) = choice.get_mut(place).and_then(Value::as_object_mut) else { continue };
            let mut take = |said: &mut Map<String, Value>, name: &str| calls.extend(said.remove(name));
            take(said, "tool_calls");
            take(said, "function_call");
        }
    }
    (Value::Array(calls), value)
}

/// An item that calls something, tells what came of it, or is of a type that nobody knows.
fn is_call_item(item: &Value) -> bool {
    let kind = item["type"].as_str().unwrap_or_default();
    kind.ends_with("_call")
        || kind.ends_with("_output") && kind != "tool_search_output"
        || ["mcp_approval_request", "program", "sketch"].contains(&kind)
}

/// What an event or a body has of calls and their results, and the rest. `held` are the indices and ids of such items.
fn responses(mut value: Value, held: &mut BTreeSet<String>) -> (Value, Value) {
    let whole = value.get("output").is_some();
    let response = if whole { Some(&mut value) } else { value.get_mut("response") };
    if let Some(items) = response.and_then(|response| response.get_mut("output")).and_then(Value::as_array_mut) {
        let (calls, rest) = items.drain(..).partition(is_call_item);
        *items = rest;
        return (Value::Array(calls), value);
    }
    let place = if value["output_index"].is_null() { "id" } else { "index" };
    let named = |value: &Value| if place == "id" { value.to_string() } else { format!("at {value}") };
    let name = match (place, value.get("item")) {
        ("index", _) => named(&value["output_index"]),
        (_, Some(item)) => named(&item["id"]),
        _ => named(&value["item_id"]),
    };
    if value.get("item").is_some_and(is_call_item) {
        held.insert(name.clone());
    }
    if held.contains(&name) { (value, Value::Null) } else { (Value::Null, value) }
}

/// All words of four letters and more, keys included.
fn words(value: &Value, into: &mut BTreeSet<String>) {
    let mut add = |text: &str| {
        let pieces = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        into.extend(pieces.filter(|word| word.chars().count() >= 4).map(str::to_owned));
    };
    match value {
        Value::String(text) => add(text),
        Value::Object(members) => {
            members.keys().for_each(|key| add(key));
            members.values().for_each(|value| words(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
