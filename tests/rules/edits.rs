//! Requests that a policy edits: what it does not edit keeps its bytes.

use luthien_testkit::client::post;
use luthien_testkit::{Answer, coding};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{KEYS, Rig, Told, path, turn};

const SWAP: &str = "string_replacement";

fn swap() -> (&'static str, serde_json::Value) {
    (SWAP, json!({"replacements": [["secret", "public"]], "apply_to": "request"}))
}

async fn sent(rig: &Rig, dialect: Dialect, headers: &[(&str, &str)], body: &[u8]) -> String {
    rig.upstream.clear();
    let told = post(&rig.url(path(dialect)), &[&KEYS, headers].concat(), body.to_vec()).await;
    let told = Told::of(told.expect("an answer")).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let turns = rig.upstream.turns();
    assert_eq!(turns.len(), 1);
    String::from_utf8(turns[0].body.to_vec()).expect("UTF-8")
}

const START: &str = r#"{ "model":"m" ,"temperature":1.00,"max_tokens":16,"unknown":{"z":1e2,"a":[1.0 , 2]},"messages":[ {"role":"user","content":[{"type":"text","text":"Gr\u00f6\u00dfe","cache_control":{"type":"ephemeral","ttl":"1h"},"x":-0.0}]},{"role":"assistant","content":"yes"} , "#;

/// The same in a dialect's own words.
fn start(dialect: Dialect) -> String {
    if dialect == Dialect::Responses {
        in_items(START).replace("\"text\",", "\"input_text\",")
    } else {
        START.to_owned()
    }
}

/// A request in messages, as one in items.
fn in_items(body: &str) -> String {
    body.replacen("\"messages\":", "\"input\":", 1)
}

#[tokio::test]
async fn an_edit_keeps_what_stands_before_it_and_is_the_same_each_turn() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    for dialect in Dialect::ALL {
        let start = &start(dialect);
        let edited = r#"{"role":"user","content":"a secret \u00e9 thing","keep":1.50}"#;
        let one = sent(&rig, dialect, &[], format!("{start}{edited}] , \"z\":0 }}").as_bytes()).await;
        let more = r#",{"role":"assistant","content":"ok"},{"role":"user","content":"another secret"}"#;
        let two = sent(&rig, dialect, &[], format!("{start}{edited}{more}] , \"z\":0 }}").as_bytes()).await;
        assert!(one.starts_with(start), "{one}");
        assert!(one.contains("a public") && !one.contains("secret"), "{one}");
        assert!(one.ends_with(",\"keep\":1.50}] , \"z\":0 }"), "{one}");
        let common = one.strip_suffix("] , \"z\":0 }").expect("the end as it was");
        assert!(two.starts_with(common), "{two}\ndoes not begin with\n{common}");
        assert!(two.contains("another public") && !two.contains("secret"), "{two}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_request_in_which_nothing_is_found_keeps_every_byte() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    for dialect in Dialect::ALL {
        let body = format!("{}{{\"role\":\"user\",\"content\":\"x\\/y\"}}]}}\n\n", start(dialect));
        assert_eq!(sent(&rig, dialect, &[], body.as_bytes()).await, body);
    }
    rig.stop().await;
}

#[tokio::test]
async fn thinking_calls_and_the_first_system_entry_are_never_edited() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    let first = r#"{"type":"text","text":"x-anthropic-billing-header: secret"}"#;
    let thinking = r#"{"type":"thinking","thinking":"a secret thought","signature":"c2VjcmV0secret"},{"type":"redacted_thinking","data":"secret"}"#;
    let call = r#"{"type":"tool_use","id":"toolu_secret","name":"secret","input":{}}"#;
    let body = format!(
        r#"{{"model":"m","max_tokens":16,"system":[{first},{{"type":"text","text":"a secret rule"}}],"messages":[{{"role":"user","content":"go"}},{{"role":"assistant","content":[{thinking},{call}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_secret","content":"the secret output"}}]}}]}}"#
    );
    let got = sent(&rig, Dialect::Messages, &[], body.as_bytes()).await;
    let expected = body.replace("the secret output", "the public output");
    assert_eq!(got, expected);
    rig.stop().await;
}

