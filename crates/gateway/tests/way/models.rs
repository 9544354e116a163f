//! The list of models, where rules have a part in it.

use std::time::Duration;

use luthien_gateway::config::GatewayConfig;
use luthien_testkit::client::{Exchange, get};
use luthien_testkit::{Answer, Upstream};
use luthien_wire::Dialect;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::routing::{add, rule};
use crate::support::{GATEWAY_KEY, KEY, Rig, SERVER_KEY, id};

const ANTHROPIC: (&str, &str) = ("anthropic-version", "2023-06-01");
const BEARER: (&str, &str) = ("authorization", "Bearer sk-callers-own");

async fn json(exchange: Exchange) -> Value {
    serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect()
}

/// A server of Chat beside the defaults, and rules for some of its names.
async fn routed(change: impl FnOnce(&mut GatewayConfig)) -> (Rig, Upstream) {
    let local = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        add(config, "local", &[Dialect::Chat], &local);
        config.upstreams[0].key = Some(SERVER_KEY.into());
        config.models = vec![
            rule("claude-fast", &[("local", Some("gpt-5-mini"))]),
            rule("local/*", &[("local", Some("*"))]),
            rule("claude-haiku-5-5", &[("anthropic", None)]),
        ];
        change(config);
    })
    .await;
    (rig, local)
}

#[tokio::test]
async fn the_callers_own_list_and_the_rules_names_come_in_the_callers_form() {
    let (rig, local) = routed(|_| {}).await;
    let exchange = get(&rig.url("/v1/models?limit=1000"), &[KEY, ANTHROPIC]).await.unwrap();
    let number = id(&exchange);
    let list = json(exchange).await;
    let expected = ["claude-opus-5-5", "claude-haiku-5-5", "claude-fast", "local/gpt-5", "local/gpt-5-mini"];
    assert_eq!(ids(&list), expected);
    assert_eq!((&list["has_more"], &list["last_id"]), (&json!(false), &json!("local/gpt-5-mini")));
    assert_eq!(list["data"][0]["display_name"], "Claude Opus 5.5");
    let converted = json!({"type": "model", "id": "claude-fast", "display_name": "claude-fast", "created_at": "2026-09-21T14:13:20Z"});
    assert_eq!(list["data"][2], converted);
    let (own, other) = (rig.upstream.requests().remove(0), local.requests().remove(0));
    assert_eq!((own.path.as_str(), own.header("x-api-key")), ("/v1/models?limit=1000", Some(KEY.1)));
    assert_eq!((other.path.as_str(), other.header("authorization")), ("/v1/models", Some("Bearer sk-of-local")));
    assert_eq!((other.header("x-api-key"), other.header("anthropic-version")), (None, None));
    let record = rig.record(&number).await;
    assert!(!record.turn && record.client_response().starts_with(b"{\"data\":"));

    let list = json(get(&rig.url("/v1/models"), &[BEARER]).await.unwrap()).await;
    assert_eq!(list["object"], "list");
    let expected = ["gpt-5", "gpt-5-mini", "claude-fast", "local/gpt-5", "local/gpt-5-mini", "claude-haiku-5-5"];
    assert_eq!(ids(&list), expected);
    assert_eq!(
        list["data"][5],
        json!({"id": "claude-haiku-5-5", "object": "model", "created": 0, "owned_by": "anthropic"})
    );
    rig.stop().await;
}

#[tokio::test]
async fn pages_are_cut_as_the_vendor_cuts_them() {
    let (rig, _local) = routed(|_| {}).await;
    let list =
        json(get(&rig.url("/v1/models?limit=2&after_id=claude-haiku-5-5"), &[KEY, ANTHROPIC]).await.unwrap()).await;
    assert_eq!((ids(&list), &list["has_more"]), (vec!["claude-fast", "local/gpt-5"], &json!(true)));
    rig.stop().await;
}

