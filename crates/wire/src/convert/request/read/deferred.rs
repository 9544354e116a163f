//! Tools of Messages that the model does not see until they are found (`defer_loading`): other dialects have no such thing,
//! so they are shown those that were found.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Puts `null` in place of the tools that the model of this request would not see. Where the vendor's own search would find them, which
/// other vendors do not have, all stay.
pub(super) fn hide(tools: &mut [Value], messages: &[Value]) {
    let searches = |tool: &Value| tool["type"].as_str().is_some_and(|kind| kind.starts_with("tool_search"));
    if !tools.iter().any(is_deferred) || tools.iter().any(searches) {
        return;
    }
    let mut known = HashSet::new();
    for message in messages {
        found(&message["content"], &mut known);
    }
    for tool in tools.iter_mut().filter(|tool| is_deferred(tool)) {
        match tool.as_object_mut() {
            Some(members) if members.get("name").and_then(Value::as_str).is_some_and(|name| known.contains(name)) => {
                members.shift_remove("defer_loading");
            }
            _ => *tool = Value::Null,
        }
    }
}

fn is_deferred(tool: &Value) -> bool {
    tool["defer_loading"] == true
}

/// The tools that contents refer to or call.
fn found(content: &Value, known: &mut HashSet<String>) {
    for block in content.as_array().into_iter().flatten().filter_map(Value::as_object) {
        let name = match block.get("type").and_then(Value::as_str) {
            Some("tool_reference") => text(block, "tool_name"),
            Some("tool_use") => text(block, "name"),
            _ => None,
        };
        known.extend(name.map(str::to_owned));
        if let Some(inner) = block.get("content") {
            found(inner, known);
        }
    }
}

fn text<'a>(block: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    block.get(name).and_then(Value::as_str)
}
