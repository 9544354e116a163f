//! What is known of a request: its conversation, read once where an expression asks for it.

use std::collections::HashMap;
use std::sync::OnceLock;

use cel::common::types::{CelBool, CelString};
use luthien_wire::conversation::{Message, Part, Role};
use luthien_wire::request::Request;
use serde_json::Value;

use super::command;
use super::shells::Shells;
use crate::rules::values::{self, Boxed};

/// The most calls, and results, of a history; later ones count.
const MOST: usize = 500;

/// What is known of one request.
#[derive(Debug, Default)]
pub(crate) struct Known {
    conversation: OnceLock<Vec<Message>>,
    system: OnceLock<String>,
    last: OnceLock<String>,
    body: OnceLock<Value>,
    shells: Shells,
}

impl Known {
    pub(super) fn shells(&self) -> &Shells {
        &self.shells
    }

    fn conversation(&self, request: &Request) -> &[Message] {
        self.conversation.get_or_init(|| request.conversation())
    }

    pub(super) fn body<'b>(&'b self, request: &Request) -> Boxed<'b> {
        values::from_json(self.json(request))
    }

    fn json(&self, request: &Request) -> &Value {
        self.body.get_or_init(|| serde_json::from_str(request.text()).unwrap_or(Value::Null))
    }

    /// The texts of the system prompt.
    pub(super) fn system(&self, request: &Request) -> &str {
        self.system.get_or_init(|| {
            let of_system = self.conversation(request).iter().filter(|message| message.role == Role::System);
            of_system.map(texts).collect::<Vec<_>>().join("\n\n")
        })
    }

    /// The texts of the user's last message.
    pub(super) fn last(&self, request: &Request) -> &str {
        self.last.get_or_init(|| {
            let is_user = |message: &&Message| message.role == Role::User && has_text(message);
            self.conversation(request).iter().rev().find(is_user).map(texts).unwrap_or_default()
        })
    }

    /// The messages, without the system prompt: `role` and `text`.
    pub(super) fn messages<'b>(&'b self, request: &'b Request) -> Boxed<'b> {
        let said = self.conversation(request).iter().filter(|message| message.role != Role::System);
        values::list(said.map(|message| {
            let text: Boxed<'b> = Box::new(CelString::from(texts(message)));
            values::map([("role", values::text(message.role.name())), ("text", text)].into_iter())
        }))
    }

    /// The names of the tools that are offered; of tools without a name their type.
    pub(super) fn tools<'b>(&'b self, request: &Request) -> Boxed<'b> {
        let tools = self.json(request).get("tools").and_then(Value::as_array);
        let name = |tool: &'b Value| {
            let named = tool.get("name").or_else(|| tool.get("function")?.get("name"));
            named.or_else(|| tool.get("type")).and_then(Value::as_str)
        };
        values::list(tools.into_iter().flatten().filter_map(name).map(values::text))
    }

    /// The calls of the conversation: `name`, `args`, and `command` for shell tools.
    pub(super) fn calls<'b>(&'b self, request: &'b Request) -> Boxed<'b> {
        values::list(last_of(self.parts(request).filter_map(call)).into_iter())
    }

    /// The results of the conversation: `name`, `text`, `is_error`.
    pub(super) fn results<'b>(&'b self, request: &'b Request) -> Boxed<'b> {
        let mut names = HashMap::new();
        values::list(last_of(self.parts(request).filter_map(|part| result(part, &mut names))).into_iter())
    }

    fn parts<'b>(&'b self, request: &'b Request) -> impl Iterator<Item = &'b Part> {
        self.conversation(request).iter().flat_map(|message| &message.parts)
    }
}

fn last_of<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.drain(..items.len().saturating_sub(MOST));
    items
}

fn call(part: &Part) -> Option<Boxed<'_>> {
    let Part::ToolCall { name, input, .. } = part else { return None };
    let args = match input {
        Value::Object(_) => values::from_json(input),
        other => values::map(std::iter::once(("input", values::from_json(other)))),
    };
    let mut members = vec![("name", values::text(name)), ("args", args)];
    if let Some(command) = command::in_arguments(name, input) {
        members.push(("command", Box::new(CelString::from(command))));
    }
    Some(values::map(members.into_iter()))
}

/// A result, named by the tool that was called. `names` are the tools by their calls' ids, as far as they were seen.
fn result<'b>(part: &'b Part, names: &mut HashMap<&'b str, &'b str>) -> Option<Boxed<'b>> {
    match part {
        Part::ToolCall { id, name, .. } => {
            names.insert(id, name);
            None
        }
        Part::ToolResult { id, text, is_error } => {
            let name = names.get(id.as_str()).copied().unwrap_or_default();
            let failed: Boxed<'b> = Box::new(CelBool::from(*is_error));
            let members = [("name", values::text(name)), ("text", values::text(text)), ("is_error", failed)];
            Some(values::map(members.into_iter()))
        }
        _ => None,
    }
}

fn has_text(message: &Message) -> bool {
    message.parts.iter().any(|part| matches!(part, Part::Text(_)))
}

fn texts(message: &Message) -> String {
    let said = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    said.collect::<Vec<_>>().join("\n\n")
}
