//! The panic switch: what is asked anew is stopped, and what is under way ends.

use std::sync::Arc;

use luthien_gateway::panic_switch::{PanicMode, PanicOrder};
use luthien_gateway::policy_state::{NewAssignment, PolicyOptions};
use luthien_gateway::scopes::{How, Scope};
use luthien_policy::catalogue::PolicySpec;
use luthien_policy::judge::JudgeRoute;
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::client::{get, post};
use luthien_testkit::{Answer, Asked, Gate, Play, Reply, Script};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::policies::Judged;
use crate::support::{KEY, Rig, id, key_id, options, path, turn, turn_in};

fn order(mode: PanicMode) -> PanicOrder {
    PanicOrder {
        mode,
        reason: Some("for the operators alone".to_owned()),
        message: Some("Ask Ada.".to_owned()),
        by: "a person".to_owned(),
    }
}

async fn text(exchange: luthien_testkit::client::Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

/// The answer put together, with what it says beside.
async fn message(exchange: luthien_testkit::client::Exchange, dialect: Dialect, stream: bool) -> String {
    let bytes = exchange.rest().await.unwrap();
    if stream { accumulate(dialect, &bytes).unwrap().to_string() } else { String::from_utf8(bytes.to_vec()).unwrap() }
}

#[rstest]
#[case(Dialect::Messages, true)]
#[case(Dialect::Messages, false)]
#[case(Dialect::Chat, true)]
#[case(Dialect::Chat, false)]
#[case(Dialect::Responses, true)]
#[case(Dialect::Responses, false)]
#[tokio::test]
async fn every_call_of_every_answer_is_blocked_whatever_else_holds(#[case] dialect: Dialect, #[case] stream: bool) {
    let answer = Answer::new().say("Let me see.").call("Bash", &json!({"command": "secret"}));
    let start = PolicyOptions { choices: vec!["no_op".to_owned()], ..options() };
    let (rig, state) = Rig::governed(answer, start, |_| {}).await;
    for scope in [Scope::Key(key_id()), Scope::Header("no_op".to_owned())] {
        let spec = PolicySpec::new("no_op", json!({}));
        let new = NewAssignment { scope, spec, how: How::Replace, expires_at: None, by: "a".to_owned() };
        state.assign(new).await.unwrap();
    }
    state.halt(order(PanicMode::ToolCalls)).await.unwrap();
    let headers = [KEY, ("x-luthien-use-policy", "no_op")];
    let exchange = post(&rig.url(path(dialect)), &headers, turn_in(dialect, stream).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    assert!(exchange.header("x-luthien-policy").unwrap().starts_with("operator_stop+no_op; version=0; scope=header"));
    let id = id(&exchange);
    let text = message(exchange, dialect, stream).await;
    assert!(!text.contains("secret") && !text.contains("operators alone"), "{text}");
    assert!(text.contains("Let me see.") && text.contains("has stopped all tool calls") && text.contains("Ask Ada."));
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::Intervened));
    assert_eq!((&*record.decisions[0].policy, &*record.decisions[0].action), ("operator_stop", "block"));
    state.halt(PanicOrder::default()).await.unwrap();
    let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert!(message(exchange, dialect, stream).await.contains("secret"));
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn all_traffic_is_refused_in_the_caller_s_dialect(#[case] dialect: Dialect) {
    let (rig, state) = Rig::governed(Answer::text("hello"), options(), |_| {}).await;
    state.halt(order(PanicMode::Traffic)).await.unwrap();
    let exchange = rig.ask(path(dialect), &turn_in(dialect, true)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (503, Some("false")));
    let id = id(&exchange);
    let body: serde_json::Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    let message = "the operator of this gateway has stopped all model traffic: Ask Ada.";
    assert_eq!(body["error"]["message"], message);
    assert_eq!(body["error"]["type"], "operator_stop");
    assert_eq!(get(&rig.url("/v1/models"), &[KEY]).await.unwrap().status, 503);
    assert!(rig.upstream.requests().is_empty());
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.error.as_deref()), (Status::Refused, Some(message)));
    rig.stop().await;
}

