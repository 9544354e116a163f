//! Bodies as flat lists of messages, the same for all dialects and for requests and answers.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::answer::{self, Ending};
use luthien_wire::conversation::{Message as Spoken, Part, Role};
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::Block;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

mod responses;

/// Parameters larger than this are left out.
const LARGEST_PARAMETER: usize = 2048;

/// Of a body that cannot be read, so many bytes are shown.
const SHOWN: usize = 64 * 1024;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The model asks for a tool.
    ToolCall,
    /// What the tool gave.
    ToolResult,
    /// Anything else: reasoning, blocks of other types, bodies that cannot be read.
    Unknown,
}

/// One message, flat.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Message {
    /// Its kind.
    pub message_type: MessageType,
    /// Its text.
    pub content: String,
    /// The tool, for calls.
    pub tool_name: Option<String>,
    /// The call's id, for calls and results.
    pub tool_call_id: Option<String>,
    /// The arguments, for calls; their raw text where they are not JSON.
    pub tool_input: Option<Value>,
    /// The tool failed, for results.
    pub is_error: Option<bool>,
}

impl Message {
    fn plain(message_type: MessageType, content: impl Into<String>) -> Self {
        let content = content.into();
        Self { message_type, content, tool_name: None, tool_call_id: None, tool_input: None, is_error: None }
    }

    fn call(id: &str, name: &str, input: Value) -> Self {
        Self {
            tool_name: Some(name.into()),
            tool_call_id: Some(id.into()),
            content: input.as_str().map_or_else(|| input.to_string(), str::to_owned),
            tool_input: Some(input),
            ..Self::plain(MessageType::ToolCall, "")
        }
    }
}

/// A request for reading; `None` where the body is no request.
pub(super) fn request(dialect: Dialect, body: &Bytes) -> Option<Request> {
    // The laxer kind: what was forwarded or refused is to be shown in any case.
    Request::parse(dialect, RequestKind::CountTokens, body.clone()).ok()
}

/// A request's messages, and where in the list each message of the wire begins.
pub(super) fn of_request(dialect: Dialect, body: &Bytes) -> (Vec<Message>, Vec<usize>) {
    let Some(request) = request(dialect, body) else { return (unreadable(body), Vec::new()) };
    let spoken = request.conversation();
    let instructions = spoken.len().saturating_sub(request.message_count());
    let mut out = Vec::new();
    let mut begins = Vec::new();
    for (index, message) in spoken.iter().enumerate() {
        if index >= instructions {
            begins.push(out.len());
        }
        flatten(message, &mut out);
    }
    (out, begins)
}

/// The request's members beside its messages, instructions and tools.
pub(super) fn parameters(body: &Bytes) -> Map<String, Value> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(body) else { return Map::new() };
    members.retain(|key, value| {
        !matches!(key.as_str(), "messages" | "system" | "input" | "instructions" | "tools")
            && value.to_string().len() <= LARGEST_PARAMETER
    });
    members
}

/// An answer's messages.
pub(super) fn of_answer(dialect: Dialect, body: &[u8]) -> Vec<Message> {
    let messages: Vec<_> = blocks(dialect, body).iter().map(of_block).collect();
    if messages.is_empty() && !body.is_empty() {
        let error = ending(dialect, body).error;
        return error.map_or_else(|| unreadable(body), |error| vec![Message::plain(MessageType::Unknown, error)]);
    }
    messages
}

/// An answer's blocks.
pub(crate) fn blocks(dialect: Dialect, body: &[u8]) -> Vec<Block> {
    answer::blocks(dialect, is_stream(body), body).into_iter().map(|(_, block)| block).collect()
}

/// How an answer ended.
pub(crate) fn ending(dialect: Dialect, body: &[u8]) -> Ending {
    answer::ending(dialect, is_stream(body), body)
}

