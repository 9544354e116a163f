//! What is asked next where an upstream cannot answer, and that nothing is once an answer has begun.

use std::time::Duration;

use luthien_gateway::config::GatewayConfig;
use luthien_record::model::Status;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Script, Step, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::routing::{add, asks, rule, text};
use crate::support::{GATEWAY_KEY, KEY, Rig, id, path};

/// A rig whose model `m` is served by the default upstream, then by `second`, then by `third`.
async fn three(first: impl Into<Script>, second: &Upstream, third: &Upstream) -> Rig {
    Rig::with(first, Vec::new(), |config| chain(config, second, third)).await
}

fn chain(config: &mut GatewayConfig, second: &Upstream, third: &Upstream) {
    add(config, "second", &Dialect::ALL, second);
    add(config, "third", &Dialect::ALL, third);
    config.models = vec![rule("m", &[("anthropic", None), ("second", Some("m2")), ("third", Some("m3"))])];
}

async fn scripted(script: impl Into<Script>) -> Upstream {
    let upstream = Upstream::start().await.unwrap();
    upstream.default_script(script);
    upstream
}

fn overloaded(status: u16) -> Reply {
    Reply::whole(status, "application/json", format!("{{\"error\" :\"odd {status}\"}}")).header("retry-after", "9")
}

#[rstest]
#[case(overloaded(408), "408", true)]
#[case(overloaded(429), "429", false)]
#[case(overloaded(500), "500", true)]
#[case(overloaded(529), "529", true)]
#[case(Reply::drop_connection(Step::Reset), "broken", true)]
#[tokio::test]
async fn the_next_upstream_is_asked_and_both_attempts_are_told(
    #[case] first: Reply,
    #[case] why: &str,
    #[case] stream: bool,
) {
    let (second, third) = (scripted(Answer::text("from the second")).await, scripted(Answer::text("third")).await);
    let rig = three(Script::always(first), &second, &third).await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", stream)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("second")));
    assert_eq!(exchange.header("x-luthien-fallback"), Some(format!("anthropic ({why})").as_str()));
    assert_eq!(exchange.header("retry-after"), None);
    let id = id(&exchange);
    let body = text(exchange).await;
    assert!(body.contains("second") && !body.contains("odd"), "{body}");
    assert_eq!((rig.upstream.requests().len(), second.requests().len(), third.requests().len()), (1, 1, 0));
    // Each gets its own credential and its own name for the model.
    let (first, then) = (rig.upstream.requests().remove(0), second.requests().remove(0));
    assert_eq!((first.header("x-api-key"), then.header("x-api-key")), (Some(KEY.1), Some("sk-of-second")));
    assert_eq!((&first.json()["model"], &then.json()["model"]), (&json!("m"), &json!("m2")));
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.upstream_status), (Status::Completed, Some(200)));
    let event = record.events.iter().find(|event| event.event_type == "transaction.fallback").unwrap();
    assert_eq!(event.data, json!({"from": "anthropic", "to": "second", "why": why}));
    assert_eq!((&record.client_response()[..], &record.upstream_response[..]), (body.as_bytes(), body.as_bytes()));
    rig.stop().await;
}

/// Each attempt gets of the history what its own model takes.
#[tokio::test]
async fn openais_models_get_no_reasoning_of_others_and_the_others_keep_theirs() {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(overloaded(503)).await);
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "second", &[Dialect::Chat], &second);
        add(config, "third", &[Dialect::Chat], &third);
        config.models = vec![rule("m", &[("third", None), ("second", Some("gpt-5"))])];
    })
    .await;
    let said = json!({"role": "assistant", "content": "b", "reasoning_content": "so", "reasoning": "so"});
    let messages = json!([{"role": "user", "content": "a"}, said, {"role": "user", "content": "c"}]);
    let asked = json!({"model": "m", "messages": messages});
    let exchange = rig.ask("/v1/chat/completions", &asked).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("second")));
    let dropped = exchange.header("x-luthien-dropped").map(str::to_owned);
    assert_eq!(dropped.as_deref(), Some("messages[1] (reasoning of another vendor)"));
    assert_eq!(third.requests().remove(0).json(), asked);
    assert_eq!(second.requests().remove(0).json()["messages"][1], json!({"role": "assistant", "content": "b"}));
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_or_silent_is_passed_over() {
    let (second, third) = (scripted(Reply::hang()).await, scripted(Answer::text("from the third")).await);
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        chain(config, &second, &third);
        config.upstreams[0].base_url = "http://127.0.0.1:1".to_owned();
        config.upstreams[2].timeouts.first_byte = Some(Duration::from_millis(20));
    })
    .await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
    assert_eq!(exchange.header("x-luthien-fallback"), Some("anthropic (unreachable), second (timeout)"));
    assert!(text(exchange).await.contains("third"));
    rig.stop().await;
}

