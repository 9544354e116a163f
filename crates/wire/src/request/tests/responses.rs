//! Responses requests.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{param, places, read};
use crate::conversation::Role;
use crate::dialect::Dialect::Responses;
use crate::request::{Request, RequestKind, TextPlace};

/// What Codex sends, made short: developer text as an item, its own keys everywhere, tools that are no functions.
const CODEX: &str = r#"{"model":"gpt-5","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"You are Codex."}],"id":"msg_1"},{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>\n</environment_context>"}]},{"role":"user","content":"list the files"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"ls"}],"content":[{"type":"reasoning_text","text":"hm"}],"encrypted_content":"gAAA"},{"type":"function_call","id":"fc_1","call_id":"call_1","name":"exec_command","arguments":"{\"cmd\":\"ls\"}","status":"completed"},{"type":"function_call_output","call_id":"call_1","output":"a.txt\nb.txt"},{"type":"custom_tool_call","call_id":"call_2","name":"apply_patch","input":"*** Begin"},{"type":"custom_tool_call_output","call_id":"call_2","output":[{"type":"input_text","text":"Done!"},{"type":"input_image","image_url":"data:text"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"two files","annotations":[],"logprobs":[]}]}],"tools":[{"type":"namespace","name":"multi_agent_v1","tools":[]},{"type":"web_search","external_web_access":true}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"summary":"auto"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"0192","client_metadata":{"x":1}}"#;

fn texts(body: &Value) -> Vec<String> {
    read(Responses, &body.to_string()).texts().into_iter().map(|slot| slot.text).collect()
}

