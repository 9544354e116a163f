//! What of messages and answers is text, in each dialect.

use luthien_wire::Dialect;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::body::split::split;

fn message(dialect: Dialect, message: &Value) -> String {
    let mut out = String::new();
    of_message(dialect, message.to_string().as_bytes(), &mut out);
    out
}

fn answer(dialect: Dialect, body: &str) -> String {
    let mut out = String::new();
    of_answer(dialect, body.as_bytes(), &mut out);
    out
}

fn head(dialect: Dialect, body: &Value) -> String {
    let mut out = String::new();
    let body = body.to_string();
    of_outline(body.as_bytes(), &split(dialect, body.as_bytes()), &mut out);
    out
}

#[test]
fn a_message_in_messages_says_its_texts_calls_and_results() {
    let assistant = json!({"role": "assistant", "content": [
        {"type": "thinking", "thinking": "let me see", "signature": "c2lnbmF0dXJl"},
        {"type": "redacted_thinking", "data": "aGlkZGVu"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls -l", "timeout": 5, "deep": [{"a": true, "b": null}]}},
    ]});
    assert_eq!(
        message(Dialect::Messages, &assistant),
        "let me see\nI look.\nBash\ncommand\nls -l\ntimeout\n5\ndeep\na\ntrue\nb"
    );
    let user = json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "total 0"}]},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo"}},
        {"type": "document", "title": "plan", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}},
        {"type": "text", "text": "and?"},
    ]});
    assert_eq!(message(Dialect::Messages, &user), "total 0\nplan\nand?");
    assert_eq!(message(Dialect::Messages, &json!({"role": "user", "content": "hello"})), "hello");
}

#[test]
fn a_message_in_chat_says_its_texts_calls_and_results() {
    let assistant = json!({"role": "assistant", "reasoning_content": "so", "content": null, "refusal": "I will not", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{\"path\":\"/etc/passwd\"}"}},
        {"id": "call_2", "type": "function", "function": {"name": "write", "arguments": "{\"pa"}},
    ]});
    assert_eq!(message(Dialect::Chat, &assistant), "so\nI will not\nread\npath\n/etc/passwd\nwrite\n{\"pa");
    let user = json!({"role": "user", "content": [
        {"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBOR"}}]});
    assert_eq!(message(Dialect::Chat, &user), "what is");
    assert_eq!(
        message(Dialect::Chat, &json!({"role": "tool", "tool_call_id": "call_1", "content": "root:x"})),
        "root:x"
    );
    assert_eq!(message(Dialect::Chat, &json!({"role": "system", "content": "be good"})), "be good");
}

#[test]
fn an_item_of_responses_says_its_texts_calls_and_results() {
    let said = [
        (json!("only this"), "only this"),
        (json!({"role": "user", "content": [{"type": "input_text", "text": "do"}]}), "do"),
        (
            json!({"type": "function_call", "call_id": "c", "name": "shell", "arguments": "{\"cmd\":[\"ls\"]}"}),
            "shell\ncmd\nls",
        ),
        (
            json!({"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"}),
            "apply_patch\n*** Begin",
        ),
        (json!({"type": "function_call_output", "call_id": "c", "output": "done"}), "done"),
        (
            json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "plan"}], "encrypted_content": "Z0FBQUFB"}),
            "plan",
        ),
        (json!({"type": "reasoning", "summary": [], "encrypted_content": "Z0FBQUFB"}), ""),
    ];
    for (item, text) in said {
        assert_eq!(message(Dialect::Responses, &item), text, "{item}");
    }
}

#[test]
fn an_answer_says_the_same_whole_and_streamed() {
    let content = json!([{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "ok"},
        {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}]);
    let whole =
        json!({"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use"}).to_string();
    assert_eq!(answer(Dialect::Messages, &whole), "hm\nok\nBash\ncommand\nls");
    let stream = [
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "c"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "se"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "cret"}}),
        json!({"type": "content_block_stop", "index": 0}),
    ];
    let stream: Vec<_> = stream.iter().map(|event| format!("data: {event}\n\n")).collect();
    let stream = stream.concat();
    assert_eq!(answer(Dialect::Messages, &stream), "secret");
    let chat = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"he\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(answer(Dialect::Chat, chat), "hello");
    let chat = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "refusal": "no"}, "finish_reason": "stop"}]});
    assert_eq!(answer(Dialect::Chat, &chat.to_string()), "no");
    let response = json!({"object": "response", "status": "completed", "output": [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "why"}], "encrypted_content": "Z0FB"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "because"}]},
        {"type": "function_call", "call_id": "c", "name": "shell", "arguments": "{\"n\":1}"}]});
    assert_eq!(answer(Dialect::Responses, &response.to_string()), "why\nbecause\nshell\nn\n1");
}

#[test]
fn an_answer_that_is_an_error_says_it() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "try later"}}).to_string();
    assert_eq!(answer(Dialect::Messages, &error), "try later");
    assert_eq!(answer(Dialect::Messages, "<html>bad gateway</html>"), "");
    assert_eq!(answer(Dialect::Messages, ""), "");
}

#[test]
fn what_a_search_found_is_text_and_its_encrypted_form_is_not() {
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [
        {"type": "web_search_result", "title": "Otters", "url": "https://otters.example", "encrypted_content": "RXF3Q0Nq"}]});
    let whole =
        json!({"type": "message", "role": "assistant", "content": [found], "stop_reason": "end_turn"}).to_string();
    assert_eq!(answer(Dialect::Messages, &whole), "Otters\nhttps://otters.example");
}

#[test]
fn the_head_of_a_request_is_its_instructions() {
    assert_eq!(
        head(Dialect::Messages, &json!({"system": "be brief", "messages": [{"role": "user", "content": "x"}]})),
        "be brief"
    );
    let blocks = json!({"system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "messages": []});
    assert_eq!(head(Dialect::Messages, &blocks), "one\ntwo");
    assert_eq!(head(Dialect::Responses, &json!({"instructions": "be", "input": "say \"hi\""})), "be\nsay \"hi\"");
    assert_eq!(head(Dialect::Chat, &json!({"messages": [{"role": "system", "content": "x"}]})), "");
}

#[test]
fn no_more_than_so_much_is_taken() {
    let mut out = String::new();
    let long = json!({"role": "user", "content": "é".repeat(MOST / 2 + 10)}).to_string();
    of_message(Dialect::Messages, long.as_bytes(), &mut out);
    assert_eq!(out.len(), MOST);
    of_message(Dialect::Messages, long.as_bytes(), &mut out);
    assert_eq!(out.len(), MOST);
}

proptest! {
    #[test]
    fn anything_is_read_or_has_no_words(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        let mut out = String::new();
        for dialect in [Dialect::Messages, Dialect::Chat, Dialect::Responses] {
            for body in [&bytes[..], text.as_bytes(), json!({"role": "user", "content": text, "system": text}).to_string().as_bytes()] {
                of_message(dialect, body, &mut out);
                of_answer(dialect, body, &mut out);
                of_outline(body, &split(dialect, body), &mut out);
            }
        }
        prop_assert!(out.len() <= MOST);
    }
}
