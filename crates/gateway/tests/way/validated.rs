//! Callers' own credentials, of which their vendors are asked before anything else is done.

use std::time::Duration;

use futures_util::future::join_all;
use luthien_gateway::access::{Access, AccessRules, Validity};
use luthien_gateway::config::{AuthMode, GatewayConfig};
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Answer, Reply, Script, Step, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::routing::{add, asks, rule};
use crate::support::{GATEWAY_KEY, Rig, SERVER_KEY, path, turn_in};

const HOUR: Duration = Duration::from_hours(1);

fn validating(mode: AuthMode) -> AccessRules {
    AccessRules { mode, validation: Some(Validity { valid: HOUR, invalid: HOUR }) }
}

async fn rig(change: impl FnOnce(&mut GatewayConfig)) -> Rig {
    Rig::with(Answer::text("hi"), Vec::new(), |config| {
        config.access = validating(AuthMode::Both).into();
        change(config);
    })
    .await
}

/// Takes credentials that say that they are good, and no others.
fn vendor() -> Script {
    Script::new(|asked| {
        let good = asked.headers.iter().any(|(_, value)| value.contains("good"));
        let error = json!({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}});
        if good { Reply::json(200, &json!({"data": []})) } else { Reply::json(401, &error) }
    })
}

async fn ask(rig: &Rig, dialect: Dialect, headers: &[(&str, &str)]) -> Exchange {
    post(&rig.url(path(dialect)), headers, turn_in(dialect, false).to_string()).await.unwrap()
}

/// How often the list of models was asked for, and how many turns there were.
fn asked(upstream: &Upstream) -> (usize, usize) {
    let lists = upstream.requests().iter().filter(|request| request.path.starts_with("/v1/models")).count();
    (lists, upstream.turns().len())
}

const ALL: [Dialect; 3] = [Dialect::Messages, Dialect::Chat, Dialect::Responses];

#[rstest]
#[tokio::test]
async fn a_valid_credential_is_asked_about_once_and_goes_on(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
) {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(vendor());
    for turns in 1..=3 {
        assert_eq!(ask(&rig, dialect, &[("authorization", "Bearer sk-good")]).await.status, 200);
        assert_eq!(asked(&rig.upstream), (1, turns));
    }
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn an_invalid_one_is_refused_in_the_callers_dialect_and_asked_about_once(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
) {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(vendor());
    for _ in 0..2 {
        let exchange = ask(&rig, dialect, &[("x-api-key", "sk-bad")]).await;
        assert_eq!((exchange.status, exchange.header("x-should-retry")), (401, Some("false")));
        let id = crate::support::id(&exchange);
        assert_eq!(exchange.header(dialect.request_id_header()), Some(id.as_str()));
        let error: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
        assert_eq!(error["error"]["type"], "authentication_error");
        assert!(error["error"]["message"].as_str().unwrap().contains("not valid"), "{error}");
        assert!(!format!("{:?}", rig.record(&id).await).contains("sk-bad"));
        assert_eq!(asked(&rig.upstream), (1, 0));
    }
    rig.stop().await;
}

#[tokio::test]
async fn the_question_carries_the_credential_and_nothing_else_of_the_callers() {
    let rig = rig(|config| config.client_key = Some(GATEWAY_KEY.into())).await;
    rig.upstream.models_script(vendor());
    let canaries = [
        ("x-luthien-api-key", GATEWAY_KEY),
        ("cookie", "canary=1"),
        ("x-custom", "canary"),
        ("anthropic-beta", "canary"),
        ("user-agent", "canary"),
        ("x-forwarded-for", "canary"),
    ];
    let version = format!("luthien/{}", env!("CARGO_PKG_VERSION"));
    let host = rig.upstream.address().to_string();
    let usual =
        [("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", &version), ("host", &host)];
    for (dialect, credential, path, more) in [
        (Dialect::Messages, ("x-api-key", "good"), "/v1/models?limit=1", &[("anthropic-version", "2023-06-01")][..]),
        (
            Dialect::Messages,
            ("authorization", "Bearer sk-ant-oat01-good"),
            "/v1/models?limit=1",
            &[("anthropic-version", "2023-06-01"), ("anthropic-beta", "oauth-2025-04-20")],
        ),
        (Dialect::Chat, ("authorization", "Bearer sk-good"), "/v1/models", &[]),
    ] {
        rig.upstream.clear();
        let headers = [&canaries[..], &[credential]].concat();
        assert_eq!(ask(&rig, dialect, &headers).await.status, 200);
        let request = rig.upstream.requests().remove(0);
        assert_eq!((request.method.as_str(), request.path.as_str(), request.body.len()), ("GET", path, 0));
        let mut sent: Vec<(String, &str)> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
        let mut expected: Vec<(String, &str)> = [&usual[..], more, &[credential]]
            .concat()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected);
    }
    rig.stop().await;
}

