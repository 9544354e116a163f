//! Which Messages streams the reader takes, and by which rule it refuses the others.

use luthien_wire::Dialect::Messages;
use serde_json::json;

use super::accumulate_messages;
use crate::fixtures::named;

fn fixture(name: &str) -> String {
    let bytes = named(Messages, name).expect(name).bytes;
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The rule that a stream breaks when one part of a good one is changed.
fn broken(name: &str, from: &str, to: &str) -> String {
    let text = fixture(name);
    assert!(text.contains(from), "{name} has no {from}");
    accumulate_messages(text.replacen(from, to, 1).as_bytes()).expect_err(from)
}

#[test]
fn blocks_are_put_together() {
    let message = accumulate_messages(fixture("text_two_tools").as_bytes()).expect("a message");
    let expected = json!([
        {"type": "text", "text": "I'll look at both files."},
        {"type": "tool_use", "id": "toolu_01A7zQm4NqWn2LcVx9Kd3TyR", "name": "Read", "input": {"file_path": "/work/src/main.rs"}},
        {"type": "tool_use", "id": "toolu_01FpE8sHgU6JbYt5Mw0ZkCvX", "name": "Bash",
         "input": {"command": "git log --oneline -5", "description": "Show the last commits"}},
    ]);
    assert_eq!(message["content"], expected);
    assert_eq!(message["stop_reason"], "tool_use");
    assert_eq!(message["usage"]["output_tokens"], 118);
    assert_eq!(message["usage"]["service_tier"], "standard");
}

#[test]
fn odd_parts_are_kept() {
    let read = |name: &str| accumulate_messages(fixture(name).as_bytes()).expect(name);
    assert_eq!(read("tool_empty_input")["content"][0]["input"], json!({}));
    assert!(read("tool_eager_invalid")["content"][1]["input"].is_string());
    assert_eq!(read("two_message_deltas")["stop_reason"], "end_turn");
    assert_eq!(read("two_message_deltas")["usage"]["output_tokens"], 11);
    assert_eq!(read("web_search")["content"][3]["citations"][0]["type"], "web_search_result_location");
    assert_eq!(read("refusal")["stop_details"]["category"], "cyber");
}

#[test]
fn each_rule_is_named() {
    let cases = [
        ("text", "event: message_start\n", "", "W-24: the event line says ''"),
        ("text", "event: content_block_stop\n", "event: content_block_end\n", "W-24: the event line says"),
        ("text", "\"index\":0", "\"index\":1", "W-20: block index 1 where 0"),
        ("text", "\"id\":\"msg_", "\"di\":\"msg_", "W-20: message_start without id"),
        ("text", "\"text_delta\"", "\"thinking_delta\"", "W-20: thinking_delta in a block of type text"),
        ("text", "\"stop_reason\":\"end_turn\"", "\"stop_reason\":\"tool_use\"", "W-05"),
        ("text", "\"stop_reason\":\"end_turn\"", "\"stop_reason\":null", "W-21: no stop reason"),
        ("text", "\"output_tokens\":37", "\"output\":37", "W-21: message_delta without usage"),
        ("text_two_tools", "\"stop_reason\":\"tool_use\"", "\"stop_reason\":\"end_turn\"", "W-05"),
        ("text_two_tools", ",\"input\":{}", "", "W-20: a tool call starts without"),
        ("comments", ": a comment between events", "data: {", "W-24: data is not JSON"),
    ];
    for (name, from, to, rule) in cases {
        let error = broken(name, from, to);
        assert!(error.starts_with(rule), "{name} with {to}: {error}");
    }
}

#[test]
fn order_matters() {
    let text = fixture("text");
    let frames: Vec<&str> = text.split_inclusive("\n\n").collect();
    let without = |gone: &str| {
        let kept: Vec<&str> =
            frames.iter().copied().filter(|frame| !frame.contains(&format!("event: {gone}\n"))).collect();
        accumulate_messages(kept.concat().as_bytes()).expect_err(gone)
    };
    assert_eq!(without("message_start"), "W-20: content_block_start before message_start");
    assert_eq!(without("content_block_start"), "W-20: a delta for block 0, which is not open");
    assert_eq!(without("content_block_delta"), "W-23: an empty text block");
    assert_eq!(without("content_block_stop"), "W-21: message_delta while a block is open");
    assert_eq!(without("message_delta"), "W-21: message_stop without message_delta");
    assert_eq!(without("message_stop"), "W-20: no message_stop");
    let twice = format!("{}{text}", frames[0]);
    assert_eq!(accumulate_messages(twice.as_bytes()), Err("W-20: message_start twice".to_owned()));
    let late = format!("{text}event: ping\ndata: {{\"type\": \"ping\"}}\n\n");
    assert_eq!(accumulate_messages(late.as_bytes()), Err("W-20: ping after message_stop".to_owned()));
    assert_eq!(accumulate_messages(b""), Err("W-20: no message_start".to_owned()));
}

#[test]
fn defects_of_known_servers_are_named() {
    let error = |name: &str| accumulate_messages(fixture(name).as_bytes()).expect_err(name);
    assert_eq!(error("llama_overlap"), "W-20: a block starts while another is open");
    assert_eq!(error("text_after_tool"), "W-22: a text block after a tool call");
    assert_eq!(error("cut_in_frame"), "W-24: the last event has no blank line after it");
}
