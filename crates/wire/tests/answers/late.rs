//! Text behind a call, for a client that takes none there.

use luthien_wire::Dialect;
use luthien_wire::convert::StreamConverter;
use luthien_wire::sse::Splitter;
use serde_json::{Value, json};

use crate::support::{LIMIT, call_delta, chat, context};

fn converter() -> StreamConverter {
    StreamConverter::new(context(Dialect::Chat, Dialect::Messages), LIMIT)
}

/// Reasoning, a call, reasoning, a text, another call.
fn deltas() -> Vec<Value> {
    vec![
        json!({"role": "assistant", "reasoning_content": "First"}),
        call_delta(0, "call_one_abc", "a", "{\"x\""),
        call_delta(0, "", "", ":1}"),
        json!({"reasoning_content": "Then"}),
        json!({"content": "Let me"}),
        json!({"content": " say"}),
        call_delta(1, "call_two_abc", "b", "{}"),
    ]
}

fn chunk(delta: &Value) -> Vec<u8> {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": null}]);
    format!("data: {}\n\n", json!({"id": "chatcmpl-1", "created": 1, "model": "m", "choices": choices})).into_bytes()
}

/// The events in short: where blocks begin, go on and end.
fn short(bytes: &[u8]) -> Vec<String> {
    let mut splitter = Splitter::new(LIMIT);
    splitter.push(bytes);
    let frames = std::iter::from_fn(|| splitter.next_frame().unwrap_or_default());
    let events = frames.filter_map(|frame| serde_json::from_slice::<Value>(&frame.data?).ok());
    let told = |event: Value| {
        let (index, delta) = (&event["index"], &event["delta"]);
        match event["type"].as_str().unwrap_or_default() {
            "content_block_start" => format!("{index} {}", event["content_block"]["type"].as_str().unwrap_or_default()),
            "content_block_delta" => {
                let said = ["text", "thinking", "partial_json"].iter().find_map(|name| delta[name].as_str());
                format!("{index} {}", said.unwrap_or("signed"))
            }
            "content_block_stop" => format!("{index} end"),
            other => other.to_owned(),
        }
    };
    events.map(told).collect()
}

#[test]
fn the_text_goes_out_as_it_comes_and_the_calls_at_the_end() {
    let mut converter = converter();
    let mut pushed = deltas().iter().map(|delta| short(&converter.push(&chunk(delta)))).collect::<Vec<_>>().into_iter();
    assert_eq!(pushed.next().unwrap(), ["message_start", "0 thinking", "0 First"]);
    assert_eq!(pushed.next().unwrap(), ["0 signed", "0 end"]);
    assert_eq!(pushed.next().unwrap(), [""; 0]);
    assert_eq!(pushed.next().unwrap(), [""; 0]);
    assert_eq!(pushed.next().unwrap(), ["1 text", "1 Let me"]);
    assert_eq!(pushed.next().unwrap(), ["1  say"]);
    assert_eq!(pushed.next().unwrap(), ["1 end"]);
    let end = chat(&[], "tool_calls");
    let call_one = ["2 tool_use", "2 {\"x\":1}", "2 end"];
    let thinking = ["3 thinking", "3 Then", "3 signed", "3 end"];
    let call_two = ["4 tool_use", "4 {}", "4 end"];
    let expected = [&call_one[..], &thinking, &call_two, &["message_delta", "message_stop"]].concat();
    assert_eq!(short(&converter.push(&end)), expected);
    assert!(converter.dropped().is_empty(), "{:?}", converter.dropped());
}

#[test]
fn where_calls_are_held_elsewhere_each_block_stands_where_it_came() {
    let mut converter = converter().calls_held_elsewhere();
    let out = converter.push(&chat(&deltas(), "tool_calls"));
    let blocks: Vec<String> = short(&out).into_iter().filter(|event| !event.ends_with(" end")).collect();
    let expected = [
        &["message_start", "0 thinking", "0 First", "0 signed"][..],
        &["1 tool_use", "1 {\"x\"", "1 :1}"],
        &["2 thinking", "2 Then", "2 signed"],
        &["3 text", "3 Let me", "3  say"],
        &["4 tool_use", "4 {}"],
        &["message_delta", "message_stop"],
    ];
    assert_eq!(blocks, expected.concat());
    assert!(converter.dropped().is_empty());
}

#[test]
fn an_answer_in_one_piece_has_its_text_in_front_too() {
    let call = json!({"id": "call_one_abc", "type": "function", "function": {"name": "a", "arguments": "{}"}});
    let item = |item: Value| json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": item});
    let body = item(json!([
        {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "call_one_abc", "name": "a", "arguments": call["function"]["arguments"]},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "Late", "annotations": []}]},
    ]));
    let context = context(Dialect::Responses, Dialect::Messages);
    let out = StreamConverter::new(context, LIMIT).push_whole(body.to_string().as_bytes());
    let blocks = ["0 text", "0 Late", "0 end", "1 tool_use", "1 {}", "1 end"];
    assert_eq!(short(&out), [&["message_start"], &blocks[..], &["message_delta", "message_stop"]].concat());
}

#[test]
fn what_was_held_is_dropped_where_the_answer_breaks_off_or_fails() {
    let mut broken = converter();
    let before: Vec<u8> = deltas().iter().flat_map(|delta| broken.push(&chunk(delta))).collect();
    assert!(broken.finish().is_empty());
    assert!(!String::from_utf8(before).unwrap().contains("tool_use"));

    let mut failed = converter();
    failed.push(&chunk(&deltas()[1]));
    let error = failed.push(b"data: {\"error\":{\"message\":\"gone\"}}\n\n");
    assert_eq!(short(&error), ["error"]);
    assert!(failed.finish().is_empty());
}

#[test]
fn an_answer_that_has_stopped_gets_its_calls_though_the_connection_breaks() {
    let stream = chat(&deltas(), "tool_calls");
    let mut converter = converter();
    converter.push(stream.strip_suffix(b"data: [DONE]\n\n").unwrap());
    let events = short(&converter.finish());
    assert_eq!(events.iter().filter(|event| event.ends_with("tool_use")).count(), 2);
    assert_eq!(events.last().map(String::as_str), Some("message_stop"));
}

#[test]
fn no_more_is_held_than_the_limit() {
    let mut converter = converter().holding_calls(1000);
    assert!(
        converter
            .push(&chunk(&call_delta(0, "call_one_abc", "a", &"x".repeat(900))))
            .starts_with(b"event: message_start\n")
    );
    let error = converter.push(&chunk(&call_delta(0, "", "", &"x".repeat(100))));
    assert_eq!(short(&error), ["error"]);
    assert_eq!(converter.trouble(), Some("calls of more than 1000 bytes, which wait until the answer's texts are out"));
}
