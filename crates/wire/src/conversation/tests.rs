//! Conversations read from both dialects.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Message, Part, Role};
use crate::dialect::Dialect::{self, Chat, Messages};
use crate::request::{Request, RequestKind};

fn conversation(dialect: Dialect, body: &Value) -> Vec<Message> {
    let body = Bytes::from(body.to_string());
    Request::parse(dialect, RequestKind::Turn, body).expect("a request").conversation()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn said(role: Role, words: &str) -> Message {
    Message { role, parts: vec![text(words)] }
}

#[test]
fn messages_with_tools_and_thinking() {
    let body = json!({"model": "m", "max_tokens": 1, "system": [{"type": "text", "text": "be"}, {"type": "text", "text": "kind"}], "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image", "source": {}}], "is_error": true},
            {"type": "image", "source": {}},
            {"type": "text", "text": "and?"},
        ]},
        {"role": "system", "content": "mid"},
    ]});
    let calls = vec![
        Part::Thinking("hm".to_owned()),
        Part::Other("redacted_thinking".to_owned()),
        Part::ToolCall { id: "t1".to_owned(), name: "Bash".to_owned(), input: json!({"command": "ls"}) },
    ];
    let results = vec![
        Part::ToolResult { id: "t1".to_owned(), text: "a\nb\n[image]".to_owned(), is_error: true },
        Part::Image,
        text("and?"),
    ];
    let expected = [
        Message { role: Role::System, parts: vec![text("be"), text("kind")] },
        said(Role::User, "go"),
        Message { role: Role::Assistant, parts: calls },
        Message { role: Role::User, parts: results },
        said(Role::System, "mid"),
    ];
    assert_eq!(conversation(Messages, &body), expected);
}

#[test]
fn chat_with_every_kind_of_call() {
    let body = json!({"model": "m", "messages": [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "go"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{bad"}},
            {"id": "c3", "type": "custom", "custom": {"name": "patch", "input": "*** x"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "assistant", "content": "", "function_call": {"name": "old", "arguments": ""}},
        {"role": "function", "name": "old", "content": "ok"},
        {"role": "assistant", "refusal": "no"},
    ]});
    let call = |id: &str, name: &str, input: Value| Part::ToolCall { id: id.to_owned(), name: name.to_owned(), input };
    let result = |id: &str, text: &str| {
        let parts = vec![Part::ToolResult { id: id.to_owned(), text: text.to_owned(), is_error: false }];
        Message { role: Role::Tool, parts }
    };
    let calls = vec![
        Part::Thinking("hm".to_owned()),
        call("c1", "f", json!({"a": 1})),
        call("c2", "g", json!("{bad")),
        call("c3", "patch", json!("*** x")),
    ];
    let expected = [
        said(Role::System, "be kind"),
        Message { role: Role::User, parts: vec![text("go"), Part::Image] },
        Message { role: Role::Assistant, parts: calls },
        result("c1", "done"),
        Message { role: Role::Assistant, parts: vec![call("", "old", json!({}))] },
        result("old", "ok"),
        said(Role::Assistant, "no"),
    ];
    assert_eq!(conversation(Chat, &body), expected);
}

#[test]
fn odd_messages_keep_their_place() {
    let body = json!({"model": "m", "messages": [7, {"role": 3}, {"content": [1, "s", {"type": "new", "x": 1}]}]});
    let expected = [
        Message { role: Role::Other(String::new()), parts: vec![] },
        Message { role: Role::Other(String::new()), parts: vec![] },
        Message {
            role: Role::Other(String::new()),
            parts: vec![Part::Other(String::new()), text("s"), Part::Other("new".to_owned())],
        },
    ];
    assert_eq!(conversation(Chat, &body), expected);
}

#[test]
fn a_vendors_tool_results_are_results() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}]},
    ]}]});
    let parts = &conversation(Messages, &body)[0].parts;
    assert_eq!(parts[1], Part::ToolResult { id: "s1".to_owned(), text: "u\nt".to_owned(), is_error: false });
}
