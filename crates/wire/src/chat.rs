//! OpenAI Chat Completions: streamed chunks and whole answers.
//!
//! A choice's content, refusal, reasoning and each tool call count as blocks, numbered by what they are.

mod decode;
mod encode;
mod whole;

pub use decode::Decoder;
pub use encode::Encoder;
pub(crate) use encode::{block_part, done, part, stop};
pub(crate) use whole::{decode as decode_whole, rewrite as rewrite_whole, synthetic as synthetic_whole};

use serde_json::{Map, Value, json};

use crate::turn::{StopReason, ToolCall};

/// The block number of a choice's content.
pub const CONTENT: u32 = 0;
/// The block number of a choice's refusal.
pub(crate) const REFUSAL: u32 = 1;
/// The block number of a choice's reasoning.
pub(crate) const REASONING: u32 = 2;
/// The block number of a legacy `function_call`.
pub(crate) const FUNCTION_CALL: u32 = 3;
/// The block number of the tool call with index 0; the others follow.
pub const TOOL_CALLS: u32 = 4;

/// A stop reason from its name on the wire.
fn stop_reason(name: &str) -> StopReason {
    match name {
        "stop" => StopReason::End,
        "tool_calls" | "function_call" => StopReason::ToolUse,
        "length" => StopReason::MaxTokens,
        other => StopReason::Other(other.into()),
    }
}

/// A stop reason's name on the wire.
fn stop_name(reason: &StopReason) -> &str {
    match reason {
        StopReason::End => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::MaxTokens => "length",
        StopReason::Other(name) => name,
    }
}

/// A call of the gateway's: free text where the arguments are a text, else a function's.
fn call(call: &ToolCall) -> Map<String, Value> {
    let whole = if matches!(&call.arguments, Ok(Value::String(_))) {
        json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.raw}})
    } else {
        json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}})
    };
    if let Value::Object(members) = whole { members } else { Map::new() }
}
