//! One thing to put to policies, read from a line of labelled data: a command, a tool call, a text, a request, or a turn.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::Block;
use luthien_wire::whole;
use serde_json::{Map, Value, json};

/// What the user says where a line does not tell.
const PROMPT: &str = "Go on.";

/// What a line may hold; exactly one of them, but that a request may stand beside the others.
const KINDS: [&str; 5] = ["command", "tool_call", "text", "response", "response_messages"];

/// The tool that a bare command is given to.
#[derive(Clone, Debug)]
pub struct CommandTool {
    /// The tool's name.
    pub name: String,
    /// The argument that holds the command.
    pub argument: String,
}

impl Default for CommandTool {
    fn default() -> Self {
        Self { name: "Bash".to_owned(), argument: "command".to_owned() }
    }
}

/// One thing to put to policies: a request and the model's answer to it.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) request: Request,
    pub(super) answer: Option<Bytes>,
    pub(super) session: Option<String>,
    /// The answer, or the arguments of one of its calls, cannot be read.
    pub(super) unreadable: bool,
    shown: String,
}

/// What the model says, before it is written as an answer.
enum Said {
    Text(String),
    Call { name: String, arguments: Value },
}

impl Case {
    /// Reads a line of data. The error names the field.
    pub fn read(row: &Map<String, Value>, tool: &CommandTool) -> Result<Self, String> {
        let given: Vec<&str> = KINDS.into_iter().filter(|kind| row.contains_key(*kind)).collect();
        let (said, shown) = match given[..] {
            [] if row.contains_key("request") || row.contains_key("prompt") => return Self::of_request(row),
            [] => {
                return Err(format!(
                    "there is none of {} in it",
                    backquoted(&[&KINDS[..], &["request", "prompt"]].concat())
                ));
            }
            ["command"] => {
                let command = text(row, "command")?;
                let arguments = json!({tool.argument.as_str(): command});
                (vec![Said::Call { name: tool.name.clone(), arguments }], command.to_owned())
            }
            ["tool_call"] => call(row.get("tool_call").unwrap_or(&Value::Null))?,
            ["text"] => (vec![Said::Text(text(row, "text")?.to_owned())], text(row, "text")?.to_owned()),
            ["response"] => return Self::of_bodies(row),
            ["response_messages"] => turn(row)?,
            _ => return Err(format!("{} cannot stand in one line", backquoted(&given))),
        };
        let dialect = Dialect::Chat;
        let request = match row.get("request_messages") {
            _ if row.contains_key("request") => request(row, dialect)?,
            Some(_) => parse(dialect, conversation(messages(row, "request")?)?.to_string())?,
            None => asked(row)?,
        };
        let answer = Bytes::from(answer(&said).to_string());
        Ok(Self { request, answer: Some(answer), session: session(row), unreadable: false, shown }.checked())
    }

    /// The thing as a person would know it: the command, the text, or the calls of the answer.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn of_request(row: &Map<String, Value>) -> Result<Self, String> {
        let request = if row.contains_key("request") { request(row, dialect(row)?)? } else { asked(row)? };
        let said = request.conversation();
        let shown = row.get("prompt").and_then(Value::as_str).map(str::to_owned);
        let shown = shown.unwrap_or_else(|| format!("a request of {} messages to {}", said.len(), request.model()));
        Ok(Self { request, answer: None, session: session(row), unreadable: false, shown })
    }

    fn of_bodies(row: &Map<String, Value>) -> Result<Self, String> {
        let dialect = dialect(row)?;
        let request = if row.contains_key("request") {
            request(row, dialect)?
        } else if dialect == Dialect::Chat {
            asked(row)?
        } else {
            return Err("`request`: a `response` of that dialect needs the request that it answers".to_owned());
        };
        let answer = Bytes::from(body(row, "response")?);
        let shown = String::new();
        Ok(Self { request, answer: Some(answer), session: session(row), unreadable: false, shown }.checked())
    }

    /// With what is known of the answer once it has been read.
    fn checked(mut self) -> Self {
        let Some(answer) = &self.answer else { return self };
        let Ok(read) = whole::decode(self.request.dialect(), answer) else {
            self.unreadable = true;
            self.shown = String::from_utf8_lossy(answer).into_owned();
            return self;
        };
        let mut shown = Vec::new();
        for part in read.choices.iter().flat_map(|choice| &choice.parts) {
            match &part.block {
                Block::Text(text) => shown.push(text.clone()),
                Block::ToolCall(call) => {
                    self.unreadable |= call.arguments.is_err();
                    shown.push(format!("{} {}", call.name, call.raw));
                }
                Block::Thinking(_) | Block::Opaque { .. } => {}
            }
        }
        if self.shown.is_empty() {
            self.shown = shown.join("\n");
        }
        self
    }
}

fn backquoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn text<'a>(row: &'a Map<String, Value>, field: &str) -> Result<&'a str, String> {
    row.get(field).and_then(Value::as_str).ok_or_else(|| format!("`{field}` has to be a text"))
}

fn session(row: &Map<String, Value>) -> Option<String> {
    row.get("session_id").and_then(Value::as_str).map(str::to_owned)
}

