//! The parts of one message, from any dialect's blocks.

use std::borrow::Cow;

use serde_json::Value;

use super::Part;
use crate::request::walk::{self, Members};

/// How deep contents may nest before the rest is left out.
const DEPTH: usize = 8;

/// A `content`: a string, or blocks.
pub(super) fn content(raw: &str) -> Vec<Part> {
    if let Some(text) = walk::string(raw) {
        return if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] };
    }
    walk::array(raw).unwrap_or_default().into_iter().map(block).collect()
}

/// Adds the texts of a list of Chat's reasoning that are not said yet.
pub(super) fn add_thoughts(raw: &str, said: &mut String) {
    for element in walk::array(raw).unwrap_or_default() {
        let members = walk::object(element).unwrap_or_default();
        for text in
            ["thinking", "text", "summary"].iter().filter_map(|name| last(&members, name).and_then(walk::string))
        {
            if !said.contains(text.trim()) {
                if !said.is_empty() {
                    said.push_str("\n\n");
                }
                said.push_str(&text);
            }
        }
    }
}

/// The texts in a `content`, joined by newlines.
pub(super) fn plain(raw: &str) -> String {
    let mut texts = Vec::new();
    gather(raw, &mut texts, 0);
    texts.join("\n")
}

fn gather(raw: &str, texts: &mut Vec<String>, depth: usize) {
    if let Some(text) = walk::string(raw) {
        texts.push(text);
    } else if depth < DEPTH {
        for item in walk::array(raw).unwrap_or_default() {
            gather(item, texts, depth + 1);
        }
        let members = walk::object(raw).unwrap_or_default();
        for (key, value) in &members {
            match &**key {
                "text" | "content" | "stdout" | "stderr" | "title" | "url" | "tool_name" | "error_code" => {
                    gather(value, texts, depth + 1);
                }
                "type" if picture(value) => texts.push("[image]".to_owned()),
                _ => {}
            }
        }
    }
}

/// A type that is a picture's.
fn picture(raw: &str) -> bool {
    ["image", "image_url", "input_image", "computer_screenshot"].iter().any(|kind| walk::is(raw, kind))
}

/// A Chat tool call: a function, a custom tool, or a kind that is new.
pub(super) fn chat_call(raw: &str) -> Part {
    let members = walk::object(raw).unwrap_or_default();
    let get = |name: &str| last(&members, name);
    let id = get("id").and_then(walk::string).unwrap_or_default();
    match (get("function"), get("custom")) {
        (Some(call), _) | (None, Some(call)) => function(id, call),
        (None, None) => {
            Part::ToolCall { id, name: get("type").and_then(walk::string).unwrap_or_default(), input: value(raw) }
        }
    }
}

/// A `{name, arguments}` or `{name, input}` whose arguments are a string.
pub(super) fn function(id: String, raw: &str) -> Part {
    let members = walk::object(raw).unwrap_or_default();
    let get = |name: &str| last(&members, name);
    let input = match (get("arguments").map(argument), get("input")) {
        (Some(arguments), _) => arguments,
        (None, Some(input)) => value(input),
        (None, None) => Value::Null,
    };
    Part::ToolCall { id, name: get("name").and_then(walk::string).unwrap_or_default(), input }
}

/// Arguments as Chat and Responses carry them: JSON in a string, nothing meaning none.
pub(super) fn argument(raw: &str) -> Value {
    match walk::string(raw) {
        None => value(raw),
        Some(text) if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
        Some(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

fn block(raw: &str) -> Part {
    let Some(members) = walk::object(raw) else {
        return walk::string(raw).map_or_else(|| Part::Other(String::new()), Part::Text);
    };
    let get = |name: &str| last(&members, name);
    let text = |name: &str| get(name).and_then(walk::string).unwrap_or_default();
    let kind = text("type");
    match kind.as_str() {
        "text" | "input_text" | "output_text" | "summary_text" => Part::Text(text("text")),
        "mid_conv_system" => match get("text").and_then(walk::string) {
            Some(text) => Part::Text(text),
            None => Part::Text(get("content").map(plain).unwrap_or_default()),
        },
        "compaction" | "search_result" | "document" => match shown(&members) {
            text if text.is_empty() => Part::Other(kind),
            text => Part::Text(text),
        },
        "refusal" => Part::Text(text("refusal")),
        "thinking" => Part::Thinking(text("thinking")),
        "reasoning_text" => Part::Thinking(text("text")),
        "image" | "image_url" | "input_image" | "computer_screenshot" => Part::Image,
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            Part::ToolCall { id: text("id"), name: text("name"), input: get("input").map_or(Value::Null, value) }
        }
        kind if kind.ends_with("tool_result") => Part::ToolResult {
            id: text("tool_use_id"),
            text: get("content").map(plain).unwrap_or_default(),
            is_error: get("is_error") == Some("true"),
        },
        _ => Part::Other(kind),
    }
}

/// What can be read of a document, a search's finding or a compacted history: its name and its texts.
fn shown(members: &Members<'_>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for name in ["title", "context", "source", "content"] {
        let Some(raw) = last(members, name) else { continue };
        let raw = match walk::object(raw) {
            // A document's bytes and addresses are no text.
            Some(source) if last(&source, "type").is_some_and(|kind| walk::is(kind, "text")) => last(&source, "data"),
            Some(source) => last(&source, "content"),
            None => Some(raw),
        };
        texts.extend(raw.map(plain).filter(|text| !text.is_empty()));
    }
    texts.join("\n")
}

pub(super) fn last<'a>(members: &[(Cow<'a, str>, &'a str)], name: &str) -> Option<&'a str> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
}

/// A value; the raw text where it cannot be built (too deep, half surrogates).
pub(super) fn value(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()))
}