/// An answer as one JSON value: as it was, or put together from its stream.
pub(super) fn as_json(dialect: Dialect, body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    if !is_stream(body) {
        return json_or_text(body);
    }
    if let Some(response) = (dialect == Dialect::Responses).then(|| responses::last(body)).flatten() {
        return response;
    }
    let ending = ending(dialect, body);
    let blocks = blocks(dialect, body);
    let mut out = match dialect {
        Dialect::Messages => json!({
            "type": "message", "role": "assistant", "model": ending.model,
            "content": blocks.iter().map(|block| Value::Object(block_json(block, "tool_use"))).collect::<Vec<_>>(),
            "stop_reason": ending.stop_reason, "usage": ending.usage,
        }),
        Dialect::Responses => responses::put_together(&ending, &blocks),
        Dialect::Chat => json!({
            "object": "chat.completion", "model": ending.model,
            "choices": [{"index": 0, "message": chat_message(&blocks), "finish_reason": ending.stop_reason}],
            "usage": ending.usage,
        }),
    };
    if let (Some(error), Value::Object(out)) = (ending.error, &mut out) {
        out.insert("error".into(), error.into());
    }
    out
}

fn chat_message(blocks: &[Block]) -> Value {
    let text: String = blocks
        .iter()
        .filter_map(|block| if let Block::Text(text) = block { Some(text.as_str()) } else { None })
        .collect();
    let calls: Vec<_> = blocks
        .iter()
        .filter_map(|block| if let Block::ToolCall(call) = block { Some(call) } else { None })
        .map(|call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}}))
        .collect();
    json!({"role": "assistant", "content": text, "tool_calls": calls})
}

/// A block as JSON, a tool call under the type `call`.
pub(super) fn block_json(block: &Block, call: &str) -> Map<String, Value> {
    let value = match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Thinking(text) => json!({"type": "thinking", "thinking": text}),
        Block::ToolCall(tool) => json!({"type": call, "id": tool.id, "name": tool.name, "input": input(tool)}),
        Block::Opaque { kind, raw } => json!({"type": kind, "raw": raw}),
    };
    if let Value::Object(members) = value { members } else { Map::new() }
}

/// A body as JSON, else as text.
pub(super) fn json_or_text(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}

/// Streams are text of another kind than JSON.
fn is_stream(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| !b"{[".contains(first))
}

fn of_block(block: &Block) -> Message {
    match block {
        Block::Text(text) => Message::plain(MessageType::Assistant, text),
        Block::Thinking(text) => Message::plain(MessageType::Unknown, text),
        Block::ToolCall(call) => Message::call(&call.id, &call.name, input(call)),
        Block::Opaque { raw, .. } => Message::plain(MessageType::Unknown, raw),
    }
}

pub(super) fn input(call: &luthien_wire::turn::ToolCall) -> Value {
    call.arguments.clone().unwrap_or_else(|_| call.raw.clone().into())
}

/// Texts that stand together are one message.
fn flatten(message: &Spoken, out: &mut Vec<Message>) {
    let kind = match message.role {
        Role::System => MessageType::System,
        Role::User => MessageType::User,
        Role::Assistant => MessageType::Assistant,
        Role::Tool => MessageType::ToolResult,
        Role::Other(_) => MessageType::Unknown,
    };
    let mut text_before = false;
    for part in &message.parts {
        if let (true, Part::Text(text), Some(last)) = (text_before, part, out.last_mut()) {
            last.content.push('\n');
            last.content.push_str(text);
            continue;
        }
        text_before = matches!(part, Part::Text(_));
        out.push(match part {
            Part::Text(text) => Message::plain(kind, text),
            Part::Thinking(text) => Message::plain(MessageType::Unknown, text),
            Part::Image => Message::plain(kind, "[image]"),
            Part::ToolCall { id, name, input } => Message::call(id, name, input.clone()),
            Part::ToolResult { id, text, is_error } => Message {
                tool_call_id: Some(id.clone()),
                is_error: Some(*is_error),
                ..Message::plain(MessageType::ToolResult, text)
            },
            Part::Other(kind) => Message::plain(MessageType::Unknown, format!("[{kind}]")),
        });
    }
    if message.parts.is_empty() {
        out.push(Message::plain(kind, ""));
    }
}

fn unreadable(body: &[u8]) -> Vec<Message> {
    if body.is_empty() {
        return Vec::new();
    }
    let shown = &body[..body.len().min(SHOWN)];
    vec![Message::plain(MessageType::Unknown, String::from_utf8_lossy(shown))]
}
