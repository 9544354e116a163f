//! What was used is remembered: over a restart all of it, over a kill all but the last second.

use std::time::Duration;

use luthien_testkit::client::post;
use luthien_testkit::{Answer, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use serde_json::{Value, json};

const CAPS: [(&str, &str); 1] = [("CAPS_USER", r#"{"tokens_per_day": 1000000, "judge_calls_per_day": 5}"#)];

/// A turn of this user's; what it used.
async fn turn(gateway: &Gateway) -> u64 {
    let body = json!({"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]});
    let headers = [("x-api-key", "sk-own"), ("x-claude-gateway-user-id", "ada")];
    let url = format!("{}/v1/messages", gateway.url());
    let answer = post(&url, &headers, body.to_string()).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let whole: Value = serde_json::from_slice(&answer.rest().await.expect("a whole answer")).expect("JSON");
    let count = |name: &str| whole["usage"][name].as_u64().expect("a number");
    count("input_tokens") + count("output_tokens")
}

/// What the gateway says that this user has used today.
async fn used(gateway: &Gateway) -> u64 {
    gateway.api("/api/admin/caps/user/ada").await["used"][0]["today"]["tokens"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn what_was_used_is_remembered_over_a_kill_and_a_restart() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Answer::text(&"word ".repeat(100)));
    let setup = Setup { upstream: upstream.base_url(), policy: None };
    let gateway = Gateway::start_with(&setup, &CAPS).await;
    let first = turn(&gateway).await + turn(&gateway).await;
    // It is at most a second late; the test waits for what it needs, however long that takes.
    while used(&gateway).await < first {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let folder = gateway.kill().await;

    let gateway = Gateway::start_in(&setup, &CAPS, folder).await;
    assert_eq!(used(&gateway).await, first);
    let more = turn(&gateway).await;
    let folder = gateway.stopped().await;

    let caps = format!("{{\"tokens_per_day\": {}}}", first + more);
    let gateway = Gateway::start_in(&setup, &[("CAPS_USER", &caps)], folder).await;
    assert_eq!(used(&gateway).await, first + more, "all of it was written at the stop");
    let body = json!({"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]});
    let headers = [("x-api-key", "sk-own"), ("x-claude-gateway-user-id", "ada")];
    let answer = post(&format!("{}/v1/messages", gateway.url()), &headers, body.to_string()).await.expect("an answer");
    assert_eq!(answer.status, 429, "at once, after the start");
    gateway.stop().await;
}
