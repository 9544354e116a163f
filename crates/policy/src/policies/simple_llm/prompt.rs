//! The words for a judge that rewrites.

use std::sync::Arc;

use luthien_wire::turn::Block;
use serde_json::json;

use super::Subject;
use crate::judge::{HOW_TO_READ, blocks, envelope};

const FRAME: &str = "You review what an AI assistant is about to say or do, one block of its response at a time, and apply \
the operator's instructions to it. `block` is the block to decide about, either a text or a call of a tool; `earlier_blocks` \
are those before it in the same response, for context only. If the instructions ask for no change, let the block pass. \
Otherwise replace it, and change nothing that the instructions do not speak of.";

const ANSWER: &str = "Answer with one JSON object and nothing else, no text around it. Either\n\
{\"action\": \"pass\"}\nor\n{\"action\": \"replace\", \"blocks\": [...]}\nwhere each block is \
{\"type\": \"text\", \"text\": \"...\"} or {\"type\": \"tool_use\", \"name\": \"...\", \"input\": {...}}.";

/// The judge's instructions.
pub(super) fn system(instructions: &str) -> String {
    format!("{FRAME}\n\n{HOW_TO_READ}\n\nThe operator's instructions:\n{instructions}\n\n{ANSWER}")
}

/// One block as data. A call's input is the text that the model wrote, as a string.
pub(super) fn about(subject: Subject<'_>, earlier: &[Arc<Block>]) -> String {
    let block = match subject {
        Subject::Text(text) => json!({"type": "text", "text": text}),
        Subject::Call(call) => json!({"type": "tool_use", "name": call.name, "input": call.raw}),
    };
    envelope(&json!({"earlier_blocks": blocks(earlier), "block": block}))
}
