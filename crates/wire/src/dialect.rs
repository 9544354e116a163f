//! Which protocol a request speaks, and how that protocol says that something failed.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// A protocol between an agent and a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    Chat,
}

impl Dialect {
    /// The name used in configuration, the record and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Chat => "chat",
        }
    }

    /// The header in which this dialect's vendor names a request: every answer carries it.
    pub fn request_id_header(self) -> &'static str {
        match self {
            Self::Messages => "request-id",
            Self::Chat => "x-request-id",
        }
    }

    /// An error body in this dialect's envelope. `kind` is the error's stable type, `id` the transaction's.
    pub fn error_body(self, kind: &str, message: &str, id: &str) -> Vec<u8> {
        match self {
            Self::Messages => json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id}),
            Self::Chat => {
                json!({"error": {"message": message, "type": kind, "param": null, "code": null, "request_id": id}})
            }
        }
        .to_string()
        .into_bytes()
    }

    /// A stream frame that tells the client the answer has failed (W-54).
    pub fn error_frame(self, kind: &str, message: &str, id: &str) -> Vec<u8> {
        let body = self.error_body(kind, message, id);
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Messages => (b"event: error\ndata: ", b"\n\n"),
            Self::Chat => (b"data: ", b"\n\n"),
        };
        [before, &body, after].concat()
    }

    /// A frame that resets the client's idle timer and means nothing else (W-51).
    pub fn ping_frame(self) -> &'static [u8] {
        match self {
            Self::Messages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Self::Chat => b": keep-alive\n\n",
        }
    }
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
