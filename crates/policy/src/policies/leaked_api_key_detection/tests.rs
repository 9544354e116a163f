//! Which texts are taken for secrets, where they are found, and that nobody is told them.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::RequestKind;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::contract::RequestAction;
use crate::scripted;

/// Put together here, so that no scanner takes this file for a leak.
fn secret(parts: &[&str]) -> String {
    parts.concat()
}

async fn asked(config: Value, dialect: Dialect, body: &str) -> (RequestAnswer, String) {
    let context = scripted::context();
    let request = Request::parse(dialect, RequestKind::Turn, Bytes::from(body.to_owned())).unwrap();
    let review = scripted::policy("leaked_api_key_detection", config).review(&context);
    let answer = review.request(&request).await.unwrap();
    (answer, format!("{:?}", context.events.take()))
}

fn said(text: &str) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": text}]})
        .to_string()
}

#[rstest]
#[case(&["sk-ant-", "api03-", "abcDEF123_-abcDEF123_-abcDEF"], "an Anthropic key")]
#[case(&["sk-ant-", "oat01-", "abcDEF123_-abcDEF123_-abcDEF"], "an Anthropic key")]
#[case(&["sk-", "proj-", "abcDEF123_-abcDEF123_-abcDEF"], "an OpenAI key")]
#[case(&["sk-", "abcdefghijklmnopqrst", "T3BlbkFJ", "abcdefghijklmnopqrst"], "an OpenAI key")]
#[case(&["AK", "IA", "QYLPMN5HFIQR7XYA"], "an AWS access key id")]
#[case(&["aws_secret_access_key = ", "abcdefghij/klmnopqrst+uvwxyzABCDEFGHIJKL"], "an AWS secret access key")]
#[case(&["gh", "p_", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"], "a GitHub token")]
#[case(&["github", "_pat_", "abcdefghijklmnopqrstuv", "_", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJabcdefghijklmnopqrstuvw"], "a GitHub token")]
#[case(&["gl", "pat-", "abcDEF123_-abcDEF123"], "a GitLab token")]
#[case(&["xox", "b-", "123456789012-abcdefghijkl"], "a Slack token")]
#[case(&["sk_", "live_", "abcdefghijklmnopqrstuvwx"], "a Stripe key")]
#[case(&["AI", "za", "SyA123456789012345678901234567890ab"], "a Google API key")]
#[case(&["AccountKey=", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwx", "=="], "an Azure storage key")]
#[case(&["abc", "8Q~", "abcdefghijklmnopqrstuvwxyzABCDEFGH"], "an Azure client secret")]
#[case(&["npm", "_", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ"], "an npm token")]
#[case(&["pypi-", "AgEIcHlwaS5vcmc", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"], "a PyPI token")]
#[case(&["-----BEGIN RSA ", "PRIVATE KEY-----\n", "MIIEabcdefghijklmnopqrstuvwxyzABCDEFGHIJ"], "a private key")]
#[case(&["-----BEGIN ", "PRIVATE KEY-----\\n", "MIIEabcdefghijklmnopqrstuvwxyzABCDEFGHIJ"], "a private key")]
#[case(&["ey", "JhbGciOiJIUzI1NiJ9", ".ey", "JzdWIiOiIxMjM0In0", ".", "abcdefghijklmnop"], "a JSON web token")]
#[tokio::test]
async fn secrets_are_known_by_their_forms_and_told_to_nobody(#[case] parts: &[&str], #[case] kind: &str) {
    let secret = secret(parts);
    for text in [secret.clone(), format!("KEY='{secret}'\nand more"), json!({"key": secret}).to_string()] {
        let (answer, events) = asked(json!({}), Dialect::Chat, &said(&text)).await;
        let RequestAction::Block(message) = &answer.action else { panic!("{text} passed") };
        let reason = answer.reason.clone().unwrap();
        assert_eq!(reason, format!("{kind} in messages[1]"));
        assert!(message.contains(&reason));
        for told in [message, &reason, &events] {
            assert!(!told.contains(&secret), "{told}");
        }
    }
}

#[rstest]
#[case("sk-learn sk-ant-hill sk-proj- task-abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl")]
#[case("AKIAIOSFODNN7EXAMPLE aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")]
#[case("if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    raise ValueError")]
#[case("git commit 3f786850e387550fdab836ed7e6dc881de23001b, eyJhbGciOiJIUzI1NiJ9, npm_config_registry, ghp_")]
#[tokio::test]
async fn what_only_resembles_a_secret_passes(#[case] text: &str) {
    let (answer, events) = asked(json!({}), Dialect::Chat, &said(text)).await;
    assert!(matches!(answer.action, RequestAction::Pass), "{:?}", answer.reason);
    assert_eq!(events, "([], 0)");
}

#[rstest]
#[case(
    Dialect::Messages,
    r#"{"model":"m","max_tokens":1,"system":[{"type":"text","text":"@"}],"messages":[]}"#,
    "system[0]"
)]
#[case(Dialect::Messages, r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"@"}]}]}]}"#, "messages[0]")]
#[case(
    Dialect::Messages,
    r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"@","content":"hi"}]}"#,
    "messages[0]"
)]
#[case(
    Dialect::Chat,
    r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"k\":\"@\"}"}}]}]}"#,
    "messages[0]"
)]
#[case(Dialect::Responses, r#"{"model":"m","instructions":"@","input":"hi"}"#, "instructions")]
#[case(Dialect::Responses, r#"{"model":"m","input":"@"}"#, "input")]
#[case(Dialect::Responses, r#"{"model":"m","input":[{"type":"function_call_output","output":"@"}]}"#, "input[0]")]
#[case(Dialect::Responses, r#"{"model":"m","input":[],"safety_identifier":{"@":1}}"#, "another field")]
#[tokio::test]
async fn every_string_of_a_request_is_searched(#[case] dialect: Dialect, #[case] body: &str, #[case] place: &str) {
    // Its first letter is escaped, as a client may do.
    let body = body.replace('@', &secret(&["\\u0041K", "IA", "QYLPMN5HFIQR7XYA"]));
    let (answer, _) = asked(json!({}), dialect, &body).await;
    assert_eq!(answer.reason.unwrap(), format!("an AWS access key id in {place}"));
}

#[tokio::test]
async fn own_patterns_stand_in_place_of_the_built_in_ones() {
    let config = json!({"patterns": ["CORP-[0-9]{4}"]});
    let (answer, _) = asked(config.clone(), Dialect::Chat, &said("see CORP-1234")).await;
    assert_eq!(answer.reason.unwrap(), "pattern 1 in messages[1]");
    let (answer, _) = asked(config, Dialect::Chat, &said(&secret(&["AK", "IA", "QYLPMN5HFIQR7XYA"]))).await;
    assert!(matches!(answer.action, RequestAction::Pass));
}

#[test]
fn patterns_that_cannot_be_used_are_refused() {
    let refused = |pattern: &str| scripted::refused("leaked_api_key_detection", json!({"patterns": ["a", pattern]}));
    assert!(refused("(").starts_with("patterns[1]: not a regular expression"));
    assert!(refused("x*").starts_with("patterns[1]: finds every text"));
}
