//! Requests that are read, and requests that are refused.

use bytes::Bytes;

use super::{Request, RequestError, RequestKind, TextPlace};
use crate::conversation::Role;
use crate::dialect::Dialect::{self, Chat, Messages};

mod edits;
mod properties;
mod responses;

fn parse(dialect: Dialect, body: &str) -> Result<Request, RequestError> {
    Request::parse(dialect, RequestKind::Turn, Bytes::copy_from_slice(body.as_bytes()))
}

fn read(dialect: Dialect, body: &str) -> Request {
    parse(dialect, body).expect("a request")
}

fn param(dialect: Dialect, body: &str) -> Option<String> {
    parse(dialect, body).expect_err("no request").param
}

/// What Claude Code sends, made short: its own keys everywhere, system messages in between, a JSON string as user id.
const AGENT: &str = r#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>\ndate\n</system-reminder>"},{"type":"text","text":"list the files","cache_control":{"type":"ephemeral"}}]},{"role":"system","content":"Keep it short.","output_config":{"effort":"low"}},{"role":"assistant","content":[{"type":"thinking","thinking":"ls","signature":"EqQB"},{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls","timeout":1.0}}]},{"role":"user","content":[{"tool_use_id":"toolu_1","type":"tool_result","content":"a.txt\nb.txt","is_error":false},{"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"two"},{"type":"image","source":{"type":"base64","data":"AA=="}}],"is_error":true}]}],"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2;"},{"type":"text","text":"You are an agent.","cache_control":{"type":"ephemeral"}}],"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":8},{"name":"Bash","input_schema":{},"defer_loading":true}],"metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"s-1\"}"},"max_tokens":128000,"thinking":{"type":"adaptive"},"context_management":{"edits":[]},"stream":true}"#;

