//! The turn: what a model says in one answer, without its dialect.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a block stands in a response: its choice (Chat's `n`, else 0) and its number in that choice as the upstream
/// gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId {
    /// The choice, from 0.
    pub choice: u32,
    /// The block within the choice.
    pub block: u32,
}

/// Who runs a tool call, which decides what a block can still prevent (W-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolForm {
    /// The client runs it: a block prevents it.
    Client,
    /// The vendor's server has run it already: a block withholds it and its results.
    Server,
    /// A block of a type that this version does not know, treated as a call named by its type.
    Unknown,
}

/// Why a tool call's arguments mean nothing certain (W-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// The text is not JSON.
    #[error("not valid JSON")]
    NotJson,
    /// The answer ended before the arguments did.
    #[error("cut off before its end")]
    CutOff,
    /// An object has the same key twice, so that two readers may see different values.
    #[error("an object has the same key twice")]
    DuplicateKeys,
    /// Parts of the stream contradict each other about this call.
    #[error("parts of the stream contradict each other")]
    Contradiction,
}

impl From<&serde_json::Error> for Unreadable {
    /// What JSON of another form than the protocol's (repeated members included) means, or text that is no JSON.
    fn from(error: &serde_json::Error) -> Self {
        if error.is_data() { Self::Contradiction } else { Self::NotJson }
    }
}

/// One tool call, whole.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The call's id on the wire; empty where the upstream gave none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Who runs it.
    pub form: ToolForm,
    /// The arguments as the model wrote them (JSON text, or a custom tool's free text).
    pub raw: String,
    /// The arguments parsed, or why they cannot be relied on. An empty text counts as `{}`.
    pub arguments: Result<Value, Unreadable>,
}

/// A finished block of a response, as policies and history see it.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text for the user (a Chat refusal included).
    Text(String),
    /// Reasoning that the vendor shows; never edited.
    Thinking(String),
    /// A tool call.
    ToolCall(ToolCall),
    /// Anything else, by its type, with its raw JSON.
    Opaque {
        /// The block's `type`.
        kind: String,
        /// Its JSON as it came.
        raw: String,
    },
}

/// Why the model stopped, as far as the gateway has to know. The wire keeps its own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The turn ended by itself (`end_turn`, `stop`).
    End,
    /// The client is to run tools (`tool_use`, `tool_calls`, `function_call`).
    ToolUse,
    /// The answer hit its token limit (`max_tokens`, `length`).
    MaxTokens,
    /// Any other, by its wire name; never rewritten.
    Other(String),
}
