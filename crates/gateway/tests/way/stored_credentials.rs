//! Stored credentials and inference providers: where they go, and where they never do.

use std::sync::Arc;

use jiff::Timestamp;
use luthien_gateway::config::GatewayConfig;
use luthien_gateway::server_credentials::NewCredential;
use luthien_policy::judge::JudgeRoute;
use luthien_record::store::{SealedCredential, StoredProvider};
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::policies::{Judged, with_judge};
use crate::routing::{add, asks, rule, text};
use crate::support::{GATEWAY_KEY, Rig, path, turn};

const CANARY: &str = "sk-canary-of-the-store";

/// Stores a credential; `kind` and `url` as the routes have them.
async fn store(rig: &Rig, name: &str, value: &str, kind: &str, platform: &str, url: Option<String>) {
    let (at, by) = (Timestamp::UNIX_EPOCH, "ada".to_owned());
    let shell = SealedCredential {
        name: name.to_owned(),
        platform: platform.to_owned(),
        platform_url: url,
        credential_type: kind.to_owned(),
        key_id: String::new(),
        sealed: Vec::new(),
        created_at: at,
        created_by: by.clone(),
        updated_at: at,
        updated_by: by,
    };
    rig.credentials.keep(rig.recorder.store(), NewCredential { shell, value: value.into() }).await.unwrap();
    rig.credentials.take(rig.recorder.store()).await.unwrap();
}

async fn provide(rig: &Rig, backend: &str, credential: Option<&str>, model: Option<&str>, base: &str) {
    let (at, by) = (Timestamp::UNIX_EPOCH, "ada".to_owned());
    let provider = StoredProvider {
        name: "judges".to_owned(),
        backend_type: backend.to_owned(),
        credential_name: credential.map(str::to_owned),
        default_model: model.map(str::to_owned),
        config: json!({"base_url": base}),
        created_at: at,
        created_by: by.clone(),
        updated_at: at,
        updated_by: by,
    };
    rig.recorder.store().set_provider(&provider).await.unwrap();
    rig.credentials.take(rig.recorder.store()).await.unwrap();
}

/// The shared gateway key, and the default upstreams with a stored credential.
fn named(config: &mut GatewayConfig) {
    config.client_key = Some(GATEWAY_KEY.into());
    for upstream in &mut config.upstreams {
        upstream.credential = Some("local-key".to_owned());
    }
}

async fn ask(rig: &Rig, dialect: Dialect, model: &str) -> (u16, String) {
    let body = asks(dialect, model, false).to_string();
    let exchange = post(&rig.url(path(dialect)), &[("x-api-key", GATEWAY_KEY)], body).await.unwrap();
    (exchange.status, text(exchange).await)
}

#[rstest]
#[case(Dialect::Messages, "api_key", ("x-api-key", "sk-1"))]
#[case(Dialect::Messages, "auth_token", ("authorization", "Bearer sk-1"))]
#[case(Dialect::Chat, "api_key", ("authorization", "Bearer sk-1"))]
#[case(Dialect::Responses, "auth_token", ("authorization", "Bearer sk-1"))]
#[tokio::test]
async fn an_upstream_is_asked_with_its_credential_as_it_is_now(
    #[case] dialect: Dialect,
    #[case] kind: &str,
    #[case] expected: (&str, &str),
) {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), named).await;
    let (status, refusal) = ask(&rig, dialect, "m").await;
    assert_eq!(status, 403, "{refusal}");
    assert!(refusal.contains("cannot use the credential `local-key`"), "{refusal}");
    assert!(rig.upstream.requests().is_empty());

    store(&rig, "local-key", "sk-1", kind, "local", None).await;
    assert_eq!(ask(&rig, dialect, "m").await.0, 200);
    let asked = rig.upstream.requests().remove(0);
    assert_eq!(asked.header(expected.0), Some(expected.1));
    let other = if expected.0 == "x-api-key" { "authorization" } else { "x-api-key" };
    assert_eq!(asked.header(other), None);

    store(&rig, "local-key", "sk-2", kind, "local", None).await;
    assert_eq!(ask(&rig, dialect, "m").await.0, 200);
    assert!(rig.upstream.requests().remove(1).header(expected.0).unwrap().ends_with("sk-2"));
    rig.recorder.store().remove_credential("local-key").await.unwrap();
    rig.credentials.take(rig.recorder.store()).await.unwrap();
    assert_eq!(ask(&rig, dialect, "m").await.0, 403);
    assert_eq!(rig.upstream.requests().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_credential_goes_to_no_upstream_that_does_not_name_it() {
    let (fallback, near, moved) =
        (Upstream::start().await.unwrap(), Upstream::start().await.unwrap(), Upstream::start().await.unwrap());
    for other in [&fallback, &near, &moved] {
        other.default_script(Answer::text("elsewhere"));
    }
    let location = format!("{}/v1/messages", moved.base_url());
    let redirect = Reply::whole(307, "text/plain", "").header("location", &location);
    let rig = Rig::with(
        luthien_testkit::Script::in_turn([Reply::whole(529, "text/plain", ""), redirect]),
        Vec::new(),
        |config| {
            named(config);
            add(config, "fallback", &[Dialect::Messages], &fallback);
            add(config, "near", &[Dialect::Chat], &near);
            config.models =
                vec![rule("falls", &[("anthropic", None), ("fallback", None)]), rule("near", &[("near", None)])];
        },
    )
    .await;
    store(&rig, "local-key", CANARY, "api_key", "anthropic", None).await;
    assert_eq!(ask(&rig, Dialect::Messages, "falls").await.0, 200);
    assert_eq!(ask(&rig, Dialect::Messages, "near").await.0, 200);
    assert_eq!(ask(&rig, Dialect::Messages, "m").await.0, 307);
    assert_eq!((fallback.requests().len(), near.requests().len(), moved.requests().len()), (1, 1, 0));
    for request in fallback.requests().iter().chain(&near.requests()) {
        assert!(!format!("{request:?}").contains(CANARY));
    }
    assert!(rig.upstream.requests().iter().all(|request| request.header("x-api-key") == Some(CANARY)));
    rig.stop().await;
}

#[tokio::test]
async fn a_credential_for_one_place_goes_to_no_other() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), named).await;
    store(&rig, "local-key", CANARY, "api_key", "local", Some("http://127.0.0.1:1/v1".to_owned())).await;
    let (status, refusal) = ask(&rig, Dialect::Messages, "m").await;
    assert_eq!((status, refusal.contains(CANARY)), (403, false));
    assert!(rig.upstream.requests().is_empty());
    store(&rig, "local-key", CANARY, "api_key", "local", Some(rig.upstream.base_url())).await;
    assert_eq!(ask(&rig, Dialect::Messages, "m").await.0, 200);
    rig.stop().await;
}

