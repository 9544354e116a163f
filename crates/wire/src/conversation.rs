//! A request's conversation without its dialect, for judges and histories. Reading it never fails.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::request::{Request, walk};

mod items;
mod parts;

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator: `system` or `developer`.
    System,
    /// The user (in Messages also the bearer of tool results).
    User,
    /// The model.
    Assistant,
    /// A tool's result, in Chat and Responses.
    Tool,
    /// Any other, by its name; empty where there is none.
    Other(String),
}

impl Role {
    /// The name that stands in records and prompts: `system`, `user`, `assistant`, `tool`, or the wire's own word.
    pub fn name(&self) -> &str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other(name) => name,
        }
    }

    /// The role that this JSON text names.
    pub(crate) fn read(raw: Option<&str>) -> Self {
        let name = raw.and_then(walk::string);
        match name.as_deref() {
            Some("system" | "developer") => Self::System,
            Some("user") => Self::User,
            Some("assistant") => Self::Assistant,
            Some("tool" | "function") => Self::Tool,
            _ => Self::Other(name.unwrap_or_default()),
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// Reasoning, as far as the vendor shows it.
    Thinking(String),
    /// A picture.
    Image,
    /// A tool call that the model made earlier.
    ToolCall {
        /// The call's id; empty where there is none.
        id: String,
        /// The tool's name.
        name: String,
        /// Its arguments; a string with the raw text where that is not JSON.
        input: Value,
    },
    /// What a tool gave back.
    ToolResult {
        /// The id of the call; empty where there is none.
        id: String,
        /// The result's texts, joined by newlines.
        text: String,
        /// Whether the tool says it failed.
        is_error: bool,
    },
    /// Anything else, by its type.
    Other(String),
}

/// One message of a request in this dialect, an item of `input` in Responses, from its JSON text. What is no message has no parts.
pub fn message(dialect: Dialect, raw: &str) -> Message {
    if dialect == Dialect::Responses { items::item(raw) } else { spoken(raw) }
}

/// The parts of a `content`, of a `system` or of `instructions` from its JSON text: a string, or blocks.
pub fn content(raw: &str) -> Vec<Part> {
    parts::content(raw)
}

/// The system prompt, if any, as a message of its own, then the messages.
pub(crate) fn read(request: &Request) -> Vec<Message> {
    let body = request.text();
    let mut out = Vec::with_capacity(request.message_count() + 1);
    let system = match request.dialect() {
        Dialect::Messages => request.raw("system"),
        Dialect::Chat => None,
        Dialect::Responses => request.raw("instructions"),
    };
    let parts = system.map(parts::content).unwrap_or_default();
    if !parts.is_empty() {
        out.push(Message { role: Role::System, parts });
    }
    for raw in request.message_spans().iter().filter_map(|span| body.get(span.clone())) {
        out.push(message(request.dialect(), raw));
    }
    out
}

fn spoken(raw: &str) -> Message {
    let Some(members) = walk::object(raw) else {
        return Message { role: Role::Other(String::new()), parts: Vec::new() };
    };
    let get = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    let role = Role::read(get("role"));
    if role == Role::Tool {
        let id = get("tool_call_id").or_else(|| get("name")).and_then(walk::string).unwrap_or_default();
        let text = get("content").map(parts::plain).unwrap_or_default();
        return Message { role, parts: vec![Part::ToolResult { id, text, is_error: false }] };
    }
    let mut all = Vec::new();
    let plain = get("reasoning_content").or_else(|| get("reasoning")).and_then(walk::string);
    // The lists say the same again, or what is said nowhere else.
    let mut thought = plain.unwrap_or_default();
    for list in ["thinking_blocks", "reasoning_details"].iter().filter_map(|name| get(name)) {
        parts::add_thoughts(list, &mut thought);
    }
    if !thought.is_empty() {
        all.push(Part::Thinking(thought));
    }
    all.extend(get("content").map(parts::content).unwrap_or_default());
    if let Some(refusal) = get("refusal").and_then(walk::string) {
        all.push(Part::Text(refusal));
    }
    for call in get("tool_calls").and_then(walk::array).unwrap_or_default() {
        all.push(parts::chat_call(call));
    }
    if let Some(call) = get("function_call").filter(|raw| *raw != "null") {
        all.push(parts::function(String::new(), call));
    }
    Message { role, parts: all }
}

#[cfg(test)]
mod tests;
