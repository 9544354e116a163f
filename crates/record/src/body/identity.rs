//! What a message is, whatever its spelling: cache marks, the order of keys and the form of a single text do not count.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// How much of a user's text is kept for lists, in characters.
const PREVIEW: usize = 200;

/// A message as it was understood.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Understood {
    /// Equal for messages that mean the same.
    pub(crate) canonical: String,
    /// What the user wrote, cut; none for other messages and for tool results.
    pub(crate) preview: Option<String>,
    /// The agent put it in by itself (`role: system`): what the user wrote stands before it.
    pub(crate) aside: bool,
}

/// Reads one message; `None` if it is not a JSON object.
pub(crate) fn understand(message: &[u8]) -> Option<Understood> {
    let Ok(Value::Object(mut message)) = serde_json::from_slice(message) else { return None };
    normalise(&mut message);
    let preview = preview(&message);
    let aside = message.get("role").is_some_and(|role| role == "system");
    let mut canonical = String::new();
    write_sorted(&mut canonical, &Value::Object(message));
    Some(Understood { canonical, preview, aside })
}

/// Takes cache marks out of a message or block, and makes a single string a list of one text.
fn normalise(object: &mut Map<String, Value>) {
    object.shift_remove("cache_control");
    let Some(content) = object.get_mut("content") else { return };
    if let Value::String(text) = content {
        let text = std::mem::take(text);
        *content = serde_json::json!([{"type": "text", "text": text}]);
    }
    if let Value::Array(blocks) = content {
        for block in blocks.iter_mut().filter_map(Value::as_object_mut) {
            normalise(block);
        }
    }
}

fn preview(message: &Map<String, Value>) -> Option<String> {
    if message.get("role")?.as_str()? != "user" {
        return None;
    }
    let texts = message.get("content")?.as_array()?.iter();
    let mut texts = texts.filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
    let text = texts.find(|text| !text.trim_start().starts_with("<system-reminder>") && !text.trim().is_empty())?;
    // Bounded before the words are looked at: the text may be megabytes.
    let bounded: String = text.trim_start().chars().take(PREVIEW * 2).collect();
    let words: Vec<&str> = bounded.split_whitespace().collect();
    Some(words.join(" ").chars().take(PREVIEW).collect())
}

fn write_sorted(out: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                let _ = write!(out, "{}:", Value::from(key.as_str()));
                write_sorted(out, value);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_sorted(out, item);
                out.push(',');
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}
