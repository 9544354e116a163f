//! What policies say of a request's way: which upstream, with which credential, under which model's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use luthien_policy::catalogue::{LoadEnv, PolicySpec, Variables, load};
use luthien_policy::contract::Policy;
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::routing::{add, asks, rule};
use crate::support::{GATEWAY_KEY, KEY, Rig, id, path};

const POLICYS_KEY: &str = "sk-of-a-policy";

/// The policies of these classes and configurations.
fn policies(specs: &[(&str, Value)]) -> Vec<Arc<dyn Policy>> {
    let env = LoadEnv {
        variables: Variables::Given(BTreeMap::from([("MY_KEY".to_owned(), POLICYS_KEY.to_owned())])),
        ..LoadEnv::default()
    };
    let load = |(class, config): &(&str, Value)| load(&PolicySpec::new(*class, config.clone()), &env).unwrap().tree;
    let trees: Vec<_> = specs.iter().map(load).collect();
    trees.iter().flat_map(|tree| tree.policies().into_iter().cloned()).collect()
}

/// What a request to an upstream proves itself with.
fn key(upstream: &Upstream) -> Option<String> {
    let sent = upstream.requests().pop()?;
    let bearer = sent.header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned());
    sent.header("x-api-key").map(str::to_owned).or(bearer)
}

