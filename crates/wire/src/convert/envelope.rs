//! The envelope in which one vendor's reasoning travels through a client of another's dialect and back.
//!
//! Vendors give their reasoning with something only they can read: a signature, redacted data, encrypted content. They
//! want it back unchanged on the next turn. A client of another dialect has a place for such a thing (it replays it without
//! reading it), so there the vendor's own JSON is put, whole. What an envelope holds, by the vendor's dialect:
//!
//! - `messages`: a content block, `{"type":"thinking","thinking":…,"signature":…}` or `{"type":"redacted_thinking","data":…}`
//! - `responses`: a `reasoning` item, `{"type":"reasoning","id":…,"summary":[…],"encrypted_content":…}`
//! - `chat`: the members of the message that carry reasoning, `{"reasoning_content":…,"reasoning_details":[…]}`
//!
//! Where it lies in what the client keeps, by the client's dialect:
//!
//! - `messages`: the `signature` of a `thinking` block (whose text is what the vendor showed), or the `data` of a
//!   `redacted_thinking` block
//! - `responses`: the `encrypted_content` of a `reasoning` item
//! - `chat`: a `signature` in `thinking_blocks`, or a `signature` or `data` in `reasoning_details`
//!
//! Two more things of Anthropic's travel so, through clients of Responses: the sealed parts of what a web search found
//! (`search.rs`) and of a citation (`citation.rs`).
//!
//! An envelope comes back from a client, so it is no more trusted than the rest of its request: [`open`] takes nothing out
//! of it but reasoning, by its known members, and whoever sends that on sees to it that the client's history shows its
//! [`texts`] too.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::dialect::Dialect;

/// What every envelope begins with.
pub const PREFIX: &str = "luthien1.";

/// The members of a Chat message that carry reasoning, in the forms seen in the wild.
pub const CHAT_MEMBERS: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"];

/// `reasoning` as a vendor of dialect `from` gave it, as a text that a client keeps without reading it: letters, digits,
/// `.`, `-` and `_`.
pub fn seal(from: Dialect, reasoning: &Value) -> String {
    format!("{PREFIX}{}.{}", from.name(), URL_SAFE_NO_PAD.encode(reasoning.to_string()))
}

/// Whose reasoning an envelope holds, and what it is; `None` where `text` is none of ours, is damaged, or holds anything
/// else than reasoning.
pub fn open(text: &str) -> Option<(Dialect, Value)> {
    let (from, mut reasoning) = unsealed(text)?;
    if !is_reasoning(from, &reasoning) {
        return None;
    }
    keep_known(from, &mut reasoning);
    Some((from, reasoning))
}

/// Whose an envelope is, and whatever stands in it: its reader takes out what it knows, by name.
pub(super) fn unsealed(text: &str) -> Option<(Dialect, Value)> {
    let (name, data) = text.strip_prefix(PREFIX)?.split_once('.')?;
    let from = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
    Some((from, serde_json::from_slice(&URL_SAFE_NO_PAD.decode(data).ok()?).ok()?))
}

/// What stands where Anthropic has something sealed and another vendor has nothing.
pub(super) fn nothing() -> String {
    seal(Dialect::Responses, &Value::Object(serde_json::Map::new()))
}

/// What of reasoning a model or a person can read: the texts of each member that has some, in order.
pub fn texts(reasoning: &Value) -> Vec<Vec<&str>> {
    const PLAIN: [&str; 3] = ["thinking", "reasoning_content", "reasoning"];
    const LISTS: [&str; 4] = ["summary", "content", "reasoning_details", "thinking_blocks"];
    let plain = PLAIN.iter().filter_map(|name| Some(vec![reasoning.get(name)?.as_str()?]));
    let text = |element| ["text", "summary", "thinking"].map(|name| Value::get(element, name)?.as_str());
    let lists = LISTS.iter().filter_map(|name| reasoning.get(name)?.as_array());
    plain.chain(lists.map(|list| list.iter().flat_map(text).flatten().collect())).collect()
}

/// Takes out every member that reasoning does not have.
fn keep_known(from: Dialect, reasoning: &mut Value) {
    const ITEM: [&str; 6] = ["type", "id", "status", "summary", "content", "encrypted_content"];
    const ELEMENT: [&str; 9] = ["type", "id", "index", "format", "text", "summary", "thinking", "signature", "data"];
    let Some(members) = reasoning.as_object_mut() else { return };
    let known: &[&str] = match from {
        Dialect::Messages if members.contains_key("thinking") => &["type", "thinking", "signature"],
        Dialect::Messages => &["type", "data"],
        Dialect::Responses => &ITEM,
        Dialect::Chat => &CHAT_MEMBERS,
    };
    members.retain(|name, value| {
        if let Value::Array(elements) = value {
            elements.retain(Value::is_object);
            for element in elements.iter_mut().filter_map(Value::as_object_mut) {
                element
                    .retain(|name, value| ELEMENT.contains(&name.as_str()) && !value.is_object() && !value.is_array());
            }
        }
        known.contains(&name.as_str()) && !value.is_object()
    });
}

/// Whether `value` is reasoning as a vendor of this dialect gives it, in the form that an envelope holds.
pub fn is_reasoning(dialect: Dialect, value: &Value) -> bool {
    let is = |name: &str, test: fn(&Value) -> bool| value.get(name).is_some_and(test);
    match dialect {
        Dialect::Messages => match value.get("type").and_then(Value::as_str) {
            Some("redacted_thinking") if value.get("thinking").is_some() => false,
            Some("thinking") => is("thinking", Value::is_string) && is("signature", Value::is_string),
            Some("redacted_thinking") => is("data", Value::is_string),
            _ => false,
        },
        Dialect::Responses => {
            value.get("type").is_some_and(|kind| kind == "reasoning") && is("summary", Value::is_array)
        }
        Dialect::Chat => value.as_object().is_some_and(|members| {
            let is_list = |name: &str| name == "reasoning_details" || name == "thinking_blocks";
            let fits = |(name, value): (&String, &Value)| {
                CHAT_MEMBERS.contains(&name.as_str())
                    && if is_list(name) { value.is_array() } else { value.is_string() }
            };
            !members.is_empty() && members.iter().all(fits)
        }),
    }
}

#[cfg(test)]
mod tests;
