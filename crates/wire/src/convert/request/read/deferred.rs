//! Which tools the model of a Messages request sees by now. Other dialects cannot change that in the middle of a
//! conversation, so they get the tools as they are at its end.
//!
//! A tool with `defer_loading` is seen once it was found (`tool_reference`) or added; system messages add tools, by name or
//! with their definition, and take them away.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Adds the tools that the conversation defines, and puts `null` in place of those that the model would not see. Where the
/// vendor's own search would find deferred tools, which other vendors do not have, all of them stay.
pub(super) fn settle(tools: &mut Vec<Value>, messages: &[Value]) {
    let mut seen = Seen::default();
    for message in messages {
        seen.read(&message["content"], tools);
    }
    let searches = |tool: &Value| tool["type"].as_str().is_some_and(|kind| kind.starts_with("tool_search"));
    let all = tools.iter().any(searches);
    for tool in tools {
        let name = tool["name"].as_str().unwrap_or_default();
        let deferred = tool["defer_loading"] == true;
        if seen.gone.contains(name) || (deferred && !all && !seen.found.contains(name)) {
            *tool = Value::Null;
        } else if let Some(members) = tool.as_object_mut().filter(|_| deferred && !all) {
            members.shift_remove("defer_loading");
        }
    }
}

#[derive(Default)]
struct Seen {
    found: HashSet<String>,
    gone: HashSet<String>,
}

impl Seen {
    /// Takes up what contents say of tools.
    fn read(&mut self, content: &Value, tools: &mut Vec<Value>) {
        for block in content.as_array().into_iter().flatten().filter_map(Value::as_object) {
            match block.get("type").and_then(Value::as_str) {
                Some("tool_reference") => self.found.extend(text(block, "tool_name")),
                Some("tool_use") => self.found.extend(text(block, "name")),
                Some("tool_addition") => self.added(&block["tool"], tools),
                Some("tool_removal") => {
                    if let Some(name) = block["tool"].as_object().and_then(|tool| text(tool, "name")) {
                        self.found.remove(&name);
                        self.gone.insert(name);
                    }
                }
                _ => {}
            }
            if let Some(inner) = block.get("content") {
                self.read(inner, tools);
            }
        }
    }

    fn added(&mut self, tool: &Value, tools: &mut Vec<Value>) {
        let definition = tool.get("definition");
        let Some(name) = definition.unwrap_or(tool)["name"].as_str() else { return };
        self.gone.remove(name);
        self.found.insert(name.to_owned());
        if let Some(definition) = definition {
            tools.retain(|tool| tool["name"] != name);
            tools.push(definition.clone());
        }
    }
}

fn text(block: &Map<String, Value>, name: &str) -> Option<String> {
    block.get(name).and_then(Value::as_str).map(str::to_owned)
}