#[rstest]
#[tokio::test]
async fn a_policy_chooses_the_upstream_and_no_caller_does(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
) {
    let local = Upstream::start().await.unwrap();
    local.default_script(Answer::text("from the chosen one"));
    let chosen = policies(&[("set_backend", json!({"backend_url": "local"}))]);
    let rig = Rig::with(Answer::text("from the default"), chosen, |config| {
        add(config, "local", &Dialect::ALL, &local);
        config.models = vec![rule("m", &[("openai", None)]), rule("other", &[("local", Some("known-there"))])];
    })
    .await;
    for (model, sent_as) in [("m", "m"), ("other", "known-there")] {
        let exchange = rig.ask(path(dialect), &asks(dialect, model, false)).await;
        assert_eq!((exchange.status, exchange.header("x-luthien-upstream")), (200, Some("local")));
        assert_eq!(key(&local).as_deref(), Some("sk-of-local"));
        let sent: Value = serde_json::from_slice(&local.requests().pop().unwrap().body).unwrap();
        assert_eq!(sent["model"], sent_as);
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_an_error_and_nobody_else_is_asked() {
    let chosen = policies(&[("set_backend", json!({"backend_url": "gone"}))]);
    let rig = Rig::with(Answer::text("hi"), chosen, |_| {}).await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "m", false)).await;
    assert_eq!(exchange.status, 403);
    assert!(String::from_utf8_lossy(&exchange.rest().await.unwrap()).contains("`gone`"));
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[rstest]
#[case::the_default(None, "m", Some(POLICYS_KEY), None)]
#[case::not_where_a_rule_leads(None, "local/m", None, Some("sk-of-local"))]
#[case::the_one_that_is_named(Some("local"), "local/m", None, Some(POLICYS_KEY))]
#[case::not_the_default_where_one_is_named(Some("local"), "m", Some("sk-callers-own"), None)]
#[tokio::test]
async fn a_policys_credential_goes_to_the_upstream_that_it_is_for(
    #[case] upstream: Option<&str>,
    #[case] model: &str,
    #[case] at_default: Option<&str>,
    #[case] at_local: Option<&str>,
    #[values(Dialect::Messages, Dialect::Chat)] dialect: Dialect,
) {
    let local = Upstream::start().await.unwrap();
    local.default_script(Answer::text("hi"));
    let keyed = policies(&[("add_api_key_header", json!({"api_key_env_var_name": "MY_KEY", "upstream": upstream}))]);
    let rig = Rig::with(Answer::text("hi"), keyed, |config| {
        add(config, "local", &Dialect::ALL, &local);
        config.models = vec![rule("local/*", &[("local", None)])];
    })
    .await;
    let exchange = rig.ask(path(dialect), &asks(dialect, model, false)).await;
    assert_eq!(exchange.status, 200);
    assert_eq!((key(&rig.upstream).as_deref(), key(&local).as_deref()), (at_default, at_local));
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn with_a_policys_credential_goes_nothing_of_the_callers() {
    let keyed = policies(&[("add_api_key_header", json!({"api_key_env_var_name": "MY_KEY"}))]);
    let rig = Rig::with(Answer::text("hi"), keyed, |_| {}).await;
    let headers =
        [KEY, ("cookie", "sid=canary"), ("x-anthropic-api-key", "sk-canary"), ("chatgpt-account-id", "canary")];
    let body = asks(Dialect::Messages, "m", false).to_string();
    post(&rig.url("/v1/messages?token=canary"), &headers, body).await.unwrap();
    let sent = rig.upstream.requests().remove(0);
    let all = format!("{sent:?}");
    assert!(all.contains(POLICYS_KEY) && !all.contains("canary") && !all.contains("sk-callers-own"), "{all}");
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn an_answer_names_the_model_that_the_client_asked_for(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
    #[values(&Dialect::ALL[..], &[Dialect::Chat][..], &[Dialect::Messages][..])] spoken: &'static [Dialect],
    #[values(false, true)] watched: bool,
) {
    let mut specs = vec![("model_name_replacement", json!({"model_mapping": {"ours": "theirs"}}))];
    if watched {
        specs.push(("all_caps", json!({})));
    }
    let answer = Answer::new().say("hello there").call("Bash", &json!({"command": "ls"}));
    let rig = Rig::with(answer, policies(&specs), |config| {
        config.upstreams.truncate(1);
        config.upstreams[0].dialects = spoken.to_vec();
        config.upstreams[0].key = Some("sk-of-one".into());
    })
    .await;
    let exchange = rig.ask(path(dialect), &asks(dialect, "ours", stream)).await;
    assert_eq!(exchange.status, 200);
    let id = id(&exchange);
    let bytes = exchange.rest().await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.contains("theirs"), "{text}");
    let whole = if stream { accumulate(dialect, &bytes).unwrap() } else { serde_json::from_slice(&bytes).unwrap() };
    assert_eq!(whole["model"], "ours");
    let said = if watched { "HELLO THERE" } else { "hello there" };
    assert!(text.contains("Bash") && whole.to_string().contains(said), "{text}");
    let sent: Value = serde_json::from_slice(&rig.upstream.requests().remove(0).body).unwrap();
    assert_eq!(sent["model"], "theirs");
    let record = rig.record(&id).await;
    assert_eq!(record.model, "ours");
    rig.stop().await;
}

#[tokio::test]
async fn names_that_are_not_mapped_leave_every_byte() {
    let named = policies(&[("model_name_replacement", json!({"model_mapping": {"ours": "theirs"}}))]);
    let rig = Rig::with(Answer::text("hello"), named, |_| {}).await;
    let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "another", true)).await;
    let id = id(&exchange);
    let got = exchange.rest().await.unwrap();
    assert_eq!(got, rig.record(&id).await.upstream_response);
    rig.stop().await;
}

#[rstest]
#[case(KEY, 401)]
#[case(("x-api-key", GATEWAY_KEY), 200)]
#[case(("authorization", "Bearer lk-shared-gateway-key"), 200)]
#[tokio::test]
async fn a_policy_may_ask_for_the_gateways_key(#[case] key: (&str, &str), #[case] status: u16) {
    let rig = Rig::with(Answer::text("hi"), policies(&[("ClientApiKeyAuth", json!({}))]), |config| {
        config.client_key = Some(GATEWAY_KEY.into());
        config.upstreams[0].key = Some("sk-server".into());
    })
    .await;
    let body = asks(Dialect::Messages, "m", false).to_string();
    let exchange = post(&rig.url("/v1/messages"), &[key], body).await.unwrap();
    assert_eq!(exchange.status, status);
    assert_eq!(rig.upstream.requests().len(), usize::from(status == 200));
    rig.stop().await;
}