/// A gateway whose policy asks the provider `judges`, and the upstream behind that.
async fn judged(word: &'static str) -> (Rig, Upstream) {
    let judges = Upstream::start().await.unwrap();
    judges.default_script(Answer::text(word));
    let script = with_judge("unused", Answer::tool("Bash", &json!({})));
    let route = JudgeRoute::Provider("judges".to_owned());
    (Rig::with(script, vec![Arc::new(Judged(route))], |_| {}).await, judges)
}

async fn told(rig: &Rig) -> String {
    text(rig.ask("/v1/messages", &turn(false)).await).await
}

#[rstest]
#[case::messages("messages", "local", "api_key", "/v1/messages", ("x-api-key", CANARY))]
#[case::chat("chat", "local", "api_key", "/v1/chat/completions", ("authorization", "Bearer sk-canary-of-the-store"))]
#[case::responses("responses", "local", "api_key", "/v1/responses", ("authorization", "Bearer sk-canary-of-the-store"))]
#[case::anthropic("direct_api", "anthropic", "api_key", "/v1/messages", ("x-api-key", CANARY))]
#[case::openai("direct_api", "openai", "api_key", "/v1/chat/completions", ("authorization", "Bearer sk-canary-of-the-store"))]
#[case::subscription("claude_code", "anthropic", "auth_token", "/v1/messages", ("authorization", "Bearer sk-canary-of-the-store"))]
#[tokio::test]
async fn a_judge_is_asked_at_its_provider_with_its_credential_and_model(
    #[case] backend: &str,
    #[case] platform: &str,
    #[case] kind: &str,
    #[case] path: &str,
    #[case] expected: (&str, &str),
) {
    let (rig, judges) = judged("good").await;
    store(&rig, "judges-key", CANARY, kind, platform, None).await;
    provide(&rig, backend, Some("judges-key"), Some("small"), &judges.base_url()).await;
    assert!(told(&rig).await.contains("tool_use"));
    let asked = judges.requests().remove(0);
    assert_eq!((asked.path.as_str(), asked.header(expected.0)), (path, Some(expected.1)));
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["model"], "small");
    let beta = (backend == "claude_code").then_some("oauth-2025-04-20");
    assert_eq!(asked.header("anthropic-beta"), beta);
    assert!(rig.upstream.requests().iter().all(|request| !format!("{request:?}").contains(CANARY)));
    rig.stop().await;
    judges.stop().await;
}

#[tokio::test]
async fn a_change_of_a_provider_holds_for_the_next_question() {
    let (rig, judges) = judged("good").await;
    assert!(!told(&rig).await.contains("tool_use"), "nobody is asked yet");
    provide(&rig, "messages", None, None, &judges.base_url()).await;
    assert!(told(&rig).await.contains("tool_use"));
    let asked = judges.requests().remove(0);
    assert_eq!((asked.header("x-api-key"), asked.header("authorization")), (None, None));
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(body["model"], "judge", "the policy's, where the provider has none");
    provide(&rig, "messages", Some("gone"), None, &judges.base_url()).await;
    assert!(!told(&rig).await.contains("tool_use"), "its credential is missing");
    provide(&rig, "chat", None, Some("other"), &judges.base_url()).await;
    assert!(told(&rig).await.contains("tool_use"));
    assert_eq!(judges.requests().remove(1).path, "/v1/chat/completions");
    rig.recorder.store().remove_provider("judges").await.unwrap();
    rig.credentials.take(rig.recorder.store()).await.unwrap();
    assert!(!told(&rig).await.contains("tool_use"));
    assert_eq!(judges.requests().len(), 2);
    rig.stop().await;
    judges.stop().await;
}
