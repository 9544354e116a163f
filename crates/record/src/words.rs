//! The words of a transaction, for full-text search: what was said in requests and answers, without what is encoded.
//!
//! Texts become words here and nowhere else (`tokens`), so that both databases find the same; queries are read here too
//! (`search`). What cannot be read has no words.

use luthien_wire::Dialect;
use luthien_wire::conversation::{self, Part, Role};
use luthien_wire::turn::Block;
use serde_json::Value;

mod block;
mod search;
mod tokens;

pub(crate) use block::{Entry, WordBlock};
pub use search::{Search, SearchError};
pub(crate) use tokens::parts;

use crate::body::split::Outline;
use crate::history::{blocks, ending};

/// So much text of one transaction is looked at, in bytes: what comes after it is not found.
pub(crate) const MOST: usize = 2 << 20;

/// Messages of more bytes (documents, pictures) are taken as they are: reading one costs several times its size in memory.
/// They have no title and no words, and are the same message only byte for byte.
pub(crate) const MOST_UNDERSTOOD: usize = 1 << 20;

/// Adds what a message of a request says: texts, reasoning, tool calls with their arguments, tool results.
pub(crate) fn of_message(dialect: Dialect, message: &[u8], out: &mut String) {
    add_message(dialect, message, out, |_| true);
}

/// The same, but nothing of what the model has said.
pub(crate) fn of_message_to_model(dialect: Dialect, message: &[u8], out: &mut String) {
    add_message(dialect, message, out, |role| *role != Role::Assistant);
}

fn add_message(dialect: Dialect, message: &[u8], out: &mut String, wanted: impl Fn(&Role) -> bool) {
    if full(out) {
        return;
    }
    let Ok(raw) = std::str::from_utf8(message) else { return };
    let message = conversation::message(dialect, raw);
    if wanted(&message.role) {
        add_parts(&message.parts, out);
    }
}

/// Adds what an answer says, whole or streamed: texts, refusals, reasoning, tool calls with their arguments, errors.
pub(crate) fn of_answer(dialect: Dialect, body: &[u8], out: &mut String) {
    if full(out) || body.is_empty() {
        return;
    }
    let blocks = blocks(dialect, body);
    if blocks.is_empty()
        && let Some(error) = ending(dialect, body).error
    {
        add(&error, out);
    }
    for block in &blocks {
        match block {
            Block::Text(text) | Block::Thinking(text) => add(text, out),
            Block::ToolCall(call) => {
                add(&call.name, out);
                match &call.arguments {
                    Ok(arguments) => add_value(arguments, out),
                    Err(_) => add(&call.raw, out),
                }
            }
            Block::Opaque { raw, .. } => add_opaque(dialect, raw, out),
        }
    }
}

/// Adds what a request says outside its messages: the system prompt or instructions, and an `input` that is one text.
pub(crate) fn of_outline(body: &[u8], outline: &Outline, out: &mut String) {
    for span in [&outline.system, &outline.text].into_iter().flatten() {
        if let Some(raw) = body.get(span.clone()).and_then(|raw| std::str::from_utf8(raw).ok()) {
            add_parts(&conversation::content(raw), out);
        }
    }
}

/// A block of another type: what the vendor's tools found, an item that this version does not know.
fn add_opaque(dialect: Dialect, raw: &str, out: &mut String) {
    match dialect {
        Dialect::Messages => add_parts(&conversation::content(&format!("[{raw}]")), out),
        Dialect::Responses => add_parts(&conversation::message(dialect, raw).parts, out),
        Dialect::Chat => {}
    }
}

fn add_parts(parts: &[Part], out: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) | Part::Thinking(text) | Part::ToolResult { text, .. } => add(text, out),
            Part::ToolCall { name, input, .. } => {
                add(name, out);
                add_value(input, out);
            }
            Part::Image | Part::Other(_) => {}
        }
    }
}

/// Keys and values of arguments. They come from a parser that bounds their depth.
fn add_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => add(text, out),
        Value::Bool(_) | Value::Number(_) => add(&value.to_string(), out),
        Value::Array(items) => items.iter().for_each(|item| add_value(item, out)),
        Value::Object(members) => {
            for (key, value) in members {
                add(key, out);
                add_value(value, out);
            }
        }
    }
}

/// Adds a text on a line of its own, as far as there is room.
fn add(text: &str, out: &mut String) {
    if text.is_empty() || full(out) {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&text[..text.floor_char_boundary(MOST.saturating_sub(out.len()))]);
}

fn full(out: &str) -> bool {
    out.len() >= MOST
}

#[cfg(test)]
mod tests;
