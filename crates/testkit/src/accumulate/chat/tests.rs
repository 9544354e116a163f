//! Which Chat streams the reader takes, and by which rule it refuses the others.

use luthien_wire::Dialect::Chat;
use serde_json::json;

use super::accumulate_chat;
use crate::fixtures::named;

fn fixture(name: &str) -> String {
    let bytes = named(Chat, name).expect(name).bytes;
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn broken(name: &str, from: &str, to: &str) -> String {
    let text = fixture(name);
    assert!(text.contains(from), "{name} has no {from}");
    accumulate_chat(text.replacen(from, to, 1).as_bytes()).expect_err(from)
}

#[test]
fn interleaved_calls_are_put_together() {
    let completion = accumulate_chat(fixture("tools_interleaved").as_bytes()).expect("a completion");
    let choice = &completion["choices"][0];
    let expected = json!([
        {"id": "call_kD8sW2mQxZ0vT5rYbN7pLc3J", "type": "function", "function": {"name": "read_file", "arguments": "{\"path\":\"a.rs\"}"}},
        {"id": "call_Hf4uE9oGaXi1qBtRjKz6ySwM", "type": "function", "function": {"name": "run", "arguments": "{\"cmd\":\"make\"}"}},
    ]);
    assert_eq!(choice["message"]["tool_calls"], expected);
    assert_eq!(choice["finish_reason"], "tool_calls");
}

#[test]
fn odd_parts_are_kept() {
    let read = |name: &str| accumulate_chat(fixture(name).as_bytes()).expect(name);
    assert_eq!(read("usage_chunk")["usage"]["completion_tokens"], 33);
    assert!(read("usage_null").get("usage").is_none());
    let two = read("choices_two");
    assert_eq!(two["choices"][0]["message"]["content"], "Tails!");
    assert_eq!(two["choices"][1]["message"]["content"], "Heads it is");
    assert_eq!(read("function_call")["choices"][0]["message"]["function_call"]["arguments"], "{\"cmd\":\"make\"}");
    assert_eq!(read("tool_custom")["choices"][0]["message"]["tool_calls"][0]["custom"]["name"], "apply_patch");
    assert_eq!(read("logprobs")["choices"][0]["logprobs"]["content"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        read("reasoning_content")["choices"][0]["message"]["reasoning_content"],
        "The user greets, so greet back."
    );
}

#[test]
fn each_rule_is_named() {
    let cases = [
        ("text", "\"role\":\"assistant\",", "", "W-30: the first chunk of a choice has no role"),
        ("text", "\"created\":1790412077", "\"created\":1", "W-30: id, created or model change"),
        ("text", "\"finish_reason\":\"stop\"", "\"finish_reason\":null", "W-30: choice 0 has no finish reason"),
        ("text", "\"finish_reason\":null", "\"finish_reason\":\"stop\"", "W-30: a choice goes on"),
        ("text", "\"finish_reason\":\"stop\"", "\"finish_reason\":\"tool_calls\"", "W-05"),
        ("text", "data: [DONE]", "data: [DONE]\n\ndata: {}", "W-30: data after [DONE]"),
        ("tool", "\"tool_calls\":[{\"index\":0", "\"tool_calls\":[{\"index\":1", "W-31: tool call index 1 where 0"),
        ("tool", "\"name\":\"get_weather\"", "\"name\":\"\"", "W-31: a tool call starts without id or name"),
        (
            "tool",
            "{\"index\":0,\"function\":{",
            "{\"index\":0,\"function\":{\"name\":\"x\",",
            "W-31: a tool call's name comes twice",
        ),
    ];
    for (name, from, to, rule) in cases {
        let error = broken(name, from, to);
        assert!(error.starts_with(rule), "{name} with {to}: {error}");
    }
}

#[test]
fn defects_of_known_servers_are_named() {
    let error = |name: &str| accumulate_chat(fixture(name).as_bytes()).expect_err(name);
    assert_eq!(error("tool_last_with_finish"), "W-30: a finish reason in a chunk that says something");
    assert_eq!(error("tool_id_repeated"), "W-31: a tool call's id comes twice");
    assert_eq!(error("no_done"), "W-30: no [DONE]");
    assert_eq!(error("stop_with_tool"), "W-05: finish reason stop with 1 tool calls");
    assert!(error("error_mid").starts_with("the stream fails"));
}
