//! Which upstream a model goes to, under which name, and with which credential (W-62).

use std::sync::Arc;

use luthien_gateway::config::{GatewayConfig, ModelPattern, ModelRoute, RouteTarget, UpstreamConfig};
use luthien_policy::contract::Policy;
use luthien_policy::judge::JudgeRoute;
use luthien_record::model::Status;
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Answer, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::policies::Judged;
use crate::support::{GATEWAY_KEY, KEY, Rig, id, path};

/// A configuration with one more upstream.
pub(crate) fn add(config: &mut GatewayConfig, name: &str, dialects: &[Dialect], at: &Upstream) {
    let first = config.upstreams[0].clone();
    config.upstreams.push(UpstreamConfig {
        name: name.to_owned(),
        dialects: dialects.to_vec(),
        base_url: at.base_url(),
        key: Some(format!("sk-of-{name}").into()),
        ..first
    });
}

/// A rule for models: a pattern, and upstreams each with another name for the model.
pub(crate) fn rule(pattern: &str, targets: &[(&str, Option<&str>)]) -> ModelRoute {
    let target = |(name, rename): &(&str, Option<&str>)| RouteTarget {
        upstream: (*name).to_owned(),
        rename: rename.map(str::to_owned),
    };
    ModelRoute { pattern: ModelPattern::parse(pattern).unwrap(), targets: targets.iter().map(target).collect() }
}

/// A turn of this model in a form that every dialect takes for its own.
pub(crate) fn asks(dialect: Dialect, model: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "hi"}]);
    match dialect {
        Dialect::Messages => json!({"model": model, "max_tokens": 10, "stream": stream, "messages": messages}),
        Dialect::Chat => json!({"model": model, "stream": stream, "messages": messages}),
        Dialect::Responses => json!({"model": model, "stream": stream, "input": messages}),
    }
}

pub(crate) async fn text(exchange: Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

#[rstest]
#[case(Dialect::Messages, true)]
#[case(Dialect::Chat, false)]
#[case(Dialect::Responses, true)]
#[tokio::test]
async fn a_model_goes_where_its_rule_says_under_the_name_it_has_there(#[case] dialect: Dialect, #[case] stream: bool) {
    let local = Upstream::start().await.unwrap();
    local.default_script(Answer::text("from the other one"));
    let rig = Rig::with(Answer::text("from the default"), Vec::new(), |config| {
        add(config, "local", &Dialect::ALL, &local);
        config.models = vec![rule("local/*", &[("local", Some("org/*"))])];
    })
    .await;
    let exchange = rig.ask(path(dialect), &asks(dialect, "local/qwen", stream)).await;
    assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("local")));
    assert_eq!(exchange.header("x-luthien-fallback"), None);
    let id = id(&exchange);
    assert!(text(exchange).await.contains("other"));
    // Only the name is another: every byte beside it is the client's.
    let sent = local.requests().remove(0);
    let expected = asks(dialect, "local/qwen", stream).to_string().replace("local/qwen", "org/qwen");
    assert_eq!((sent.path.as_str(), &sent.body[..]), (path(dialect), expected.as_bytes()));
    let record = rig.record(&id).await;
    assert_eq!((record.status, record.model.as_str()), (Status::Completed, "local/qwen"));
    assert_eq!(&record.upstream_request.unwrap().body[..], expected.as_bytes());
    assert!(rig.upstream.requests().is_empty());

    let exchange = rig.ask(path(Dialect::Messages), &asks(Dialect::Messages, "another", false)).await;
    assert_eq!(exchange.header("x-luthien-upstream"), Some("anthropic"));
    assert_eq!((rig.upstream.requests().len(), local.requests().len()), (1, 1));
    rig.stop().await;
    local.stop().await;
}

/// What a caller may prove itself with, and where else it may stand.
const CANARIES: [(&str, &str); 8] = [
    ("x-api-key", "canary-one-1"),
    ("authorization", "Bearer canary-two-2"),
    ("x-anthropic-api-key", "canary-three"),
    ("cookie", "s=canary-four"),
    ("proxy-authorization", "Basic canary-five"),
    ("x-portkey-api-key", "canary-six"),
    ("x-copy", "canary-one-1"),
    ("openai-organization", "canary-seven"),
];

