//! Which protocol a request speaks, and how that protocol says that something failed.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::sse::Frame;

/// A protocol between an agent and a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    Chat,
    /// OpenAI Responses, `POST /v1/responses`.
    Responses,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Messages, Self::Chat, Self::Responses];

    /// The name used in configuration, the record and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    /// Where turns are asked for, as it stands after `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Messages => "/messages",
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
        }
    }

    /// The header in which this dialect's vendor names a request: every answer carries it.
    pub fn request_id_header(self) -> &'static str {
        match self {
            Self::Messages => "request-id",
            Self::Chat | Self::Responses => "x-request-id",
        }
    }

    /// An error body in this dialect's envelope. `kind` is the error's stable type, `id` the transaction's.
    pub fn error_body(self, kind: &str, message: &str, id: &str) -> Vec<u8> {
        match self {
            Self::Messages => json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": id}),
            Self::Chat | Self::Responses => {
                json!({"error": {"message": message, "type": kind, "param": null, "code": null, "request_id": id}})
            }
        }
        .to_string()
        .into_bytes()
    }

    /// A stream frame that tells the client the answer has failed (W-54).
    pub fn error_frame(self, kind: &str, message: &str, id: &str, so_far: SoFar<'_>) -> Bytes {
        let body = || String::from_utf8(self.error_body(kind, message, id)).unwrap_or_default();
        match self {
            Self::Messages => Frame::write("error", &body()),
            Self::Chat => Frame::write("", &body()),
            Self::Responses => failed_frame(kind, message, id, so_far),
        }
    }

    /// A frame that resets the client's idle timer and means nothing else (W-51). `last` is the number of the last event that
    /// went out, where events are numbered (Responses): it is repeated, so that no later frame changes.
    pub fn ping_frame(self, last: Option<u64>) -> Bytes {
        match self {
            Self::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n"),
            Self::Chat => Bytes::from_static(b": keep-alive\n\n"),
            Self::Responses => {
                let data = json!({"type": "keepalive", "sequence_number": last.unwrap_or(0)});
                Frame::write("keepalive", &data.to_string())
            }
        }
    }
}

/// What has gone out of a Responses stream, as far as events of the gateway's own go on from it. Nothing in other dialects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar<'a> {
    /// The number of the last event; `None` before the first.
    pub last: Option<u64>,
    /// The response as its first event had it, as JSON.
    pub begun: Option<&'a str>,
}

/// The terminal event of a response that failed. Codex reads `error.code` and takes nothing else for a failure.
fn failed_frame(kind: &str, message: &str, id: &str, so_far: SoFar<'_>) -> Bytes {
    let begun = so_far.begun.and_then(|raw| serde_json::from_str(raw).ok());
    let mut response: Map<String, Value> =
        begun.unwrap_or_else(|| crate::responses::own_response("", &id.replace('-', "")));
    response.insert("status".into(), "failed".into());
    response.insert("error".into(), json!({"code": kind, "message": message}));
    let number = so_far.last.map_or(0, |last| last.saturating_add(1));
    let data = json!({"type": "response.failed", "sequence_number": number, "response": response});
    Frame::write("response.failed", &data.to_string())
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
