//! What answers mean, whole, streamed and broken.

use serde_json::json;

use super::*;

#[test]
fn an_ending_puts_the_usages_of_a_stream_together() {
    let body = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7,\"input_tokens\":null}}\n\n",
    );
    let found = ending(Dialect::Messages, true, body.as_bytes());
    assert_eq!(found.usage, Some(json!({"input_tokens": 3, "output_tokens": 7})));
    assert_eq!(
        (found.model.as_deref(), found.stop_reason.as_deref(), found.error),
        (Some("m"), Some("end_turn"), None)
    );
}

#[test]
fn an_ending_tells_the_error() {
    let body = br#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;
    assert_eq!(ending(Dialect::Chat, false, body).error.as_deref(), Some("slow down"));
}

#[test]
fn blocks_of_a_cut_stream_are_marked_as_cut_off() {
    let body = concat!(
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\"}}\n\n",
    );
    let found = blocks(Dialect::Messages, true, body.as_bytes());
    let arguments: Vec<_> = found
        .iter()
        .map(|(_, block)| match block {
            Block::ToolCall(call) => call.arguments.clone(),
            _ => Ok(Value::Null),
        })
        .collect();
    assert_eq!(arguments, [Err(crate::turn::Unreadable::CutOff)]);
}

fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().expect("a type"))
}

#[test]
fn a_response_ends_with_its_terminal_event() {
    let created = json!({"type": "response.created", "response": {"model": "m", "status": "in_progress", "usage": null, "error": null}});
    let item = json!({"type": "response.output_item.done", "item": {"type": "message", "status": "completed"}});
    let usage = json!({"input_tokens": 3, "output_tokens": 1, "total_tokens": 4});
    let completed = json!({"type": "response.completed", "response": {"model": "m-1", "status": "completed", "usage": usage, "error": null, "incomplete_details": null}});
    let cut = [event(&created), event(&item)].concat();
    let found = ending(Dialect::Responses, true, cut.as_bytes());
    assert_eq!(found, Ending { model: Some("m".to_owned()), ..Ending::default() });
    let found = ending(Dialect::Responses, true, (cut + &event(&completed)).as_bytes());
    let (model, stop_reason) = (Some("m".to_owned()), Some("completed".to_owned()));
    assert_eq!(found, Ending { model, stop_reason, usage: Some(usage), error: None });
}

#[test]
fn an_incomplete_response_says_why() {
    let body = json!({"object": "response", "model": "m", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [], "error": null, "usage": {"input_tokens": 1}});
    let found = ending(Dialect::Responses, false, body.to_string().as_bytes());
    assert_eq!(found.stop_reason.as_deref(), Some("max_output_tokens"));
    assert_eq!((found.usage, found.error), (Some(json!({"input_tokens": 1})), None));
}

#[test]
fn a_failed_response_tells_the_error() {
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "try again in 1.5s"}}});
    let found = ending(Dialect::Responses, true, event(&failed).as_bytes());
    assert_eq!(found.stop_reason.as_deref(), Some("failed"));
    assert_eq!(found.error.as_deref(), Some("try again in 1.5s"));
    let error = json!({"type": "error", "code": "server_error", "message": "broken", "param": null});
    assert_eq!(ending(Dialect::Responses, true, event(&error).as_bytes()).error.as_deref(), Some("broken"));
    let refused = br#"{"error":{"message":"no such model","type":"invalid_request_error"}}"#;
    assert_eq!(ending(Dialect::Responses, false, refused).error.as_deref(), Some("no such model"));
}

#[test]
fn reasoning_that_comes_with_the_end_of_its_item_is_read() {
    let item = |summary: Value| json!({"type": "reasoning", "id": "rs_1", "summary": summary});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))});
    let delta = json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "delta": "hm"});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item(json!([{"type": "summary_text", "text": "hm"}]))});
    for events in [vec![&added, &done], vec![&added, &delta, &done], vec![&done]] {
        let body: String = events.into_iter().map(event).collect();
        let found: Vec<_> = blocks(Dialect::Responses, true, body.as_bytes()).into_iter().map(|(_, b)| b).collect();
        assert_eq!(found, [Block::Thinking("hm".to_owned())]);
    }
}
