//! What a policy server is asked, and what becomes of its answers.

use std::sync::Arc;

use luthien_wire::request::Request;
use luthien_wire::turn::Block;
use rstest::rstest;
use serde_json::{Value, json};

use crate::catalogue::{LoadEnv, PolicySpec, Servers, load};
use crate::contract::{Action, Policy, PolicyEvent, RequestAction, ReviewContext};
use crate::remote::testing::{Everywhere, Move, Played, away};
use crate::scripted::{call, context, refused};

const BODY: &str = r#"{"max_tokens":16,"messages":[{"content":"tidy up <b>my</b> folder","role":"user"}],"model":"m"}"#;

fn policy(server: &Arc<Played>, more: &Value) -> Arc<dyn Policy> {
    let mut config = json!({"url": "http://p", "retries": 0, "watches": {"tool_calls": true}, "config": {"a": 1}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let servers = Servers::new(Arc::new(Everywhere(Arc::clone(server))));
    let env = LoadEnv { servers, ..LoadEnv::default() };
    Arc::clone(load(&PolicySpec::new("webhook", config), &env).unwrap().tree.policies()[0])
}

fn events(context: &ReviewContext) -> Vec<PolicyEvent> {
    context.events.take().0
}

#[tokio::test]
async fn a_call_is_asked_about_with_what_stood_before() {
    let server = Played::new([Move::Says(json!({"action": "block", "message": "no"}))]);
    let context = context();
    let review = policy(&server, &json!({})).review(&context);
    let earlier = [Arc::new(Block::Text("so".into())), Arc::new(Block::Opaque { kind: "x".into(), raw: "{}".into() })];
    let answer = review.tool_call(&call("Bash", json!({"command": "ls"})), &earlier).await.unwrap();
    assert_eq!(answer.action, Action::Block("no".to_owned()));
    let asked = json!({
        "protocol": 1, "transaction_id": "t-1", "session_id": null, "user_id": null, "caller": null, "dialect": "messages", "model": "m",
        "config": {"a": 1}, "request": null, "hook": "tool_call",
        "tool_call": {"id": "toolu_1", "name": "Bash", "form": "client", "arguments": {"command": "ls"}},
        "earlier": [{"type": "text", "text": "so"}, {"type": "opaque", "kind": "x", "raw": "{}"}],
    });
    assert_eq!(server.sent(), [("/v1/review", asked)]);
    let [event] = &events(&context)[..] else { panic!() };
    assert_eq!(event.event_type, "policy.webhook.answered");
    assert_eq!(
        (&event.data["tool_name"], &event.data["action"], &event.data["tries"]),
        (&json!("Bash"), &json!("block"), &json!(1))
    );
}

#[rstest]
#[case(false, Value::Null)]
#[case(true, serde_json::from_str(BODY).unwrap())]
#[tokio::test]
async fn texts_and_turns_carry_the_request_where_it_is_wanted(#[case] wanted: bool, #[case] request: Value) {
    let server = Played::new([Move::Says(json!({"action": "pass"})), Move::Says(json!({"action": "pass"}))]);
    let review = policy(&server, &json!({"send_request": wanted})).review(&context());
    assert_eq!(review.text("hello", &[]).await.unwrap().action, Action::Pass);
    assert_eq!(review.turn(&[Block::Thinking("hm".into())]).await.unwrap().action, Action::Pass);
    let sent: Vec<Value> = server.sent().into_iter().map(|(_, body)| body).collect();
    assert_eq!(
        (&sent[0]["hook"], &sent[0]["text"], &sent[0]["earlier"]),
        (&json!("text"), &json!("hello"), &json!([]))
    );
    assert_eq!((&sent[1]["hook"], &sent[1]["blocks"]), (&json!("turn"), &json!([{"type": "thinking", "text": "hm"}])));
    assert_eq!((&sent[0]["request"], &sent[1]["request"]), (&request, &request));
}

#[tokio::test]
async fn a_request_is_asked_about_as_it_would_be_sent() {
    let server = Played::new([Move::Says(json!({"action": "block", "message": "no"}))]);
    let context = context();
    let review = policy(&server, &json!({})).review(&context);
    let request: Request = context.request.with_model("other");
    let answer = review.request(&request).await.unwrap();
    assert!(matches!(answer.action, RequestAction::Block(message) if message == "no"));
    assert_eq!(server.sent()[0].1["request"]["model"], "other");
}

#[rstest]
#[case(away(), "unreachable")]
#[case(Move::Status(500, r#"{"error": "secret in line 3"}"#), "status")]
#[case(Move::Says(json!({"action": "blok"})), "unreadable")]
#[tokio::test]
async fn no_answer_is_an_error_and_on_the_record(#[case] move_: Move, #[case] kind: &str) {
    let context = context();
    let review = policy(&Played::new([move_]), &json!({})).review(&context);
    review.tool_call(&call("Bash", json!({})), &[]).await.unwrap_err();
    let [event] = &events(&context)[..] else { panic!() };
    assert_eq!((event.event_type.as_str(), &event.data["kind"]), ("policy.webhook.failed", &json!(kind)));
}

#[rstest]
#[case(json!({}), "url: missing field `url`")]
#[case(json!({"url": "ftp://p"}), "url: must be http://… or https://…")]
#[case(json!({"url": "unix:p.sock"}), "url: must be http://… or https://…")]
#[case(json!({"url": "http://p", "timeout": 0}), "timeout: must be from 0.01 to 600, is 0")]
#[case(json!({"url": "http://p", "retries": 11}), "retries: must be from 0 to 10, is 11")]
#[case(json!({"url": "http://p", "max_concurrency": 0}), "max_concurrency: must be from 1 to 10000, is 0")]
#[case(json!({"url": "http://p", "breaker": {"failures": 0}}), "breaker.failures: must be from 1 to 10000, is 0")]
#[case(json!({"url": "http://p", "watches": {"tools": true}}), "watches.tools: unknown field `tools`")]
#[case(json!({"url": "http://p", "secret": "s3cret"}), "secret: invalid type")]
#[case(json!({"url": "http://p", "config": []}), "config: invalid type")]
fn a_wrong_configuration_is_refused_by_path(#[case] config: Value, #[case] why: &str) {
    let message = refused("webhook", config);
    assert!(message.starts_with(why), "{message}");
}