fn dialect(row: &Map<String, Value>) -> Result<Dialect, String> {
    match row.get("dialect") {
        None => Ok(Dialect::Messages),
        Some(name) => serde_json::from_value(name.clone())
            .map_err(|_| "`dialect` has to be `messages`, `chat` or `responses`".to_owned()),
    }
}

/// A body: JSON, or its text.
fn body(row: &Map<String, Value>, field: &str) -> Result<String, String> {
    match row.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(body @ Value::Object(_)) => Ok(body.to_string()),
        _ => Err(format!("`{field}` has to be a body: an object, or its text")),
    }
}

fn request(row: &Map<String, Value>, dialect: Dialect) -> Result<Request, String> {
    parse(dialect, body(row, "request")?)
}

fn parse(dialect: Dialect, body: String) -> Result<Request, String> {
    // The laxer kind: what was recorded is to be tried in any case.
    Request::parse(dialect, RequestKind::CountTokens, Bytes::from(body)).map_err(|error| format!("`request`: {error}"))
}

/// The request to a line that is no turn.
fn asked(row: &Map<String, Value>) -> Result<Request, String> {
    let prompt = if row.contains_key("prompt") { text(row, "prompt")? } else { PROMPT };
    parse(Dialect::Chat, json!({"model": "evaluation", "messages": [{"role": "user", "content": prompt}]}).to_string())
}

fn call(call: &Value) -> Result<(Vec<Said>, String), String> {
    let name = call.get("name").and_then(Value::as_str).ok_or("`tool_call.name` has to be a text")?;
    let arguments = call.get("arguments").cloned().unwrap_or_else(|| json!({}));
    if !arguments.is_object() && !arguments.is_string() {
        return Err("`tool_call.arguments` has to be an object, or the text as the model wrote it".to_owned());
    }
    Ok((vec![Said::Call { name: name.to_owned(), arguments }], String::new()))
}

/// A recorded turn's messages: as the model gave them and as the client sent them, where policies changed them.
fn messages<'a>(row: &'a Map<String, Value>, of: &str) -> Result<&'a Vec<Value>, String> {
    let original = row.get(&format!("original_{of}_messages")).filter(|value| !value.is_null());
    let found = original.or_else(|| row.get(&format!("{of}_messages"))).and_then(Value::as_array);
    found.ok_or_else(|| format!("`{of}_messages` has to be a list"))
}

/// What the model says in a recorded turn. Reasoning is left out: no policy is asked about it.
fn turn(row: &Map<String, Value>) -> Result<(Vec<Said>, String), String> {
    let said = messages(row, "response")?.iter().filter_map(|message| match kind(message) {
        "assistant" => Some(Said::Text(content(message).to_owned())),
        "tool_call" => {
            let name = message.get("tool_name").and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(Said::Call { name, arguments: message.get("tool_input").cloned().unwrap_or_default() })
        }
        _ => None,
    });
    Ok((said.collect(), String::new()))
}

fn kind(message: &Value) -> &str {
    message.get("message_type").and_then(Value::as_str).unwrap_or_default()
}

fn content(message: &Value) -> &str {
    message.get("content").and_then(Value::as_str).unwrap_or_default()
}

/// The messages of a recorded turn as a request.
fn conversation(messages: &[Value]) -> Result<Value, String> {
    let mut out = Vec::new();
    for message in messages {
        let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or("call_0");
        out.push(match kind(message) {
            role @ ("system" | "user" | "assistant") => json!({"role": role, "content": content(message)}),
            "tool_call" => {
                let name = message.get("tool_name").and_then(Value::as_str).unwrap_or_default();
                let arguments = message.get("tool_input").cloned().unwrap_or_default();
                json!({"role": "assistant", "content": null, "tool_calls": [wire_call(id, name, &arguments)]})
            }
            "tool_result" => json!({"role": "tool", "tool_call_id": id, "content": content(message)}),
            _ => continue,
        });
    }
    if out.is_empty() {
        return Err("`request_messages` has no message in it".to_owned());
    }
    Ok(json!({"model": "evaluation", "messages": out}))
}

/// A call in Chat. A text that does not begin like an object is what a tool without JSON arguments is given.
fn wire_call(id: &str, name: &str, arguments: &Value) -> Value {
    match arguments {
        Value::String(text) if !text.trim_start().starts_with('{') => {
            json!({"id": id, "type": "custom", "custom": {"name": name, "input": text}})
        }
        Value::String(text) => json!({"id": id, "type": "function", "function": {"name": name, "arguments": text}}),
        other => json!({"id": id, "type": "function", "function": {"name": name, "arguments": other.to_string()}}),
    }
}

fn answer(said: &[Said]) -> Value {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for (at, said) in said.iter().enumerate() {
        match said {
            Said::Text(more) => text.push_str(more),
            Said::Call { name, arguments } => calls.push(wire_call(&format!("call_{at}"), name, arguments)),
        }
    }
    let stop = if calls.is_empty() { "stop" } else { "tool_calls" };
    let mut message = json!({"role": "assistant", "content": if text.is_empty() { Value::Null } else { text.into() }});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": "evaluation", "object": "chat.completion", "created": 0, "model": "evaluation",
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
    })
}