#[tokio::test]
async fn both_halves_of_a_beta_travel_with_an_edit() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    let body = r#"{"model":"m","max_tokens":16,"context_management":{"edits":[{"type":"clear_thinking_20251015"}]},"messages":[{"role":"user","content":"a secret"}]}"#;
    let headers =
        [("anthropic-beta", "context-management-2025-06-27,oauth-2025-04-20"), ("anthropic-version", "2031-01-01")];
    let got = sent(&rig, Dialect::Messages, &headers, body.as_bytes()).await;
    assert_eq!(got, body.replace("secret", "public"));
    let turn = rig.upstream.turns().remove(0);
    for (name, value) in headers {
        assert_eq!(turn.header(name), Some(value));
    }
    assert_eq!(turn.header("content-length"), Some(got.len().to_string().as_str()));
    rig.stop().await;
}

#[tokio::test]
async fn a_compressed_request_is_read_by_policies_and_goes_on_plain_where_it_is_changed() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    let body = r#"{"model":"m","max_tokens":16,"messages":[{"role":"user","content":"a secret"}]}"#;
    for dialect in Dialect::ALL {
        let body = if dialect == Dialect::Responses { in_items(body) } else { body.to_owned() };
        for coding in coding::ALL {
            let coded = coding::encode(coding, body.as_bytes()).await.expect(coding);
            let got = sent(&rig, dialect, &[("content-encoding", coding)], &coded).await;
            assert_eq!(got, body.replace("secret", "public"), "{coding}");
            assert_eq!(rig.upstream.turns()[0].header("content-encoding"), None, "{coding}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_compressed_request_that_nobody_changes_goes_on_as_it_came() {
    let rig = Rig::new(Answer::text("hi"), Some(("debug_logging", json!({})))).await;
    for dialect in Dialect::ALL {
        for coding in coding::ALL {
            let body = turn(dialect, "m", false).to_string();
            let coded = coding::encode(coding, body.as_bytes()).await.expect(coding);
            rig.upstream.clear();
            let headers = [&KEYS[..], &[("content-encoding", coding)]].concat();
            let told = post(&rig.url(path(dialect)), &headers, coded.clone()).await.expect("an answer");
            assert_eq!(Told::of(told).await.status, 200, "{coding}");
            let asked = rig.upstream.turns().remove(0);
            assert_eq!(asked.plain, body, "{coding}");
            assert_eq!((asked.header("content-encoding"), &asked.body), (Some(coding), &coded), "{coding}");
        }
    }
    rig.stop().await;
}

/// The other paths under which a conversation goes up: what a policy reads there, it reads whatever the coding.
#[tokio::test]
async fn compressed_counts_and_compactions_are_read_by_policies() {
    let rig = Rig::new(Answer::text("hi"), Some(swap())).await;
    let messages = r#"{"model":"m","messages":[{"role":"user","content":"a secret"}]}"#.to_owned();
    let items = in_items(&messages);
    let places = [
        ("/v1/messages/count_tokens", &messages),
        ("/v1/responses/input_tokens", &items),
        ("/v1/responses/compact", &items),
    ];
    for (path, body) in places {
        for coding in [&["identity"][..], &coding::ALL].concat() {
            rig.upstream.clear();
            let coded = coding::encode(coding, body.as_bytes()).await.expect(coding);
            let headers = [&KEYS[..], &[("content-encoding", coding)]].concat();
            let told = Told::of(post(&rig.url(path), &headers, coded).await.expect("an answer")).await;
            assert_eq!(told.status, 200, "{path} {coding}: {}", told.text());
            let asked = rig.upstream.requests().remove(0);
            assert_eq!(asked.plain, body.replace("secret", "public"), "{path} {coding}");
        }
    }
    rig.stop().await;
}