#[test]
fn codexs_request_is_read() {
    let request = read(Responses, CODEX);
    assert_eq!((request.model(), request.stream(), request.max_tokens()), ("gpt-5", true, None));
    assert_eq!(request.message_count(), 9);
    assert_eq!(&CODEX[request.message_spans()[2].clone()], r#"{"role":"user","content":"list the files"}"#);
    assert_eq!(request.prompt_cache_key().as_deref(), Some("0192"));
    assert_eq!((request.store(), request.background(), request.previous_response_id()), (false, false, None));
    assert_eq!(request.with_model("x").text(), CODEX.replacen("\"gpt-5\"", "\"x\"", 1));
}

#[test]
fn a_string_is_one_message() {
    let body = r#"{"input" : "say [\"hi\"]" ,"model":"m","max_output_tokens":9}"#;
    let request = read(Responses, body);
    assert_eq!((request.message_count(), request.max_tokens()), (1, Some(9)));
    let literal = r#""say [\"hi\"]""#;
    assert_eq!(&body[request.message_spans()[0].clone()], literal);
    assert_eq!(request.raw("input"), Some(literal));
    let slot = request.texts().remove(0);
    assert_eq!((slot.text.as_str(), slot.place), ("say [\"hi\"]", TextPlace::Message { index: 0, role: Role::User }));
    let edited = request.with_texts(&[(slot.span, "no\n".to_owned())]);
    assert_eq!(edited.text(), body.replacen(literal, r#""no\n""#, 1));
    assert_eq!(&edited.text()[edited.message_spans()[0].clone()], r#""no\n""#);
}

#[test]
fn what_the_vendor_keeps_stands_for_the_input() {
    for body in [
        r#"{"model":"m","previous_response_id":"resp_1"}"#,
        r#"{"model":"m","conversation":{"id":"conv_1"},"input":null}"#,
        r#"{"prompt":{"id":"pmpt_1"}}"#,
        r#"{"model":null,"prompt":{"id":"pmpt_1"},"input":"x"}"#,
    ] {
        assert!(super::parse(Responses, body).is_ok(), "{body}");
    }
    let request = read(Responses, r#"{"model":"m","previous_response_id":"resp_1","background":true}"#);
    assert_eq!(request.previous_response_id().as_deref(), Some("resp_1"));
    assert!(request.store() && request.background());
    assert_eq!((request.message_count(), request.conversation().len()), (0, 0));
    let unnamed = read(Responses, r#"{"prompt":{"id":"pmpt_1"}}"#);
    assert_eq!((unnamed.model(), unnamed.with_model("x").text()), ("", unnamed.text()));
}

#[test]
fn errors_name_the_field() {
    let cases = [
        (r#"{"input":"x"}"#, "model"),
        (r#"{"input":"x","model":3}"#, "model"),
        (r#"{"model":"m"}"#, "input"),
        (r#"{"model":"m","messages":[]}"#, "input"),
        (r#"{"model":"m","input":null}"#, "input"),
        (r#"{"model":"m","input":{"role":"user"},"prompt":{"id":"p"}}"#, "input"),
        (r#"{"model":"m","input":[],"input":[]}"#, "input"),
        (r#"{"model":"m","input":[],"inp\u0075t":"x"}"#, "input"),
        (r#"{"model":"m","input":[],"instructions":"a","instructions":"b"}"#, "instructions"),
        (r#"{"model":"m","input":[],"previous_response_id":"a","previous_response_id":null}"#, "previous_response_id"),
        (r#"{"model":"m","input":[],"store":true,"store":false}"#, "store"),
        (r#"{"model":"m","input":[],"stream":"yes"}"#, "stream"),
    ];
    for (body, field) in cases {
        assert_eq!(param(Responses, body).as_deref(), Some(field), "{body}");
    }
    assert_eq!(param(Responses, "[]"), None);
    assert_eq!(param(Responses, r#"{"model":"m","input":[}"#), None);
}

#[test]
fn counts_and_compactions_are_read_alike() {
    for kind in [RequestKind::CountTokens, RequestKind::Compact] {
        let request = Request::parse(Responses, kind, Bytes::from_static(CODEX.as_bytes())).expect("a request");
        assert_eq!(request.message_count(), 9);
    }
}

#[test]
fn texts_of_codexs_request() {
    let message = |index, role| TextPlace::Message { index, role };
    let expected = [
        ("You are Codex.", message(0, Role::System)),
        ("<environment_context>\n</environment_context>", message(1, Role::User)),
        ("list the files", message(2, Role::User)),
        ("a.txt\nb.txt", TextPlace::ToolResult { index: 5 }),
        ("Done!", TextPlace::ToolResult { index: 7 }),
        ("two files", message(8, Role::Assistant)),
    ];
    assert_eq!(places(&read(Responses, CODEX)), expected.map(|(text, place)| (text.to_owned(), place)));
}

#[test]
fn an_edit_keeps_all_but_its_text() {
    let request = read(Responses, CODEX);
    let slot = request.texts().into_iter().find(|slot| slot.text == "Done!").expect("the text");
    let edited = request.with_texts(&[(slot.span, "Fertig\"".to_owned())]);
    assert_eq!(edited.text(), CODEX.replacen("\"Done!\"", r#""Fertig\"""#, 1));
    assert_eq!(edited.raw("prompt_cache_key"), Some("\"0192\""));
}

#[test]
fn instructions_and_shell_outputs_are_texts() {
    let body = json!({"model": "m", "input": [
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "out", "stderr": "err", "outcome": {"type": "exit", "exit_code": 1}}]},
        {"type": "local_shell_call_output", "id": "l", "output": "raw"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ], "instructions": "be kind"});
    let request = read(Responses, &body.to_string());
    let expected = [
        ("out", TextPlace::ToolResult { index: 0 }),
        ("err", TextPlace::ToolResult { index: 0 }),
        ("raw", TextPlace::ToolResult { index: 1 }),
        ("no", TextPlace::Message { index: 2, role: Role::Assistant }),
        ("be kind", TextPlace::System(0)),
    ];
    assert_eq!(places(&request), expected.map(|(text, place)| (text.to_owned(), place)));
}

#[test]
fn reasoning_and_calls_are_never_texts() {
    let body = json!({"model": "m", "input": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "content": [{"type": "reasoning_text", "text": "b"}]},
        {"type": "function_call", "name": "f", "arguments": "{}", "output": "x", "content": "y"},
        {"type": "mcp_call", "name": "f", "arguments": "{}", "output": "x"},
        {"type": "new_kind", "content": "z", "text": "t"},
        7, null, [],
    ]});
    assert_eq!(texts(&body), [""; 0]);
}

#[test]
fn an_item_of_two_types_hides_nothing() {
    let body = r#"{"model":"m","input":[{"type":"reasoning","type":"message","role":"user","content":"a"},{"type":"function_call_output","output":"b","ou\u0074put":[{"type":"input_text","text":"c"}]},{"type":null,"role":"user","content":"d"},"e"]}"#;
    let texts: Vec<String> = read(Responses, body).texts().into_iter().map(|slot| slot.text).collect();
    assert_eq!(texts, ["a", "b", "c", "d", "e"]);
}

#[test]
fn deep_nesting_is_read() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = format!(r#"{{"model":"m","input":[{{"role":"user","content":{deep}}},{deep}],"x":{deep}}}"#);
    let request = read(Responses, &body);
    assert_eq!((request.texts().len(), request.conversation().len()), (0, 2));
}

#[test]
fn a_field_under_a_name_that_only_some_servers_take_for_it_is_refused() {
    for (key, field) in [
        ("Input", "input"),
        ("MODEL", "model"),
        ("in\\u0050ut", "input"),
        ("previou\u{17f}_response_id", "previous_response_id"),
    ] {
        let body = format!(r#"{{"model":"m","input":"hi","{key}":"x"}}"#);
        let error = Request::parse(Responses, RequestKind::Turn, body.into()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(field), "{key}");
    }
}
