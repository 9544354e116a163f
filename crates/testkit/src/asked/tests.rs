//! What is seen of a request.

use bytes::Bytes;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use super::Asked;

fn asked(dialect: Dialect, messages: &Value) -> Asked {
    let body = json!({"model": "m", "messages": messages, "tools": [{"name": "Bash"}, {"type": "function", "function": {"name": "run"}}]});
    Asked::new(0, dialect, Vec::new(), Bytes::from(body.to_string())).expect("a request")
}

fn result(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}]})
}

#[test]
fn a_loop_in_messages() {
    let user = json!({"role": "user", "content": [{"type": "text", "text": "do"}, {"type": "text", "text": "it"}]});
    let system = json!({"role": "system", "content": "mid"});
    let call = json!({"role": "assistant", "content": []});
    let asked = asked(Dialect::Messages, &json!([user, call, result("one"), system, call, result("two"), system]));
    assert_eq!(asked.tool_rounds(), 2);
    assert!(asked.ends_with_result() && asked.says("two") && !asked.says("three"));
    assert_eq!(asked.last_user_text(), "do\nit");
    assert_eq!(asked.tools(), ["Bash", "run"]);
}

#[test]
fn parallel_results_in_chat_are_one_round() {
    let tool = json!({"role": "tool", "tool_call_id": "c", "content": "out"});
    let messages =
        json!([{"role": "user", "content": "go"}, {"role": "assistant"}, tool, tool, {"role": "assistant"}, tool]);
    assert_eq!(asked(Dialect::Chat, &messages).tool_rounds(), 2);
    let plain = asked(Dialect::Chat, &json!([{"role": "user", "content": "go"}]));
    assert_eq!((plain.tool_rounds(), plain.ends_with_result()), (0, false));
}

#[test]
fn items_of_a_responses_request_are_read_alike() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "it ran"});
    let user = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]});
    let developer = json!({"role": "developer", "content": "rules"});
    let body = json!({
        "model": "m", "store": false, "include": ["reasoning.encrypted_content"],
        "input": [developer, user, {"type": "reasoning", "summary": []}, call, call, output, output, developer],
        "tools": [{"type": "function", "name": "run"}, {"type": "custom", "name": "apply_patch"}, {"type": "web_search"}],
    });
    let asked = Asked::new(0, Dialect::Responses, Vec::new(), Bytes::from(body.to_string())).expect("a request");
    assert_eq!((asked.tool_rounds(), asked.ends_with_result()), (1, true));
    assert_eq!(asked.last_user_text(), "go");
    assert!(asked.says("it ran") && asked.says("rules") && !asked.says("nothing"));
    assert_eq!(asked.tools(), ["run", "apply_patch", "web_search"]);
    assert!(asked.includes("reasoning.encrypted_content") && !asked.includes("file_search_call.results"));
    assert!(!asked.stored() && !asked.background());
}

#[test]
fn input_may_be_a_string() {
    let body = json!({"model": "m", "input": "hello", "background": true});
    let asked = Asked::new(0, Dialect::Responses, Vec::new(), Bytes::from(body.to_string())).expect("a request");
    assert_eq!(asked.last_user_text(), "hello");
    assert!(asked.says("hell") && !asked.ends_with_result() && asked.stored() && asked.background());
}