#[rstest]
#[case(false, Some("sk-of-local"))]
#[case(true, None)]
#[tokio::test]
async fn a_callers_credential_never_goes_where_a_rule_leads(#[case] keyless: bool, #[case] expected: Option<&str>) {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "local", &[Dialect::Messages], &local);
        let last = config.upstreams.last_mut().unwrap();
        last.keyless = keyless;
        last.key = last.key.take().filter(|_| !keyless);
        config.models = vec![rule("m", &[("local", None)])];
    })
    .await;
    let url = rig.url("/v1/messages?beta=true&key=canary-eight");
    let headers = [&CANARIES[..], &[("anthropic-beta", "one"), ("user-agent", "agent/1")]].concat();
    let exchange = post(&url, &headers, asks(Dialect::Messages, "m", true).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    exchange.rest().await.unwrap();
    let sent = local.requests().remove(0);
    let all = format!("{sent:?}");
    assert!(!all.contains("canary"), "{all}");
    assert_eq!((sent.header("x-api-key"), sent.header("authorization")), (expected, None));
    assert_eq!((sent.header("anthropic-beta"), sent.header("user-agent")), (Some("one"), Some("agent/1")));
    assert_eq!(sent.path, "/v1/messages?beta=true");
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn the_servers_own_key_is_for_those_who_bring_the_gateway_key() {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "local", &[Dialect::Messages], &local);
        config.client_key = Some(GATEWAY_KEY.into());
        config.models = vec![rule("m", &[("local", None)])];
    })
    .await;
    let body = asks(Dialect::Messages, "m", false).to_string();
    let exchange = post(&rig.url("/v1/messages"), &[KEY], body.clone()).await.unwrap();
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (403, Some("false")));
    let told = text(exchange).await;
    assert!(told.contains("permission_error") && told.contains("`local`") && !told.contains("sk-of"), "{told}");
    assert!(local.requests().is_empty());
    for headers in [vec![("x-api-key", GATEWAY_KEY)], vec![KEY, ("authorization", "Bearer lk-shared-gateway-key")]] {
        let exchange = post(&rig.url("/v1/messages"), &headers, body.clone()).await.unwrap();
        assert_eq!(exchange.status, 200);
        assert_eq!(local.requests().last().unwrap().header("x-api-key"), Some("sk-of-local"));
    }
    rig.stop().await;
    local.stop().await;
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn an_upstream_without_a_key_of_its_own_is_an_error_that_names_the_setting(#[case] dialect: Dialect) {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "local", &Dialect::ALL, &local);
        config.upstreams.last_mut().unwrap().key = None;
        config.upstreams[1].dialects = vec![Dialect::Chat, Dialect::Responses];
        config.models = vec![rule("m", &[("local", None)])];
    })
    .await;
    let exchange = rig.ask(path(dialect), &asks(dialect, "m", true)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (403, Some("false")));
    let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "permission_error");
    assert!(body["error"]["message"].as_str().unwrap().contains("`upstreams.local.api_key`"), "{body}");
    assert!(local.requests().is_empty());
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn a_rule_for_the_callers_own_upstream_keeps_the_callers_credential() {
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        config.models = vec![rule("fast", &[("anthropic", Some("claude-haiku"))])];
    })
    .await;
    rig.ask("/v1/messages", &asks(Dialect::Messages, "fast", false)).await;
    let sent = rig.upstream.requests().remove(0);
    assert_eq!((sent.header("x-api-key"), &sent.json()["model"]), (Some(KEY.1), &json!("claude-haiku")));
    // The same rule, and the same server, for a caller of another dialect: its credential is for another vendor.
    let exchange = rig.ask("/v1/chat/completions", &asks(Dialect::Chat, "fast", false)).await;
    assert_eq!(exchange.status, 403);
    assert_eq!(rig.upstream.requests().len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn rules_hold_for_judges_too_and_no_callers_credential_goes_along() {
    for keyless in [false, true] {
        let local = Upstream::start().await.unwrap();
        local.default_script(Answer::text("bad"));
        let script = Answer::tool("Bash", &json!({"command": "secret-command"}));
        let judged: Arc<dyn Policy> = Arc::new(Judged(JudgeRoute::UserCredentials));
        let rig = Rig::with(script, vec![judged], |config| {
            add(config, "local", &[Dialect::Chat], &local);
            let last = config.upstreams.last_mut().unwrap();
            (last.keyless, last.key) = (keyless, last.key.take().filter(|_| !keyless));
            config.models = vec![rule("judge", &[("local", Some("qwen"))])];
        })
        .await;
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", true)).await;
        let told = text(exchange).await;
        assert!(told.contains("[Blocked by the judge.]") && !told.contains("secret-command"), "{told}");
        let asked = local.requests().remove(0);
        assert_eq!((asked.path.as_str(), &asked.json()["model"]), ("/v1/chat/completions", &json!("qwen")));
        let expected = (!keyless).then_some("Bearer sk-of-local");
        assert_eq!((asked.header("authorization"), asked.header("x-api-key")), (expected, None));
        rig.stop().await;
        local.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_names_no_model_goes_to_the_callers_own_upstream() {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        config.upstreams[1].dialects = vec![Dialect::Chat, Dialect::Responses];
        add(config, "local", &Dialect::ALL, &local);
        config.models = vec![rule("*", &[("local", Some("qwen"))])];
    })
    .await;
    let body = json!({"input": "hi", "prompt": {"id": "pmpt_1"}});
    assert_eq!(rig.ask("/v1/responses", &body).await.status, 200);
    assert_eq!(rig.upstream.requests()[0].body, body.to_string());
    assert!(local.requests().is_empty());
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn threads_of_a_vendor_are_refused_by_their_code_where_another_dialect_serves() {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "local", &[Dialect::Chat], &local);
        config.models = vec![rule("local", &[("local", None)])];
    })
    .await;
    let mut body = asks(Dialect::Messages, "local", false);
    body["thread"] = json!({"id": "t1"});
    let exchange = rig.ask("/v1/messages", &body).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (400, Some("false")));
    let told: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(told.pointer("/error/details/error_code"), Some(&json!("thread_unsupported_request")));
    assert_eq!((&told["type"], &told["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
    body["model"] = json!("claude");
    assert_eq!(rig.ask("/v1/messages", &body).await.status, 200);
    assert_eq!(rig.upstream.requests()[0].body, body.to_string());
    assert!(local.requests().is_empty());
    rig.stop().await;
    local.stop().await;
}

#[rstest]
#[case(Dialect::Messages)]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn what_nobody_serves_is_not_found(#[case] dialect: Dialect) {
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| config.upstreams.clear()).await;
    let exchange = rig.ask(path(dialect), &asks(dialect, "some-model", false)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (404, Some("false")));
    let told: Value = serde_json::from_str(&text(exchange).await).unwrap();
    assert_eq!(told["error"]["type"], "not_found_error");
    assert!(told["error"]["message"].as_str().unwrap().starts_with("no upstream here serves this request"), "{told}");
    rig.stop().await;
}
