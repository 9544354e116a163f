//! The demo's agent: a small client that talks to the gateway as coding agents do, and runs no command.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use luthien_record::model::TransactionId;
use luthien_wire::Dialect;
use luthien_wire::answer;
use luthien_wire::turn::{Block, ToolCall};
use serde_json::{Value, json};

use super::story;
use crate::failure::Failure;
use crate::loopback;

/// The agent with what it remembers of the conversation.
#[derive(Debug)]
pub(super) struct Agent {
    base: String,
    history: Vec<Value>,
}

/// What came back for one request.
#[derive(Debug)]
pub(super) struct Seen {
    /// The transaction, by the answer's header.
    pub(super) id: TransactionId,
    /// Every byte of the body.
    pub(super) bytes: Bytes,
    /// What they mean.
    pub(super) blocks: Vec<Block>,
    /// Why the model stopped, as the agent was told.
    pub(super) stop_reason: String,
}

impl Seen {
    /// The tool call that the agent is to run, if it got one.
    pub(super) fn call(&self) -> Option<&ToolCall> {
        self.blocks.iter().find_map(|block| match block {
            Block::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

impl Agent {
    pub(super) fn new(base: String) -> Self {
        Self { base, history: Vec::new() }
    }

    /// The user says `text`.
    pub(super) fn hear(&mut self, text: &str) {
        self.history.push(json!({"role": "user", "content": text}));
    }

    /// The tool call `id` gave `output`.
    pub(super) fn ran(&mut self, id: &str, output: &str) {
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": output});
        self.history.push(json!({"role": "user", "content": [result]}));
    }

    /// Sends the conversation, reads the answer to its end, and remembers it.
    pub(super) async fn ask(&mut self) -> Result<Seen, Failure> {
        let body = json!({
            "model": story::MODEL,
            "max_tokens": 1024,
            "stream": true,
            "metadata": {"user_id": json!({"session_id": story::SESSION}).to_string()},
            "tools": [story::tool()],
            "messages": self.history,
        });
        let request = Request::post(format!("{}/v1/messages", self.base))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("x-api-key", "demo")
            .body(Full::from(body.to_string()))
            .map_err(|e| Failure::new(format!("the demo's request is not valid: {e}")))?;
        let response = loopback::send(request).await?;
        let status = response.status();
        let id = response.headers().get("x-luthien-transaction-id").and_then(|id| id.to_str().ok()?.parse().ok());
        let bytes = loopback::read(response.into_body()).await?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Err(Failure::new(format!("the gateway answered the demo's agent with {status}: {text}")));
        }
        let id = id.ok_or_else(|| Failure::new("the answer names no transaction"))?;
        let blocks: Vec<Block> =
            answer::blocks(Dialect::Messages, true, &bytes).into_iter().map(|(_, block)| block).collect();
        let stop_reason = answer::ending(Dialect::Messages, true, &bytes).stop_reason.unwrap_or_default();
        self.history
            .push(json!({"role": "assistant", "content": blocks.iter().filter_map(remembered).collect::<Vec<_>>()}));
        Ok(Seen { id: TransactionId(id), bytes, blocks, stop_reason })
    }
}

fn remembered(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) => Some(json!({"type": "text", "text": text})),
        Block::ToolCall(call) => {
            let input = call.arguments.clone().unwrap_or_default();
            Some(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}))
        }
        Block::Thinking(_) | Block::Opaque { .. } => None,
    }
}
