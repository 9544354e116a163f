//! Where credentials go, and where they never do.

use luthien_gateway::config::GatewayConfig;
use luthien_testkit::client::{get, post};
use luthien_testkit::{Answer, Reply, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, GATEWAY_KEY, Rig, SERVER_KEY, id, turn};

fn with_keys(config: &mut GatewayConfig) {
    config.client_key = Some(GATEWAY_KEY.into());
    for upstream in &mut config.upstreams {
        upstream.key = Some(SERVER_KEY.into());
    }
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent() {
    let rig = Rig::new(Answer::text("hi")).await;
    for (path, key) in
        [("/v1/messages", "/error/type"), ("/v1/chat/completions", "/error/type"), ("/v1/embeddings", "/error/type")]
    {
        let exchange = post(&rig.url(path), &[], turn(false).to_string()).await.unwrap();
        assert_eq!((exchange.status, exchange.header("x-should-retry")), (401, Some("false")), "{path}");
        let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
        assert_eq!(body.pointer(key), Some(&json!("authentication_error")), "{path}");
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn the_gateway_key_becomes_the_server_key_and_leaves_nowhere() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_keys).await;
    let bearer = format!("Bearer {GATEWAY_KEY}");
    for credential in [("x-api-key", GATEWAY_KEY), ("authorization", bearer.as_str())] {
        let headers = [credential, ("x-extra", GATEWAY_KEY), ("x-admin", ADMIN_KEY)];
        let url = rig.url(&format!("/v1/messages?a=1&key={GATEWAY_KEY}"));
        let exchange = post(&url, &headers, turn(false).to_string()).await.unwrap();
        assert_eq!(exchange.status, 200);
    }
    for request in rig.upstream.requests() {
        assert_eq!(request.header("x-api-key"), Some(SERVER_KEY));
        assert_eq!(request.path, "/v1/messages?a=1");
        let all = format!("{:?}", request.headers);
        assert!(!all.contains(GATEWAY_KEY) && !all.contains(ADMIN_KEY), "{all}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_credential_named_apart_is_forwarded() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_keys).await;
    let headers = [("authorization", "Bearer lk-shared-gateway-key"), ("x-anthropic-api-key", "sk-mine")];
    post(&rig.url("/v1/messages"), &headers, turn(false).to_string()).await.unwrap();
    let request = rig.upstream.requests().remove(0);
    assert_eq!(request.header("x-api-key"), Some("sk-mine"));
    assert_eq!((request.header("authorization"), request.header("x-anthropic-api-key")), (None, None));
    rig.stop().await;
}

#[tokio::test]
async fn an_upstreams_401_and_redirects_come_back_as_they_are() {
    let refused = Reply::whole(401, "application/json", "{\"type\":\"error\",  \"odd\":1}");
    let moved = Reply::whole(307, "text/plain", "").header("location", "http://127.0.0.1:1/steal");
    let rig = Rig::new(Script::in_turn([refused, moved])).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(exchange.status, 401);
    assert_eq!(exchange.rest().await.unwrap(), "{\"type\":\"error\",  \"odd\":1}");
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!((exchange.status, exchange.header("location")), (307, Some("http://127.0.0.1:1/steal")));
    assert_eq!(rig.upstream.requests().len(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn an_openai_key_never_reaches_anthropic() {
    let openai = Upstream::start().await.unwrap();
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        with_keys(config);
        config.upstreams[1].base_url = openai.base_url();
        config.allowed_paths.push("/v1/moderations".to_owned());
    })
    .await;
    for headers in [
        &[("x-api-key", GATEWAY_KEY), ("authorization", "Bearer sk-canary")][..],
        &[("x-api-key", "sk-canary")],
        &[("authorization", "Bearer lk-shared-gateway-key"), ("x-anthropic-api-key", "sk-canary")],
    ] {
        for path in ["/v1/embeddings", "/v1/moderations"] {
            post(&rig.url(path), headers, "{}").await.unwrap().rest().await.unwrap();
        }
        get(&rig.url("/v1/models"), headers).await.unwrap().rest().await.unwrap();
    }
    assert_eq!(openai.requests().len(), 9);
    assert!(openai.requests().iter().all(|request| format!("{:?}", request.headers).contains("sk-canary")));
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
    openai.stop().await;
}

#[tokio::test]
async fn no_canary_reaches_the_record_or_an_answer() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_keys).await;
    let headers = [
        ("authorization", "Bearer canary-one"),
        ("x-api-key", "canary-two"),
        ("proxy-authorization", "Basic canary-three"),
        ("cookie", "s=canary-four"),
        ("x-anthropic-api-key", "canary-five"),
    ];
    let mut answers = Vec::new();
    for (path, body) in
        [("/v1/messages?key=canary-six", turn(true).to_string()), ("/v1/messages?api_key=canary-six", "[".to_owned())]
    {
        let exchange = post(&rig.url(path), &headers, body).await.unwrap();
        let id = id(&exchange);
        answers.push(format!("{:?}", exchange.headers));
        answers.push(String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap());
        answers.push(format!("{:?}", rig.record(&id).await));
    }
    for text in &answers {
        assert!(!text.contains("canary"), "{text}");
    }
    let Rig { gateway, recorder, folder, .. } = rig;
    gateway.shutdown(std::time::Duration::from_secs(10)).await;
    recorder.shutdown(std::time::Duration::from_secs(10)).await;
    for file in files(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"canary-"), "{}", file.display());
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn paths_that_policies_cannot_see_are_refused_by_the_settings_name() {
    let rig = Rig::new(Answer::text("hi")).await;
    let exchange = rig.ask("/v1/messages/batches", &json!({})).await;
    assert_eq!(exchange.status, 403);
    assert!(String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap().contains("ALLOWED_PATHS"));
    let exchange = rig.ask("/v1/conversations", &json!({})).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (403, Some("false")));
    let exchange = get(&rig.url("/v1/messages"), &[]).await.unwrap();
    assert_eq!(exchange.status, 405);
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}
