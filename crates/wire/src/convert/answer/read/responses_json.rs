//! What the JSON of Responses items says.

use serde_json::Value;

use crate::turn::Unreadable;

/// What an item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum ItemKind {
    #[default]
    Message,
    Reasoning,
    Call,
    FreeCall,
    /// A web search that the vendor ran.
    Search,
    /// Nothing that other dialects have.
    Other,
}

/// What `all` has beyond `said`. Where they differ, what has been said stands.
pub(super) fn missing<'a>(said: &str, all: &'a str) -> &'a str {
    all.strip_prefix(said).unwrap_or_default()
}

/// The same for arguments, where a difference is no matter of taste.
pub(super) fn missing_arguments<'a>(said: &str, all: &'a str) -> Result<&'a str, Unreadable> {
    if all.is_empty() {
        return Ok("");
    }
    all.strip_prefix(said).ok_or(Unreadable::Contradiction)
}

pub(super) fn kind_of(item: &Value) -> ItemKind {
    match text(item.get("type")) {
        "message" => ItemKind::Message,
        "reasoning" => ItemKind::Reasoning,
        "function_call" => ItemKind::Call,
        "custom_tool_call" => ItemKind::FreeCall,
        "web_search_call" => ItemKind::Search,
        _ => ItemKind::Other,
    }
}

pub(super) fn id_of(item: &Value) -> Option<&str> {
    ["id", "call_id"].into_iter().find_map(|name| item.get(name)?.as_str()).filter(|id| !id.is_empty())
}

pub(super) fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}