#[rstest]
#[case(400)]
#[case(401)]
#[case(404)]
#[case(413)]
#[tokio::test]
async fn an_answer_that_another_upstream_would_give_too_is_the_answer(#[case] status: u16) {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(Answer::text("x")).await);
    let rig = three(Script::always(overloaded(status)), &second, &third).await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-fallback")), (status, None));
    assert_eq!(text(exchange).await, format!("{{\"error\" :\"odd {status}\"}}"));
    assert!(second.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn where_all_fail_the_last_answer_comes_as_it_is() {
    let (second, third) = (scripted(overloaded(500)).await, scripted(overloaded(529)).await);
    let rig = three(Script::always(overloaded(503)), &second, &third).await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("retry-after")), (529, Some("9")));
    assert_eq!(exchange.header("x-luthien-upstream"), Some("third"));
    assert_eq!(exchange.header("x-luthien-fallback"), Some("anthropic (503), second (500)"));
    let id = id(&exchange);
    assert_eq!(text(exchange).await, "{\"error\" :\"odd 529\"}");
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.upstream_status), (Status::UpstreamError, Some(529)));
    rig.stop().await;
}

#[tokio::test]
async fn the_gateways_own_error_names_the_upstream_that_was_asked_last() {
    let second = scripted(Answer::text("x")).await;
    let rig = Rig::with(Script::always(overloaded(503)), Vec::new(), |config| {
        chain(config, &second, &second);
        config.models[0].targets.truncate(2);
        config.upstreams[2].base_url = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (502, Some("second")));
    assert!(text(exchange).await.contains("cannot reach the upstream `second`"));
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages, Step::Close)]
#[case(Dialect::Chat, Step::Reset)]
#[case(Dialect::Responses, Step::Close)]
#[tokio::test]
async fn once_an_answer_has_begun_nobody_else_is_asked(#[case] dialect: Dialect, #[case] end: Step) {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(Answer::text("x")).await);
    let answer = Answer::text("some words").delta_size(3).break_off(end);
    let rig = Rig::with(Script::always(answer), Vec::new(), |config| {
        chain(config, &second, &third);
        config.upstreams[1].dialects = vec![Dialect::Chat, Dialect::Responses];
        let default = if dialect == Dialect::Messages { "anthropic" } else { "openai" };
        config.models = vec![rule("m", &[(default, None), ("second", None)])];
    })
    .await;
    let exchange = rig.ask(path(dialect), &asks(dialect, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-fallback")), (200, None));
    let id = id(&exchange);
    let body = text(exchange).await;
    assert!(body.contains("error") || body.contains("response.failed"), "{body}");
    assert_eq!(rig.record(&id).await.status, Status::UpstreamBroken);
    assert!(second.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn without_fallbacks_there_is_one_request_and_its_answer() {
    let rig = Rig::with(Script::always(overloaded(529)), Vec::new(), |config| {
        config.models = vec![rule("m", &[("anthropic", None)])];
    })
    .await;
    for model in ["m", "another"] {
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, model, true)).await;
        assert_eq!((exchange.status, exchange.header("x-luthien-fallback")), (529, None));
    }
    assert_eq!(rig.upstream.requests().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_fallback_that_cannot_be_asked_is_passed_over_and_the_record_says_why() {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(Answer::text("from the third")).await);
    let rig = Rig::with(Script::always(overloaded(529)), Vec::new(), |config| {
        chain(config, &second, &third);
        config.upstreams[2].key = None;
    })
    .await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("third")));
    let id = id(&exchange);
    exchange.rest().await.unwrap();
    let record = rig.record(&id).await;
    let skipped = record.events.iter().find(|event| event.event_type == "transaction.fallback_skipped").unwrap();
    assert_eq!(skipped.data["upstream"], "second");
    assert!(second.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn where_the_first_cannot_be_asked_its_fallback_is_and_where_none_can_the_first_says_why() {
    for both in [false, true] {
        let (second, third) = (scripted(Answer::text("from the second")).await, scripted(Answer::text("x")).await);
        let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
            chain(config, &second, &third);
            config.models = vec![rule("m", &[("third", None), ("second", None)])];
            config.upstreams[3].key = None;
            if both {
                config.upstreams[2].key = None;
            }
        })
        .await;
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
        assert_eq!(exchange.status, if both { 403 } else { 200 });
        let expected = if both { "`upstreams.third.api_key`" } else { "from the second" };
        let body = text(exchange).await;
        assert!(body.contains(expected), "{body}");
        assert!(third.requests().is_empty());
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_goes_on_from_one_vendors_store_has_no_other_vendor_as_a_fallback() {
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("background", json!(true)),
        ("background", json!(false)),
    ] {
        let second = scripted(Answer::text("x")).await;
        let rig = Rig::with(Script::always(overloaded(529)), Vec::new(), |config| {
            chain(config, &second, &second);
            config.upstreams[2].dialects = Dialect::ALL.to_vec();
            config.models = vec![rule("m", &[("openai", None), ("second", None)])];
        })
        .await;
        let mut body = asks(Dialect::Responses, "m", false);
        body[name] = value.clone();
        let exchange = rig.ask("/v1/responses", &body).await;
        let free = value == json!(false);
        assert_eq!((exchange.status, second.requests().len()), if free { (200, 1) } else { (529, 0) }, "{body}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn where_no_fallback_can_be_asked_the_first_answer_is_the_answer() {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(Answer::text("x")).await);
    let rig = Rig::with(Script::always(overloaded(529)), Vec::new(), |config| {
        chain(config, &second, &third);
        config.client_key = Some(GATEWAY_KEY.into());
    })
    .await;
    let headers = [KEY, ("cookie", "canary=1"), ("x-portkey-api-key", "canary-2")];
    let body = asks(Dialect::Messages, "m", false).to_string();
    let exchange = post(&rig.url("/v1/messages"), &headers, body).await.unwrap();
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (529, Some("anthropic")));
    assert_eq!(text(exchange).await, "{\"error\" :\"odd 529\"}");
    assert!(second.requests().is_empty() && third.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn no_canary_reaches_a_fallback() {
    let (second, third) = (scripted(Answer::text("x")).await, scripted(Answer::text("x")).await);
    let rig = three(Script::always(overloaded(529)), &second, &third).await;
    let headers = [
        ("authorization", "Bearer canary-one"),
        ("cookie", "s=canary-two"),
        ("x-anthropic-api-key", "canary-three"),
        ("x-copy", "canary-three"),
    ];
    let url = rig.url("/v1/messages?api_key=canary-four");
    let exchange = post(&url, &headers, asks(Dialect::Messages, "m", true).to_string()).await.unwrap();
    let id = id(&exchange);
    let headers = format!("{:?}", exchange.headers);
    let body = text(exchange).await;
    let answer = format!("{headers} {body} {:?}", rig.record(&id).await);
    assert!(!answer.contains("canary"), "{answer}");
    let sent: Vec<Value> = second.requests().iter().map(|request| json!(format!("{request:?}"))).collect();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].as_str().unwrap().contains("canary"), "{sent:?}");
    rig.stop().await;
}