#[rstest]
#[case(PanicMode::ToolCalls, Dialect::Messages, false)]
#[case(PanicMode::Traffic, Dialect::Messages, false)]
#[case(PanicMode::ToolCalls, Dialect::Chat, false)]
#[case(PanicMode::Traffic, Dialect::Responses, false)]
#[case(PanicMode::ToolCalls, Dialect::Messages, true)]
#[case(PanicMode::Traffic, Dialect::Chat, true)]
#[case(PanicMode::ToolCalls, Dialect::Responses, true)]
#[tokio::test]
async fn what_is_under_way_ends_with_an_error(
    #[case] mode: PanicMode,
    #[case] dialect: Dialect,
    #[case] watched: bool,
) {
    let gate = Gate::new();
    let script = Script::in_turn([
        Play::from(Answer::new().say("first").hold(&gate).say("last").call("Bash", &json!({}))),
        Play::from(Reply::hang()),
    ]);
    let (rig, state) = Rig::governed(script, options(), |_| {}).await;
    let class = if watched { "dogfood_safety" } else { "no_op" };
    state.set(PolicySpec::new(class, json!({})), "a").await.unwrap();
    let mut streaming = rig.ask(path(dialect), &turn_in(dialect, true)).await;
    let id = id(&streaming);
    gate.reached().await;
    let mut begun = Vec::new();
    while !begun.windows(5).any(|window| window == b"first") {
        begun.extend_from_slice(&streaming.chunk().await.unwrap().unwrap());
    }
    let url = rig.url(path(dialect));
    let waiting = async { post(&url, &[KEY], turn_in(dialect, false).to_string()).await.unwrap() };
    let stopping = async {
        rig.upstream.wait_for(2).await;
        state.halt(order(mode)).await.unwrap();
    };
    let ((), waited, rest) = tokio::join!(stopping, waiting, streaming.rest());
    assert_eq!(waited.status, 503);
    let waited_id = self::id(&waited);
    assert!(text(waited).await.contains("has stopped all"));
    let rest = String::from_utf8(rest.unwrap().to_vec()).unwrap();
    assert!(rest.contains("operator_stop") && rest.contains("has stopped all") && !rest.contains("last"), "{rest}");
    for id in [id, waited_id] {
        let record = rig.record(&id).await;
        assert_eq!(record.status, Status::Interrupted);
        assert!(record.error.unwrap().contains("has stopped all"));
    }
    gate.open();
    rig.stop().await;
}

#[tokio::test]
async fn a_call_whose_verdict_comes_after_the_stop_does_not_go_out() {
    let gate = Gate::new();
    let judge = gate.clone();
    let script = Script::new(move |asked: &Asked| {
        if asked.model() == "judge" {
            Play::from(Answer::text("good").reply(asked).wait_before(&judge))
        } else {
            Play::from(Answer::tool("Bash", &json!({"command": "secret"})))
        }
    });
    let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    gate.reached().await;
    // The whole answer is there, and only the verdict is out.
    rig.upstream.ended(0).await;
    rig.live.halt(&order(PanicMode::ToolCalls), jiff::Timestamp::UNIX_EPOCH);
    gate.open();
    let text = text(exchange).await;
    assert!(text.contains("operator_stop") && !text.contains("secret"), "{text}");
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.evaluation), (Status::Interrupted, Evaluation::NotEvaluated));
    rig.stop().await;
}

#[tokio::test]
async fn while_calls_are_stopped_no_path_leads_around() {
    let script = Script::always(Reply::json(200, &json!({"data": []})));
    let (rig, state) = Rig::governed(script, options(), |config| {
        config.allowed_paths.push("/v1/messages/batches".to_owned());
    })
    .await;
    let batches = rig.url("/v1/messages/batches");
    post(&batches, &[KEY], "{}").await.unwrap();
    state.halt(order(PanicMode::ToolCalls)).await.unwrap();
    assert_eq!(post(&batches, &[KEY], "{}").await.unwrap().status, 503);
    post(&rig.url("/v1/embeddings"), &[KEY], "{}").await.unwrap();
    get(&rig.url("/v1/models"), &[KEY]).await.unwrap();
    let asked: Vec<String> = rig.upstream.requests().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked, ["/v1/messages/batches", "/v1/embeddings", "/v1/models"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_policy_server_s_own_question_is_stopped_like_any_other() {
    let call = Answer::tool("Bash", &json!({"command": "secret"}));
    let (rig, state) = Rig::governed(call, options(), |config| config.judge.token = Some("the-token".into())).await;
    let ask = async || {
        let headers = [KEY, ("x-luthien-unreviewed", "the-token")];
        post(&rig.url("/v1/messages"), &headers, turn(false).to_string()).await.unwrap()
    };
    state.set(PolicySpec::new("all_caps", json!({})), "a").await.unwrap();
    assert!(text(ask().await).await.contains("secret"));
    state.halt(order(PanicMode::ToolCalls)).await.unwrap();
    assert!(!text(ask().await).await.contains("secret"));
    state.halt(order(PanicMode::Traffic)).await.unwrap();
    assert_eq!(ask().await.status, 503);
    rig.stop().await;
}
