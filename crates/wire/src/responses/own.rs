//! Events and items in the gateway's own hand.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::sse::Frame;
use crate::turn::ToolCall;

/// An event with its type and number first.
pub(super) fn event(kind: &str, number: u64, members: &Value) -> Bytes {
    let mut data = Map::new();
    data.insert("type".into(), kind.into());
    data.insert("sequence_number".into(), number.into());
    data.extend(members.as_object().cloned().unwrap_or_default());
    Frame::write(kind, &Value::Object(data).to_string())
}

/// A response that no upstream has begun.
pub(crate) fn response(model: &str, id: &str) -> Map<String, Value> {
    object(json!({
        "id": format!("resp_{id}"), "object": "response", "created_at": 0, "status": "in_progress", "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "model": model, "output": [],
        "parallel_tool_calls": true, "temperature": null, "tool_choice": "auto", "tools": [], "top_p": null,
        "usage": null,
    }))
}

/// A message without words.
pub(super) fn message(id: &str) -> Map<String, Value> {
    object(json!({"id": id, "type": "message", "status": "completed", "role": "assistant", "content": []}))
}

/// A call as an item: free text where the arguments are a text, else a function's.
pub(super) fn call(id: &str, call: &ToolCall) -> Map<String, Value> {
    object(if matches!(&call.arguments, Ok(Value::String(_))) {
        json!({
            "id": id, "type": "custom_tool_call", "status": "completed", "call_id": call.id, "name": call.name,
            "input": call.raw,
        })
    } else {
        json!({
            "id": id, "type": "function_call", "status": "completed", "call_id": call.id, "name": call.name,
            "arguments": call.raw,
        })
    })
}

/// Makes of a finished item one that begins, and gives the arguments that were taken out of it.
pub(super) fn begun(item: &mut Map<String, Value>) -> Option<String> {
    if item.contains_key("status") {
        item.insert("status".into(), "in_progress".into());
    }
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let name = match kind {
        "function_call" | "mcp_call" => "arguments",
        "custom_tool_call" => "input",
        _ => return None,
    };
    let all = item.insert(name.into(), "".into())?;
    Some(all.as_str().map_or_else(|| all.to_string(), str::to_owned))
}

/// The events that carry a call's arguments, and their member that has them all.
pub(super) fn argument_events(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "custom_tool_call" => ("response.custom_tool_call_input", "input"),
        "mcp_call" => ("response.mcp_call_arguments", "arguments"),
        _ => ("response.function_call_arguments", "arguments"),
    }
}

/// A content part.
pub(super) fn part(refusal: bool, text: &str) -> Value {
    if refusal {
        json!({"type": "refusal", "refusal": text})
    } else {
        json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
    }
}

/// More words of a part: the event and its members.
pub(super) fn words(refusal: bool, item: &str, at: u32, content: u32, text: &str) -> (&'static str, Value) {
    let place = json!({"item_id": item, "output_index": at, "content_index": content, "delta": text});
    if refusal {
        return ("response.refusal.delta", place);
    }
    let mut members = place;
    members["logprobs"] = json!([]);
    ("response.output_text.delta", members)
}

/// The events that repeat a part at its end.
pub(super) fn closings(refusal: bool, item: &str, at: u32, content: u32, text: &str) -> [(&'static str, Value); 2] {
    let mut words = json!({"item_id": item, "output_index": at, "content_index": content});
    let mut whole = words.clone();
    whole["part"] = part(refusal, text);
    let kind = if refusal {
        words["refusal"] = text.into();
        "response.refusal.done"
    } else {
        words["text"] = text.into();
        words["logprobs"] = json!([]);
        "response.output_text.done"
    };
    [(kind, words), ("response.content_part.done", whole)]
}

/// The texts of all messages in an output.
pub(super) fn texts(output: &str) -> String {
    let items: Vec<Value> = serde_json::from_str(output).unwrap_or_default();
    let parts = items.iter().filter(|item| item["type"] == "message").filter_map(|item| item["content"].as_array());
    parts.flatten().filter(|part| part["type"] == "output_text").filter_map(|part| part["text"].as_str()).collect()
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}
