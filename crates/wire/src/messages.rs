//! Anthropic Messages: streamed events and whole answers.

mod decode;
mod encode;
mod whole;

pub use decode::Decoder;
pub use encode::Encoder;
pub(crate) use encode::{block_end, block_part, call_block, done, stop, strict, text_block, text_delta};
pub(crate) use whole::{decode as decode_whole, rewrite as rewrite_whole, synthetic as synthetic_whole};

use crate::stream::Kind;
use crate::turn::{StopReason, ToolForm};

/// What a content block of type `kind` is (W-07). `id`, `name`, `call` as the block has them.
fn kind_of(kind: &str, id: Option<&str>, name: Option<&str>, call: Option<&str>) -> Kind {
    let id = id.unwrap_or_default().to_owned();
    match kind {
        "text" => Kind::Text,
        "thinking" => Kind::Thinking,
        "tool_use" => {
            Kind::Call { form: ToolForm::Client, id, name: name.unwrap_or_default().into(), free_text: false }
        }
        "server_tool_use" | "mcp_tool_use" => {
            Kind::Call { form: ToolForm::Server, id, name: name.unwrap_or_default().into(), free_text: false }
        }
        "redacted_thinking" | "container_upload" | "compaction" | "fallback" => Kind::Opaque(kind.into()),
        "mcp_tool_result"
        | "web_search_tool_result"
        | "web_fetch_tool_result"
        | "code_execution_tool_result"
        | "bash_code_execution_tool_result"
        | "text_editor_code_execution_tool_result"
        | "tool_search_tool_result"
        | "advisor_tool_result" => Kind::Result { call: call.unwrap_or_default().into() },
        unknown => Kind::Call { form: ToolForm::Unknown, id, name: unknown.into(), free_text: false },
    }
}

/// A stop reason from its name on the wire.
pub(crate) fn stop_reason(name: &str) -> StopReason {
    match name {
        "end_turn" => StopReason::End,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        other => StopReason::Other(other.into()),
    }
}

/// A stop reason's name on the wire.
pub(crate) fn stop_name(reason: &StopReason) -> &str {
    match reason {
        StopReason::End => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::Other(name) => name,
    }
}
