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
    let own = envelope::seal(Dialect::Chat, &json!({"reasoning_content": "so"}));
    let message = |signature: &str| {
        json!({"role": "assistant", "content": "b", "reasoning_content": "so",
               "thinking_blocks": [{"type": "thinking", "thinking": "so", "signature": signature}]})
    };
    let messages =
        json!([message(&foreign), message(&own), {"role": "assistant", "content": "c", "reasoning_content": "d"}]);
    let (body, dropped) = sent(Dialect::Chat, &json!({"model": "m", "messages": messages}).to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!([
        {"role": "assistant", "content": "b"}, {"role": "assistant", "content": "b", "reasoning_content": "so"},
        {"role": "assistant", "content": "c", "reasoning_content": "d"},
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(dropped, ["messages[0] (reasoning of another vendor)"]);
}

/// It gives none on Chat, and refuses messages that hold some.
#[test]
fn openais_own_models_get_no_reasoning_whoever_gave_it() {
    let own = envelope::seal(Dialect::Chat, &json!({"reasoning_content": "so"}));
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}","messages":[ {{"role":"user", "content":"hi","reasoning":"mine"}}, {{"role":"assistant","content":"b","reasoning_content":"d","reasoning_details":[{{"type":"reasoning.text","text":"d"}}]}},{{"role":"assistant","content":"c","reasoning_content":null}},{{"role":"assistant","content":"e","reasoning_content":"so","thinking_blocks":[{{"type":"thinking","thinking":"so","signature":"{own}"}}]}}, {{"role":"assistant", "content":"f"}} ]}}"#
        )
    };
    let expected = r#"{"model":"gpt-5","messages":[ {"role":"user", "content":"hi","reasoning":"mine"}, {"role":"assistant","content":"b"},{"role":"assistant","content":"c"},{"role":"assistant","content":"e"}, {"role":"assistant", "content":"f"} ]}"#;
    let (sent_body, dropped) = sent(Dialect::Chat, &body("gpt-5"));
    assert_eq!(sent_body, expected);
    assert_eq!(dropped, ["messages[1] (reasoning of another vendor, and 1 more)"]);
    // An intermediary keeps it for the vendor that gave it, and so does everybody else.
    for model in ["openai/gpt-5", "gpt-oss-120b", "deepseek-chat"] {
        assert!(sent(Dialect::Chat, &body(model)).0.contains(r#""reasoning_content":"d""#), "{model}");
    }
}

/// What judges and people read is what the vendor gets.
#[test]
fn envelopes_that_say_more_than_is_shown_are_left_out() {
    let block = |shown: &str| json!({"type": "thinking", "thinking": shown, "signature": envelope::seal(Dialect::Messages, &thinking())});
    let body = |shown: &str| json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [block(shown), {"type": "text", "text": "b"}]}]});
    for (shown, expected) in
        [("s o", vec![thinking()]), ("", vec![]), ("not so", vec![]), ("well\n\nso", vec![thinking()])]
    {
        let (body, dropped) = sent(Dialect::Messages, &body(shown).to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        let content = body["messages"][0]["content"].as_array().unwrap();
        assert_eq!(content[..content.len() - 1], expected[..], "{shown}");
        assert_eq!(dropped.len(), usize::from(expected.is_empty()), "{shown}");
    }
    let item = |summary: Value| {
        let told = json!({"type": "reasoning", "id": "a", "summary": [{"type": "summary_text", "text": "obey"}]});
        json!({"type": "reasoning", "id": "a", "summary": summary, "encrypted_content": envelope::seal(Dialect::Responses, &told)})
    };
    for (summary, left) in [(json!([]), 0), (json!([{"type": "summary_text", "text": "obey"}]), 1)] {
        let (body, _) = sent(Dialect::Responses, &json!({"model": "m", "input": [item(summary)]}).to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["input"].as_array().map(Vec::len), Some(left), "{body}");
    }
}

#[test]
fn items_that_are_no_reasoning_stay_whatever_they_hold() {
    for kind in [json!("message"), Value::Null] {
        let sealed = envelope::seal(Dialect::Chat, &json!({"reasoning_content": "x"}));
        let item = json!({"type": kind, "role": "user", "content": "hi", "encrypted_content": sealed});
        let body = json!({"model": "m", "input": [item]}).to_string();
        assert_eq!(sent(Dialect::Responses, &body), (body, Vec::new()));
    }
}

#[test]
fn a_turn_that_lost_its_thinking_goes_on_without_where_the_model_has_budgets() {
    let foreign = envelope::seal(Dialect::Chat, &json!({"reasoning_content": "x"}));
    let asked = |model: &str, last: Value| {
        let turn = json!([{"type": "thinking", "thinking": "x", "signature": foreign}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]);
        json!({"model": model, "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000},
               "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": turn}, last]})
    };
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "b"}]});
    let said = json!({"role": "user", "content": "b"});
    for (model, last, off) in
        [("claude-sonnet-4-5", &result, true), ("claude-opus-4-8", &result, false), ("claude-sonnet-4-5", &said, false)]
    {
        let (body, dropped) = sent(Dialect::Messages, &asked(model, last.clone()).to_string());
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["thinking"]["type"], if off { "disabled" } else { "enabled" }, "{model}");
        assert_eq!(dropped.iter().any(|entry| entry.starts_with("thinking ")), off, "{model}");
        assert_eq!(body["messages"][1]["content"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn what_only_the_gateway_knows_of_searches_stays_here() {
    let source =
        json!({"type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://a.test", "title": "A"});
    let told = crate::convert::citation::Citation::of_openai(&source).unwrap().as_messages(0);
    let own = json!({"type": "web_search_result_location", "cited_text": "x", "url": "u", "title": "t", "encrypted_index": "Eo"});
    let kept = json!({"type": "server_tool_use", "id": "srvtoolu_01A", "name": "web_search", "input": {"query": "q"}});
    let content = json!([
        {"type": "server_tool_use", "id": "srvtoolu_ws_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_ws_1", "content": []},
        kept,
        {"type": "text", "text": "a", "citations": [told]},
        {"type": "text", "text": "b", "citations": [told, own]},
    ]);
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": content}]});
    let (body, dropped) = sent(Dialect::Messages, &body.to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!([kept, {"type": "text", "text": "a"}, {"type": "text", "text": "b", "citations": [own]}]);
    assert_eq!(body["messages"][0]["content"], expected);
    assert_eq!(dropped, ["messages[0] (what another vendor thought or searched)"]);

    let location = crate::convert::citation::Citation::of_messages(&own).unwrap();
    let found = crate::convert::search::Found::of_messages(
        &json!([{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "Eq"}]),
    );
    let call = crate::convert::search::item("ws_srvtoolu_01A", &json!({"query": "q"}), Some(&found));
    let text = |source: Value| json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [source]}]});
    let input = json!([call, text(location.as_responses(0, 1))]);
    let (body, dropped) = sent(Dialect::Responses, &json!({"model": "m", "input": input}).to_string());
    let body: Value = serde_json::from_str(&body).unwrap();
    let action = json!({"type": "search", "query": "q", "queries": ["q"], "sources": [{"type": "url", "url": "u"}]});
    let call = json!({"id": "ws_srvtoolu_01A", "type": "web_search_call", "status": "completed", "action": action});
    assert_eq!(body["input"], json!([call, text(location.for_openai(0, 1))]));
    assert_eq!(dropped, [""; 0]);
}
