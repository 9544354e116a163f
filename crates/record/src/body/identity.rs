//! What a message is, whatever its spelling: cache marks, the order of keys and the form of a single text do not count, nor
//! what a Responses client adds to an item or leaves out when it sends it again.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// How much of a user's text is kept for lists, in characters.
const PREVIEW: usize = 200;

/// How texts begin that agents put before what the user wrote, in the user's name.
const ADDED: [&str; 16] = [
    "<system-reminder>",
    "<environment_context>",
    "<user_instructions>",
    "<permissions instructions>",
    "<apps_instructions>",
    "<skills_instructions>",
    "<plugins_instructions>",
    "<recommended_plugins>",
    "<context_window",
    "<rollout_budget>",
    "<subagent_notification>",
    "<user_shell_command>",
    "<skill>",
    "<turn_aborted>",
    "<INSTRUCTIONS>",
    "# AGENTS.md instructions",
];

/// A message as it was understood.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Understood {
    /// Equal for messages that mean the same.
    pub(crate) canonical: String,
    /// What the user wrote, cut; none for other messages and for tool results.
    pub(crate) preview: Option<String>,
    /// The agent put it in by itself (as the system, or in the user's name): what the user wrote stands before it.
    pub(crate) aside: bool,
}

/// Reads one message, or an item of Responses, where a string is the user's; `None` if it is neither.
pub(crate) fn understand(message: &[u8]) -> Option<Understood> {
    let mut message = match serde_json::from_slice(message) {
        Ok(Value::Object(message)) => message,
        Ok(Value::String(text)) => [("role", Value::from("user")), ("content", text.into())]
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect(),
        _ => return None,
    };
    normalise_item(&mut message);
    normalise(&mut message);
    let preview = preview(&message);
    let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
    let aside = matches!(role, "system" | "developer")
        || (role == "user" && texts(&message).is_some_and(|mut texts| texts.all(is_added)));
    let mut canonical = String::new();
    write_sorted(&mut canonical, &Value::Object(message));
    Some(Understood { canonical, preview, aside })
}

/// Takes out of a Responses item what may differ when it is sent again.
fn normalise_item(item: &mut Map<String, Value>) {
    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    if !kind.ends_with("_output") {
        item.shift_remove("status");
    }
    if item.contains_key("call_id") || matches!(kind.as_str(), "message" | "reasoning") {
        item.shift_remove("id");
    }
    if kind == "message" {
        item.shift_remove("type");
    }
}

/// Takes cache marks out of a message or block, and makes a single string a list of one text.
fn normalise(object: &mut Map<String, Value>) {
    object.shift_remove("cache_control");
    if object.get("type").is_some_and(|kind| kind == "input_text" || kind == "output_text") {
        object.insert("type".into(), "text".into());
        object.retain(|key, value| {
            !matches!(key.as_str(), "annotations" | "logprobs") || value.as_array().is_some_and(|list| !list.is_empty())
        });
    }
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
    let blocks = message.get("content")?.as_array()?.iter();
    let mut texts = blocks.filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str());
    let text = texts.find(|text| !is_added(text) && !text.trim().is_empty())?;
    // Bounded before the words are looked at: the text may be megabytes.
    let bounded: String = text.trim_start().chars().take(PREVIEW * 2).collect();
    let words: Vec<&str> = bounded.split_whitespace().collect();
    Some(words.join(" ").chars().take(PREVIEW).collect())
}

/// The texts of a message that has nothing but texts, and at least one.
fn texts(message: &Map<String, Value>) -> Option<impl Iterator<Item = &str>> {
    let blocks = message.get("content")?.as_array()?;
    let all = !blocks.is_empty() && blocks.iter().all(|block| block["type"] == "text" && block["text"].is_string());
    all.then(|| blocks.iter().filter_map(|block| block["text"].as_str()))
}

fn is_added(text: &str) -> bool {
    let text = text.trim_start();
    ADDED.iter().any(|beginning| text.starts_with(beginning))
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
