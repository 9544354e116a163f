//! A Responses stream as the one response it brings.

use luthien_wire::answer::Ending;
use luthien_wire::sse::Splitter;
use luthien_wire::turn::Block;
use serde_json::{Value, json};

/// The response in the stream's last event, where that has the answer; none from a stream that was cut.
pub(super) fn last(body: &[u8]) -> Option<Value> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(body);
    let mut found = None;
    loop {
        let frame = match splitter.next_frame() {
            Ok(Some(frame)) => frame,
            _ => match splitter.finish() {
                Some(frame) => frame,
                None => return found,
            },
        };
        let Some(data) = frame.data.filter(|data| ends(data)) else { continue };
        let Ok(Value::Object(mut event)) = serde_json::from_slice(&data) else { continue };
        if event["type"].as_str().is_some_and(|kind| ENDS.contains(&kind)) {
            found = event.remove("response").filter(has_output);
        }
    }
}

const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Whether this may be an event that ends a response: most are not, and need not be read.
fn ends(data: &[u8]) -> bool {
    ENDS.iter().any(|kind| memchr::memmem::find(data, kind.as_bytes()).is_some())
}

/// Some servers leave the output out of their last event.
fn has_output(response: &Value) -> bool {
    let failed = response["status"] == "failed";
    failed || response["output"].as_array().is_some_and(|output| !output.is_empty())
}

/// A response made of what was said.
pub(super) fn put_together(ending: &Ending, blocks: &[Block]) -> Value {
    let output: Vec<_> = blocks.iter().map(item).collect();
    json!({
        "object": "response", "status": ending.stop_reason, "model": ending.model, "output": output, "usage": ending.usage,
    })
}

fn item(block: &Block) -> Value {
    match block {
        Block::Text(text) => {
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        }
        Block::Thinking(text) => json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}),
        Block::ToolCall(call) => {
            json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.raw})
        }
        Block::Opaque { kind, raw } => serde_json::from_str(raw).unwrap_or_else(|_| json!({"type": kind, "raw": raw})),
    }
}
