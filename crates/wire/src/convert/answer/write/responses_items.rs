//! The JSON of Responses: items, parts, and the response around them. Streams and bodies use the same.

use serde_json::{Value, json};

use super::names::Names;
use crate::convert::AnswerContext;
use crate::convert::answer::event::{Stop, Usage};
use crate::convert::answer::usage::as_responses;

/// What the gateway itself says in a response, whatever the request had.
const OWN: [&str; 10] =
    ["id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "usage", "background"];

/// A part of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Value>,
    pub(super) logprobs: Vec<Value>,
}

impl Part {
    pub(super) fn value(&self) -> Value {
        if self.refusal {
            json!({"type": "refusal", "refusal": self.text})
        } else {
            json!({"type": "output_text", "text": self.text, "annotations": self.annotations, "logprobs": self.logprobs})
        }
    }
}

/// The ids of items, by their place.
#[derive(Clone, Debug)]
pub(super) struct Ids(String);

impl Ids {
    pub(super) fn new(context: &AnswerContext) -> Self {
        Self(context.id.clone())
    }

    pub(super) fn message(&self, at: usize) -> String {
        format!("msg_{}_{at}", self.0)
    }

    pub(super) fn reasoning(&self, at: usize) -> String {
        format!("rs_{}_{at}", self.0)
    }

    pub(super) fn call(&self, at: usize, free_text: bool) -> String {
        format!("{}_{}_{at}", if free_text { "ctc" } else { "fc" }, self.0)
    }
}

/// Whether an item is still being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    InProgress,
    Completed,
    /// Cut off.
    Incomplete,
}

impl State {
    /// How an item ends.
    pub(super) fn ended(cut: bool) -> Self {
        if cut { Self::Incomplete } else { Self::Completed }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

pub(super) fn message(id: &str, parts: &[Value], state: State) -> Value {
    json!({"id": id, "type": "message", "status": state.name(), "role": "assistant", "content": parts})
}

/// `sealed`: the envelope, once the reasoning has ended.
pub(super) fn reasoning(id: &str, text: &str, sealed: Option<&str>) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([summary(text)]) };
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if let Some(sealed) = sealed {
        item["encrypted_content"] = sealed.into();
    }
    item
}

pub(super) fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// A call of a tool; `of` is its name, with its namespace if it has one.
pub(super) fn call(id: &str, call_id: &str, of: Tool<'_>, text: &str, free_text: bool, state: State) -> Value {
    let (kind, member) = if free_text { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    let mut item =
        json!({"id": id, "type": kind, "status": state.name(), "call_id": call_id, "name": of.name, member: text});
    if let Some(namespace) = of.namespace {
        item["namespace"] = namespace.into();
    }
    item
}

/// A tool as the client knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    namespace: Option<&'a str>,
}

/// The tool that the upstream calls by this name.
pub(super) fn tool<'a>(context: &'a AnswerContext, name: &'a str) -> Tool<'a> {
    let found = context.namespaced_tools.iter().find(|tool| tool.joined == name);
    found.map_or(Tool { name, namespace: None }, |tool| Tool { name: &tool.name, namespace: Some(&tool.namespace) })
}

/// How a response stands.
#[derive(Clone, Debug)]
pub(super) enum Status {
    InProgress,
    Ended(Stop),
    /// The error.
    Failed(Value),
}

impl Status {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Ended(stop) if incomplete(stop).is_some() => "incomplete",
            Self::Ended(_) => "completed",
            Self::Failed(_) => "failed",
        }
    }
}

fn incomplete(stop: &Stop) -> Option<&'static str> {
    match stop {
        // A pause is a limit of the vendor's own: there would have been more.
        Stop::MaxTokens | Stop::ContextFull | Stop::Pause => Some("max_output_tokens"),
        Stop::Refusal { .. } => Some("content_filter"),
        Stop::End | Stop::ToolUse | Stop::Sequence(_) | Stop::Other(_) => None,
    }
}

/// A response.
pub(super) fn response(
    context: &AnswerContext,
    names: &Names,
    status: &Status,
    output: &[Value],
    usage: Usage,
) -> Value {
    let (error, reason) = match status {
        Status::Failed(error) => (error.clone(), None),
        Status::Ended(stop) => (Value::Null, incomplete(stop)),
        Status::InProgress => (Value::Null, None),
    };
    let usage = if matches!(status, Status::InProgress) { Value::Null } else { as_responses(usage) };
    let mut out = json!({
        "id": names.id, "object": "response", "created_at": names.created, "status": status.name(),
        "background": false, "error": error, "incomplete_details": reason.map(|reason| json!({"reason": reason})),
        "instructions": null, "max_output_tokens": null, "model": names.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
        "store": false, "temperature": null, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "top_p": null, "truncation": "disabled", "usage": usage, "user": null, "metadata": {},
    });
    for (name, value) in &context.repeated {
        if !OWN.contains(&name.as_str()) {
            out[name] = value.clone();
        }
    }
    out
}