#[rstest]
#[case::too_many(Reply::json(429, &json!({"error": {}})))]
#[case::overloaded(Reply::json(529, &json!({"error": {}})))]
#[case::not_there(Reply::json(404, &json!({"error": {}})))]
#[case::elsewhere(Reply::whole(302, "text/plain", "").header("location", "http://127.0.0.1:1/"))]
#[case::broken(Reply::drop_connection(Step::Reset))]
#[case::a_wall(Reply::whole(403, "text/html", "<html>not from here</html>"))]
#[tokio::test]
async fn where_the_vendor_does_not_say_the_upstream_decides(#[case] reply: Reply) {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(Script::always(reply));
    for turns in 1..=2 {
        assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", "sk-1")]).await.status, 200);
        assert_eq!(asked(&rig.upstream), (turns, turns), "it is asked anew");
    }
    rig.upstream.models_script(vendor());
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", "sk-1")]).await.status, 401);
    rig.stop().await;
}

#[tokio::test]
async fn a_vendor_that_keeps_silent_is_not_waited_for() {
    let rig = rig(|config| config.timeouts.first_byte = Duration::from_secs(2)).await;
    rig.upstream.models_script(Script::always(Reply::hang()));
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", "sk-1")]).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let rig = rig(|_| {}).await;
    let gate = luthien_testkit::Gate::new();
    rig.upstream.models_script(Script::always(Reply::json(200, &json!({"data": []})).wait_before(&gate)));
    let all = join_all((0..20).map(|_| ask(&rig, Dialect::Messages, &[("x-api-key", "sk-1")])));
    let first = async {
        rig.upstream.wait_for(1).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(all, first);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(asked(&rig.upstream), (1, 20));
    rig.stop().await;
}

#[tokio::test]
async fn a_gateway_key_is_no_vendors_business() {
    let rig = rig(|config| {
        config.client_key = Some(GATEWAY_KEY.into());
        config.upstreams[0].key = Some(SERVER_KEY.into());
    })
    .await;
    rig.upstream.models_script(vendor());
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", GATEWAY_KEY)]).await.status, 200);
    assert_eq!(asked(&rig.upstream), (0, 1));
    let named_apart = [("x-api-key", GATEWAY_KEY), ("x-anthropic-api-key", "sk-bad")];
    assert_eq!(ask(&rig, Dialect::Messages, &named_apart).await.status, 401);
    assert_eq!(rig.upstream.requests().pop().unwrap().header("x-api-key"), Some("sk-bad"));
    rig.stop().await;
}

#[tokio::test]
async fn only_the_dialects_own_upstream_is_asked() {
    let (openai, other) = (Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    openai.models_script(vendor());
    let rig = rig(|config| {
        config.upstreams[1].base_url = openai.base_url();
        add(config, "other", &Dialect::ALL, &other);
        config.models = vec![rule("elsewhere", &[("other", None)])];
    })
    .await;
    rig.upstream.models_script(vendor());
    for (dialect, questions) in [(Dialect::Messages, (1, 0)), (Dialect::Chat, (2, 1))] {
        let body = asks(dialect, "elsewhere", false).to_string();
        let refused = post(&rig.url(path(dialect)), &[("x-api-key", "sk-bad")], body.clone()).await.unwrap();
        assert_eq!(refused.status, 401, "a rule changes nothing about whose credential it is");
        assert_eq!((asked(&rig.upstream).0, asked(&openai).0), questions);
        assert_eq!(post(&rig.url(path(dialect)), &[("x-api-key", "good")], body).await.unwrap().status, 200);
    }
    assert!(other.requests().iter().all(|request| request.header("x-api-key") != Some("good")));
    assert_eq!(asked(&other), (0, 2));
    rig.stop().await;
    openai.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn nobody_is_asked_where_no_credential_of_the_callers_goes() {
    let local = Upstream::start().await.unwrap();
    let rig = rig(|config| {
        config.upstreams[0].keyless = true;
        config.upstreams.remove(1);
        add(config, "local", &[Dialect::Chat], &local);
    })
    .await;
    rig.upstream.models_script(vendor());
    local.models_script(vendor());
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", "sk-bad")]).await.status, 200);
    assert_eq!(ask(&rig, Dialect::Chat, &[("x-api-key", "sk-bad")]).await.status, 200);
    assert_eq!((asked(&rig.upstream), asked(&local)), ((0, 1), (0, 1)));
    rig.stop().await;
    local.stop().await;
}

#[tokio::test]
async fn an_upstreams_401_counts_more_than_what_was_said_before() {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(vendor());
    let key = [("x-api-key", "good")];
    assert_eq!(ask(&rig, Dialect::Messages, &key).await.status, 200);
    let refusal = json!({"type": "error", "error": {"type": "authentication_error", "message": "revoked"}});
    rig.upstream.default_script(Script::always(Reply::json(401, &refusal)));
    let refused = ask(&rig, Dialect::Messages, &key).await;
    assert_eq!((refused.status, refused.rest().await.unwrap()), (401, refusal.to_string().into()));
    assert_eq!(asked(&rig.upstream), (1, 2));
    ask(&rig, Dialect::Messages, &key).await;
    assert_eq!(asked(&rig.upstream), (2, 3), "it is asked anew");
    rig.stop().await;
}

#[tokio::test]
async fn each_credential_has_a_verdict_of_its_own_whatever_stands_beside_it() {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(vendor());
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", "good")]).await.status, 200);
    for headers in [
        &[("x-api-key", "bad")][..],
        &[("authorization", "Bearer bad"), ("x-anthropic-api-key", "bad-too")],
        &[("x-api-key", "bad"), ("authorization", "Bearer worse")],
    ] {
        assert_eq!(ask(&rig, Dialect::Messages, headers).await.status, 401, "{headers:?}");
    }
    assert_eq!(asked(&rig.upstream), (4, 1));
    rig.stop().await;
}

#[tokio::test]
async fn the_rules_change_while_the_gateway_runs() {
    let access = Access::from(AuthMode::ClientKey);
    let rig = rig(|config| {
        config.access = access.clone();
        config.client_key = Some(GATEWAY_KEY.into());
    })
    .await;
    rig.upstream.models_script(vendor());
    let own = [("x-api-key", "sk-bad")];
    assert_eq!(ask(&rig, Dialect::Messages, &own).await.status, 401);
    access.set(AuthMode::Passthrough.into());
    assert_eq!(ask(&rig, Dialect::Messages, &own).await.status, 200);
    assert_eq!(ask(&rig, Dialect::Messages, &[("x-api-key", GATEWAY_KEY)]).await.status, 401);
    assert_eq!(asked(&rig.upstream), (0, 1));
    access.set(validating(AuthMode::Both));
    assert_eq!(ask(&rig, Dialect::Messages, &own).await.status, 401);
    access.set(AuthMode::Both.into());
    assert_eq!(ask(&rig, Dialect::Messages, &own).await.status, 200, "and off again");
    assert_eq!(asked(&rig.upstream), (1, 2));
    rig.stop().await;
}

#[tokio::test]
async fn token_counts_lists_and_side_paths_ask_too() {
    let rig = rig(|_| {}).await;
    rig.upstream.models_script(vendor());
    for target in ["/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1/embeddings"] {
        let body = asks(ALL[0], "m", false).to_string();
        let refused = post(&rig.url(target), &[("x-api-key", "bad")], body).await.unwrap();
        assert_eq!(refused.status, 401, "{target}");
    }
    let refused = luthien_testkit::client::get(&rig.url("/v1/models"), &[("x-api-key", "bad")]).await.unwrap();
    assert_eq!(refused.status, 401);
    assert!(rig.upstream.requests().iter().all(|request| request.path.starts_with("/v1/models")));
    rig.stop().await;
}
