//! Conversations read from all dialects.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Message, Part, Role};
use crate::dialect::Dialect::{self, Chat, Messages, Responses};
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

fn call(id: &str, name: &str, input: Value) -> Part {
    Part::ToolCall { id: id.to_owned(), name: name.to_owned(), input }
}

fn result(id: &str, text: &str, is_error: bool) -> Part {
    Part::ToolResult { id: id.to_owned(), text: text.to_owned(), is_error }
}

fn model(part: Part) -> Message {
    Message { role: Role::Assistant, parts: vec![part] }
}

fn tool(part: Part) -> Message {
    Message { role: Role::Tool, parts: vec![part] }
}

#[test]
fn responses_with_tools_and_reasoning() {
    let body = json!({"model": "m", "instructions": "be kind", "input": [
        {"type": "message", "role": "developer", "content": "mid"},
        {"role": "user", "content": [{"type": "input_text", "text": "go"}, {"type": "input_image", "image_url": "u"}, {"type": "input_file", "file_id": "f"}]},
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "content": [{"type": "reasoning_text", "text": "c"}], "encrypted_content": "x"},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** x"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "ok"}, {"type": "input_image", "image_url": "u"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}, {"type": "refusal", "refusal": "no"}]},
        {"type": "compaction", "encrypted_content": "x"},
    ]});
    let expected = [
        said(Role::System, "be kind"),
        said(Role::System, "mid"),
        Message { role: Role::User, parts: vec![text("go"), Part::Image, Part::Other("input_file".to_owned())] },
        model(Part::Thinking("a\n\nb\n\nc".to_owned())),
        model(Part::Other("reasoning".to_owned())),
        model(call("c1", "f", json!({"a": 1}))),
        model(call("c2", "patch", json!("*** x"))),
        tool(result("c1", "done", false)),
        tool(result("c2", "ok\n[image]", false)),
        Message { role: Role::Assistant, parts: vec![text("well"), text("no")] },
        Message { role: Role::Other(String::new()), parts: vec![Part::Other("compaction".to_owned())] },
    ];
    assert_eq!(conversation(Responses, &body), expected);
}

#[test]
fn responses_calls_of_every_kind() {
    let body = json!({"model": "m", "input": [
        {"type": "local_shell_call", "id": "i", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}, "status": "completed"},
        {"type": "local_shell_call_output", "id": "c1", "output": "a.txt"},
        {"type": "shell_call", "call_id": "c2", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c2", "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "apply_patch_call", "call_id": "c3", "operation": {"type": "delete_file", "path": "x"}},
        {"type": "apply_patch_call_output", "call_id": "c3", "status": "failed", "output": "no such file"},
        {"type": "computer_call", "call_id": "c4", "action": {"type": "click", "x": 1}},
        {"type": "computer_call_output", "call_id": "c4", "output": {"type": "computer_screenshot", "image_url": "u"}},
        {"type": "mcp_call", "id": "m1", "server_label": "s", "name": "look", "arguments": "{}", "output": "seen", "error": null},
        {"type": "mcp_call", "id": "m2", "name": "look", "arguments": "{}", "output": null, "error": "gone"},
        {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "id": "f", "queries": ["q"], "results": [{"text": "hit"}]},
        {"type": "image_generation_call", "id": "g", "result": "AAAA"},
        {"type": "mcp_approval_request", "id": "r", "name": "look", "arguments": "{\"a\":1}"},
    ]});
    let expected = [
        model(call("c1", "local_shell", json!({"type": "exec", "command": ["ls"]}))),
        tool(result("c1", "a.txt", false)),
        model(call("c2", "shell", json!({"commands": ["ls"]}))),
        tool(result("c2", "a\nb", false)),
        model(call("c3", "apply_patch", json!({"type": "delete_file", "path": "x"}))),
        tool(result("c3", "no such file", true)),
        model(call("c4", "computer", json!({"type": "click", "x": 1}))),
        tool(result("c4", "[image]", false)),
        Message { role: Role::Assistant, parts: vec![call("m1", "look", json!({})), result("m1", "seen", false)] },
        Message { role: Role::Assistant, parts: vec![call("m2", "look", json!({})), result("m2", "gone", true)] },
        model(call("w", "web_search", json!({"type": "search", "query": "q"}))),
        Message {
            role: Role::Assistant,
            parts: vec![call("f", "file_search", json!({"queries": ["q"]})), result("f", "hit", false)],
        },
        model(call("g", "image_generation", json!({}))),
        model(call("r", "look", json!({"a": 1}))),
    ];
    assert_eq!(conversation(Responses, &body), expected);
}

#[test]
fn odd_items_keep_their_place() {
    let nobody = || Role::Other(String::new());
    let body = json!({"model": "m", "input": [7, "s", {}, {"type": null, "role": "user", "content": "x"}, {"type": "new", "x": 1}]});
    let expected = [
        Message { role: nobody(), parts: vec![] },
        said(Role::User, "s"),
        Message { role: nobody(), parts: vec![] },
        said(Role::User, "x"),
        Message { role: nobody(), parts: vec![Part::Other("new".to_owned())] },
    ];
    assert_eq!(conversation(Responses, &body), expected);
    assert_eq!(conversation(Responses, &json!({"model": "m", "input": "hi"})), [said(Role::User, "hi")]);
}
