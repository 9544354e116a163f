//! Envelopes in requests that stay in their dialect.

use serde_json::json;

use super::super::request;
use super::*;
use crate::request::RequestKind;

fn sent(dialect: Dialect, body: &str) -> (String, Vec<String>) {
    let asked = Request::parse(dialect, RequestKind::Turn, body.to_owned().into()).unwrap();
    let converted = request(&asked, dialect, asked.model()).unwrap();
    (String::from_utf8(converted.body.to_vec()).unwrap(), converted.dropped)
}

fn thinking() -> Value {
    json!({"type": "thinking", "thinking": "so", "signature": "Eu=="})
}

fn item() -> Value {
    json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"})
}

#[test]
fn without_envelopes_no_byte_changes() {
    let body = r#"{ "model":"m", "max_tokens":1, "messages":[ {"role":"user","content":"hi"} ,{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"Eu"}]}] }"#;
    assert_eq!(sent(Dialect::Messages, body), (body.to_owned(), Vec::new()));
}

#[test]
fn messages_lose_the_blocks_of_others_and_keep_every_byte_before() {
    let foreign = envelope::seal(Dialect::Responses, &item());
    let own = envelope::seal(Dialect::Messages, &thinking());
    let body = format!(
        r#"{{"model":"m","max_tokens":1,"messages":[ {{"role":"user", "content":"hi"}}, {{"role":"assistant","content":[{{"type":"thinking","thinking":"a","signature":"{foreign}"}},{{"type":"thinking","thinking":"so","signature":"{own}"}},{{"type":"text","text":"b"}}]}},{{"role":"assistant","content":[{{"type":"redacted_thinking","data":"{foreign}"}}]}} ],"stream":true}}"#
    );
    let expected = r#"{"model":"m","max_tokens":1,"messages":[ {"role":"user", "content":"hi"}, {"role":"assistant","content":[{"type":"thinking","thinking":"so","signature":"Eu=="},{"type":"text","text":"b"}]} ],"stream":true}"#;
    let (body, dropped) = sent(Dialect::Messages, &body);
    assert_eq!(body, expected);
    assert_eq!(dropped, ["messages[1] (reasoning of another vendor, and 1 more)"]);
}

#[test]
fn items_of_others_go_with_their_commas() {
    let foreign = json!({"type": "reasoning", "id": "a", "summary": [], "encrypted_content": envelope::seal(Dialect::Messages, &thinking())});
    let own = json!({"type": "reasoning", "id": "b", "summary": [], "encrypted_content": envelope::seal(Dialect::Responses, &item())});
    for (input, expected) in [
        (vec![foreign.clone(), json!("x"), foreign.clone()], json!(["x"])),
        (vec![json!("x"), foreign.clone(), foreign.clone()], json!(["x"])),
        (vec![foreign.clone(), own, json!("x")], json!([item(), "x"])),
        (vec![foreign.clone(), foreign.clone()], json!([])),
        (vec![foreign.clone()], json!([])),
    ] {
        let (body, _) = sent(Dialect::Responses, &json!({"model": "m", "input": input}).to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["input"], expected, "{input:?}");
    }
}

#[test]
fn chat_messages_lose_all_that_showed_it() {
    let foreign = envelope::seal(Dialect::Messages, &thinking());
    let own = envelope::seal(Dialect::Chat, &json!({"reasoning_content": "why"}));
    let message = |signature: &str| {
        json!({"role": "assistant", "content": "b", "reasoning_content": "so",
               "thinking_blocks": [{"type": "thinking", "thinking": "so", "signature": signature}]})
    };
    let messages =
        json!([message(&foreign), message(&own), {"role": "assistant", "content": "c", "reasoning_content": "d"}]);
    let (body, dropped) = sent(Dialect::Chat, &json!({"model": "m", "messages": messages}).to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!([
        {"role": "assistant", "content": "b"}, {"role": "assistant", "content": "b", "reasoning_content": "why"},
        {"role": "assistant", "content": "c", "reasoning_content": "d"},
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(dropped, ["messages[0] (reasoning of another vendor)"]);
}
