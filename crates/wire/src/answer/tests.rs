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