#[test]
fn an_agents_request_is_read() {
    let request = read(Messages, AGENT);
    assert_eq!((request.model(), request.stream(), request.max_tokens()), ("claude-opus-5-5", true, Some(128_000)));
    assert_eq!(request.message_count(), 4);
    assert_eq!(request.text(), AGENT);
    assert_eq!(&AGENT[request.message_spans()[1].clone()][..30], r#"{"role":"system","content":"Ke"#);
    assert_eq!(request.raw("thinking"), Some(r#"{"type":"adaptive"}"#));
    assert!(request.raw("messages").is_some_and(|raw| raw.starts_with(r#"[{"role""#) && raw.ends_with("}]}]")));
    assert_eq!(request.user_id().as_deref(), Some(r#"{"device_id":"d","session_id":"s-1"}"#));
    assert_eq!(request.raw("temperature"), None);
}

#[test]
fn a_chat_request_is_read() {
    let body = r#"{"messages":[{"role":"developer","content":"d"}],"model":"gpt-5","stream":null,"max_tokens":5,"max_completion_tokens":7,"prompt_cache_key":"k\u0031","tools":[{"type":"namespace","tools":[]}]}"#;
    let request = read(Chat, body);
    assert_eq!((request.model(), request.stream(), request.max_tokens()), ("gpt-5", false, Some(7)));
    assert_eq!(request.prompt_cache_key().as_deref(), Some("k1"));
    assert_eq!(read(Chat, r#"{"model":"m","messages":[],"max_tokens":5}"#).max_tokens(), Some(5));
    assert_eq!(read(Chat, r#"{"model":"m","messages":[]}"#).max_tokens(), None);
}

#[test]
fn spans_hold_under_any_white_space() {
    let body = " {\n \"x[\" : \"]\" , \"messages\"\t:\r\n [ ] ,\"model\" : \"m\" }\n";
    let request = read(Chat, body);
    assert_eq!(request.raw("messages"), Some("[ ]"));
    assert_eq!(request.raw("x["), Some("\"]\""));
    let first = read(Chat, "{\"messages\" : [ 1 , [2] ], \"model\":\"m\"}");
    assert_eq!(first.raw("messages"), Some("[ 1 , [2] ]"));
    assert_eq!(first.message_count(), 2);
    assert_eq!(read(Chat, r#"{"mod\u0065l":"m","m\u0065ssages":[]}"#).raw("messages"), Some("[]"));
}

#[test]
fn errors_name_the_field() {
    let cases = [
        (Messages, r#"{"messages":[],"max_tokens":1}"#, "model"),
        (Messages, r#"{"model":null,"messages":[],"max_tokens":1}"#, "model"),
        (Messages, r#"{"model":7,"messages":[],"max_tokens":1}"#, "model"),
        (Messages, r#"{"model":"m","max_tokens":1}"#, "messages"),
        (Messages, r#"{"model":"m","messages":"hi","max_tokens":1}"#, "messages"),
        (Chat, r#"{"model":"m","messages":{"a":1}}"#, "messages"),
        (Chat, r#"{"model":"m","messages":null}"#, "messages"),
        (Messages, r#"{"model":"m","messages":[]}"#, "max_tokens"),
        (Messages, r#"{"model":"m","messages":[],"max_tokens":-1}"#, "max_tokens"),
        (Messages, r#"{"model":"m","messages":[],"max_tokens":"9"}"#, "max_tokens"),
        (Messages, r#"{"model":"m","messages":[],"max_tokens":1.5}"#, "max_tokens"),
        (Chat, r#"{"model":"m","messages":[],"stream":1}"#, "stream"),
        (Chat, r#"{"model":"m","messages":[],"stream":"true"}"#, "stream"),
        (Chat, r#"{"model":"m","messages":[],"model":"n"}"#, "model"),
        (Chat, r#"{"model":"m","messages":[],"messages":[]}"#, "messages"),
        (Chat, r#"{"model":"m","messages":[],"tools":[],"t\u006fols":[1]}"#, "tools"),
    ];
    for (dialect, body, field) in cases {
        assert_eq!(param(dialect, body).as_deref(), Some(field), "{body}");
    }
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["", "[]", "7", "\"x\"", "null", "{", "{}x", r#"{"model":"m",}"#, "[{\"model\":\"m\"}]", "\u{feff}{}"] {
        assert_eq!(param(Chat, body), None, "{body}");
    }
    let error =
        Request::parse(Chat, RequestKind::Turn, Bytes::from_static(b"{\"model\":\"\xff\"}")).expect_err("not text");
    assert_eq!(error.message, "the body is not valid UTF-8");
}

#[test]
fn whole_numbers_may_be_written_as_fractions() {
    assert_eq!(read(Messages, r#"{"model":"m","messages":[],"max_tokens":4096.0}"#).max_tokens(), Some(4096));
}

#[test]
fn a_count_needs_no_limit() {
    let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
    let request = Request::parse(Messages, RequestKind::CountTokens, body).expect("a count");
    assert_eq!(request.max_tokens(), None);
}

#[test]
fn unread_fields_may_repeat_and_hold_anything() {
    let request = read(Chat, r#"{"model":"m","messages":[7,null],"x":1,"x":"\ud800","\ud800":2,"y":1e999}"#);
    assert_eq!(request.raw("x"), Some(r#""\ud800""#));
    assert_eq!(request.raw("y"), Some("1e999"));
    assert!(request.texts().is_empty());
}

#[test]
fn deep_nesting_is_read() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{deep}}}],"x":{deep}}}"#);
    let request = read(Chat, &body);
    assert!(request.texts().is_empty());
    assert_eq!(request.conversation().len(), 1);
}

fn places(request: &Request) -> Vec<(String, TextPlace)> {
    request.texts().into_iter().map(|slot| (slot.text, slot.place)).collect()
}

#[test]
fn texts_of_an_agents_request() {
    let user = |index| TextPlace::Message { index, role: Role::User };
    let expected = [
        ("<system-reminder>\ndate\n</system-reminder>", user(0)),
        ("list the files", user(0)),
        ("Keep it short.", TextPlace::Message { index: 1, role: Role::System }),
        ("a.txt\nb.txt", TextPlace::ToolResult { index: 3 }),
        ("two", TextPlace::ToolResult { index: 3 }),
        ("You are an agent.", TextPlace::System(1)),
    ];
    let found = places(&read(Messages, AGENT));
    assert_eq!(found, expected.map(|(text, place)| (text.to_owned(), place)));
}

#[test]
fn texts_of_a_chat_request() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"},{"type":"image_url","image_url":{"url":"text"}}]},{"role":"assistant","content":null,"refusal":"no","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"out"}]}"#;
    let message = |index, role| TextPlace::Message { index, role };
    let expected = [
        ("s", message(0, Role::System)),
        ("u", message(1, Role::User)),
        ("no", message(2, Role::Assistant)),
        ("out", TextPlace::ToolResult { index: 3 }),
    ];
    assert_eq!(places(&read(Chat, body)), expected.map(|(text, place)| (text.to_owned(), place)));
}

#[test]
fn a_plain_system_string_and_documents_are_texts() {
    let body = r#"{"model":"m","max_tokens":1,"system":"sys","messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"doc"}},{"type":"document","source":{"type":"base64","data":"AAAA"}},{"type":"document","source":{"type":"content","content":[{"type":"text","text":"inner"}]}},{"type":"search_result","source":"u","title":"t","content":[{"type":"text","text":"hit"}]}]}]}"#;
    let texts: Vec<String> = read(Messages, body).texts().into_iter().map(|slot| slot.text).collect();
    assert_eq!(texts, ["sys", "doc", "inner", "u", "t", "hit"]);
}

#[test]
fn repeated_keys_inside_messages_are_all_texts() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a","content":"b","cont\u0065nt":[{"type":"x","type":"text","text":"c"}]}]}"#;
    let texts: Vec<String> = read(Chat, body).texts().into_iter().map(|slot| slot.text).collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn half_surrogates_and_odd_keys_hide_nothing() {
    let body = r#"{"model":"m","messages":[{"role":"user","\ud800":1,"content":"a\ud800b"}]}"#;
    let texts = read(Chat, body).texts();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].text.starts_with('a') && texts[0].text.ends_with('b') && texts[0].text.contains('\u{fffd}'));
}