#[tokio::test]
async fn names_that_a_rule_takes_away_are_listed_as_what_they_become() {
    let (rig, local) = routed(|config| config.models = vec![rule("*", &[("local", None)])]).await;
    let list = json(get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap()).await;
    assert_eq!(ids(&list), ["gpt-5", "gpt-5-mini"]);
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn one_model_is_told_like_the_list_tells_it() {
    let (rig, local) = routed(|config| {
        config.models.push(rule("claude-any-*", &[("local", Some("gpt-5"))]));
    })
    .await;
    let asked = [
        ("claude-fast", 200),
        ("local/gpt-5", 200),
        ("local%2Fgpt-5", 200),
        ("claude-any-thing", 200),
        ("local/unknown", 404),
    ];
    for (name, status) in asked {
        let exchange = get(&rig.url(&format!("/v1/models/{name}")), &[KEY, ANTHROPIC]).await.unwrap();
        assert_eq!(exchange.status, status, "{name}");
        let told = json(exchange).await;
        let expected = if status == 200 { json!("model") } else { json!("error") };
        assert_eq!(told["type"], expected, "{told}");
    }
    // Without a rule it is the caller's own upstream that knows.
    let before = local.requests().len();
    let exchange = get(&rig.url("/v1/models/claude-opus-5-5"), &[KEY, ANTHROPIC]).await.unwrap();
    assert_eq!(exchange.status, 404);
    assert_eq!(rig.upstream.requests().last().unwrap().path, "/v1/models/claude-opus-5-5");
    assert_eq!(local.requests().len(), before);
    rig.stop().await;
}

#[tokio::test]
async fn without_rules_the_upstreams_answer_passes() {
    let rig = Rig::new(Answer::text("x")).await;
    let exchange = get(&rig.url("/v1/models?limit=3"), &[KEY, ANTHROPIC]).await.unwrap();
    let number = id(&exchange);
    let body = exchange.rest().await.unwrap();
    assert_eq!(rig.upstream.requests()[0].path, "/v1/models?limit=3");
    let record = rig.record(&number).await;
    assert_eq!((&record.upstream_response, record.own_response), (&body, None));
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_left_out() {
    let (rig, local) = routed(|config| config.upstreams[0].base_url = "http://127.0.0.1:1".to_owned()).await;
    let exchange = get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap();
    let number = id(&exchange);
    let list = json(exchange).await;
    assert_eq!(ids(&list), ["claude-fast", "local/gpt-5", "local/gpt-5-mini", "claude-haiku-5-5"]);
    let record = rig.record(&number).await;
    let event = record.events.iter().find(|event| event.event_type == "transaction.models_listed").unwrap();
    assert_eq!(
        (&event.data["upstreams"], &event.data["failed"][0]["upstream"]),
        (&json!(["local"]), &json!("anthropic"))
    );
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn a_key_that_its_own_upstream_refuses_is_told_so() {
    let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = refusing.local_addr().unwrap();
    let mut refusal = JoinSet::new();
    refusal.spawn(async move {
        let (mut client, _) = refusing.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = client.read(&mut head).await.unwrap();
        let answer =
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"bad\":1}";
        client.write_all(answer.as_bytes()).await.unwrap();
    });
    let (rig, local) = routed(|config| config.upstreams[0].base_url = format!("http://{address}")).await;
    let exchange = get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap();
    assert_eq!(exchange.status, 401);
    assert_eq!(exchange.rest().await.unwrap(), "{\"bad\":1}");
    refusal.join_next().await.unwrap().unwrap();
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn where_nothing_can_be_listed_the_callers_own_upstream_says_why() {
    let refusing = Upstream::start().await.unwrap();
    let (rig, local) = routed(|config| {
        config.models = vec![rule("local/*", &[("local", Some("*"))])];
        config.upstreams[0].base_url = format!("{}/s/none/v2", refusing.base_url());
        config.upstreams[2].base_url = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let exchange = get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap();
    assert_eq!(exchange.status, 404);
    let told = json(exchange).await;
    assert_eq!(told["error"]["message"], "no such path on the scripted upstream");
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn a_silent_upstream_holds_the_list_up_for_its_own_timeout_at_most() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (rig, local) = routed(|config| {
        config.upstreams[0].base_url = format!("http://{}", silent.local_addr().unwrap());
        config.upstreams[0].timeouts.first_byte = Some(Duration::from_millis(20));
    })
    .await;
    let list = json(get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap()).await;
    assert_eq!(ids(&list).len(), 4);
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn no_callers_key_and_no_servers_key_go_astray() {
    let (rig, local) = routed(|config| {
        config.client_key = Some(GATEWAY_KEY.into());
    })
    .await;
    // Who does not bring the gateway key is not listed what it could not ask for with the gateway's own.
    let headers = [("x-api-key", "canary-key-1"), ("cookie", "c=canary-2"), ("x-copy", "canary-key-1"), ANTHROPIC];
    let list = json(get(&rig.url("/v1/models?key=canary-3"), &headers).await.unwrap()).await;
    assert_eq!(ids(&list), ["claude-opus-5-5", "claude-haiku-5-5"]);
    assert!(local.requests().is_empty());
    let list = json(get(&rig.url("/v1/models"), &[("x-api-key", GATEWAY_KEY), ANTHROPIC]).await.unwrap()).await;
    assert_eq!(ids(&list).len(), 5);
    assert_eq!(rig.upstream.requests()[1].header("x-api-key"), Some(SERVER_KEY));
    let all = format!("{:?}", local.requests());
    assert!(!all.contains("canary") && !all.contains(GATEWAY_KEY) && !all.contains(SERVER_KEY), "{all}");
    rig.stop().await;
}

#[tokio::test]
async fn where_nobody_speaks_the_callers_dialect_the_list_is_put_into_it() {
    let (rig, local) = routed(|config| {
        config.upstreams.drain(..2);
        config.models.clear();
    })
    .await;
    let list = json(get(&rig.url("/v1/models"), &[KEY, ANTHROPIC]).await.unwrap()).await;
    assert_eq!((ids(&list), &list["data"][0]["type"]), (vec!["gpt-5", "gpt-5-mini"], &json!("model")));
    let exchange = get(&rig.url("/v1/models/gpt-5"), &[KEY, ANTHROPIC]).await.unwrap();
    assert_eq!(json(exchange).await["display_name"], "gpt-5");
    assert_eq!(local.requests()[0].header("authorization"), Some("Bearer sk-of-local"));
    rig.stop().await;
    local.stop().await;
}
