//! Keys of clients, settings that are changed while running, and limits: made or set at one gateway, the same at all.

use luthien_testkit::Answer;
use luthien_testkit::client::post;
use luthien_testkit::servers::Stop;
use luthien_tests::gateway::Gateway;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::SOON;
use crate::cluster::Cluster;

/// How many requests may come at once.
const BURST: usize = 4;

/// How many callers try that.
const CALLERS: usize = 6;

/// A key that was made at some gateway.
struct Key {
    id: String,
    text: String,
}

#[tokio::test]
async fn keys_settings_and_limits_are_the_same_at_all() {
    let mut cluster = Cluster::start_with(Answer::text("hi"), &[("AUTH_MODE", "client_key")]).await;
    for gateway in &cluster.gateways {
        let log = gateway.log();
        assert!(log.contains("nobody can call yet") && !log.contains("another IDENTITY_KEY"), "{log}");
    }
    the_auth_mode_holds_at_all_until_it_is_taken_back(&cluster).await;
    a_key_holds_at_all_until_it_is_revoked(&cluster).await;
    a_limit_holds_at_all_until_it_is_taken_back(&cluster).await;
    requests_are_counted_together(&cluster).await;
    caps_hold_at_all_and_count_what_all_have_used(&cluster).await;
    // Without hints each looks for itself.
    cluster.redis.stop(Stop::Fast).expect("Redis stops");
    a_key_holds_at_all_until_it_is_revoked(&cluster).await;
    a_limit_holds_at_all_until_it_is_taken_back(&cluster).await;
    cluster.stop().await;
}

async fn a_key_holds_at_all_until_it_is_revoked(cluster: &Cluster) {
    let [a, b, c] = &cluster.gateways;
    let key = make_key(cluster, a).await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the key lets in", |status, _| status == 200).await;
    }
    cluster.delete(a, &format!("/api/admin/client-keys/{}", key.id)).await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the key is refused", |status, _| status == 401).await;
    }
}

async fn a_limit_holds_at_all_until_it_is_taken_back(cluster: &Cluster) {
    let [a, b, c] = &cluster.gateways;
    let key = make_key(cluster, a).await;
    cluster.put(a, "/api/admin/config/rate_limit_rpm", &json!({"value": 7})).await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the limit holds", |_, limit| limit == Some("7")).await;
        assert_eq!(setting(gateway, "rate_limit_rpm").await, (json!(7), json!("db")));
    }
    cluster.delete(a, "/api/admin/config/rate_limit_rpm").await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the limit is gone", |status, limit| (status, limit) == (200, None)).await;
        assert_eq!(setting(gateway, "rate_limit_rpm").await, (json!(0), json!("default")));
    }
}

async fn the_auth_mode_holds_at_all_until_it_is_taken_back(cluster: &Cluster) {
    let [a, b, c] = &cluster.gateways;
    let changed = cluster.post(a, "/api/admin/auth/config", &json!({"auth_mode": "both", "updated_by": "ada"})).await;
    assert_eq!((&changed["auth_mode"], &changed["updated_by"]), (&json!("both"), &json!("ada")));
    for gateway in [a, b, c] {
        cluster.answers(gateway, 200).await;
        assert_eq!(setting(gateway, "auth_mode").await, (json!("both"), json!("db")));
    }
    cluster.delete(a, "/api/admin/config/auth_mode").await;
    for gateway in [a, b, c] {
        cluster.answers(gateway, 401).await;
        assert_eq!(setting(gateway, "auth_mode").await, (json!("client_key"), json!("env")));
    }
}

async fn requests_are_counted_together(cluster: &Cluster) {
    let [a, ..] = &cluster.gateways;
    let mut keys = Vec::new();
    for _ in 0..CALLERS {
        keys.push(make_key(cluster, a).await);
    }
    for (gateway, key) in cluster.gateways.iter().flat_map(|gateway| keys.iter().map(move |key| (gateway, key))) {
        until(gateway, key, "the key lets in", |status, _| status == 200).await;
    }
    cluster.put(a, "/api/admin/config/rate_limit_burst", &json!({"value": BURST})).await;
    cluster.put(a, "/api/admin/config/rate_limit_rpm", &json!({"value": 1})).await;
    let [first, callers @ ..] = &keys[..] else { panic!("no keys") };
    for gateway in &cluster.gateways {
        until(gateway, first, "the limit holds", |_, limit| limit == Some("1")).await;
        assert_eq!(setting(gateway, "rate_limit_burst").await, (json!(BURST), json!("db")));
    }
    let mut passed = Vec::new();
    for key in callers {
        let mut of_this = 0;
        for gateway in cluster.gateways.iter().cycle().take(3 * BURST) {
            of_this += usize::from(ask(gateway, key).await.0 == 200);
        }
        passed.push(of_this);
    }
    assert!(passed.iter().all(|passed| *passed >= BURST), "{passed:?}");
    // Where Redis is slower than a request waits, a gateway counts alone for a second.
    assert!(passed.contains(&BURST), "{passed:?}");
    for name in ["rate_limit_rpm", "rate_limit_burst"] {
        cluster.delete(a, &format!("/api/admin/config/{name}")).await;
    }
    for gateway in &cluster.gateways {
        until(gateway, first, "the limit is gone", |_, limit| limit.is_none()).await;
    }
}

async fn caps_hold_at_all_and_count_what_all_have_used(cluster: &Cluster) {
    let [a, b, c] = &cluster.gateways;
    let key = make_key(cluster, a).await;
    let id = a.api(&format!("/api/admin/client-keys/{}", key.id)).await["key"].as_str().expect("an id").to_owned();
    let path = format!("/api/admin/caps/key/{id}");
    until(b, &key, "the key lets in", |status, _| status == 200).await;
    until(c, &key, "the key lets in", |status, _| status == 200).await;
    // What was used before is not counted; each turn uses some tokens.
    cluster.put(a, &path, &json!({"caps": {"tokens_per_day": 1000}})).await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the cap is reached by what all have used", |status, _| status == 429).await;
    }
    let shown = b.api(&path).await;
    assert_eq!((&shown["caps"], &shown["set_by"]), (&json!({"tokens_per_day": 1000}), &json!("api")));
    // What is shown is what the database holds, which may be a second behind.
    let told = async { while b.api(&path).await["used"][0]["today"]["tokens"].as_u64() < Some(1000) {} };
    timeout(SOON, told).await.expect("what all have used is shown");
    cluster.delete(c, &path).await;
    for gateway in [a, b, c] {
        until(gateway, &key, "the cap is gone", |status, _| status == 200).await;
    }
}

async fn make_key(cluster: &Cluster, gateway: &Gateway) -> Key {
    let made = cluster.post(gateway, "/api/admin/client-keys", &json!({"name": "a laptop"})).await;
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Key { id: text("id"), text: text("api_key") }
}

/// A turn of this key's bringer; its status and the limit that is told.
async fn ask(gateway: &Gateway, key: &Key) -> (u16, Option<String>) {
    let turn = json!({"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]});
    let headers = [("x-api-key", "sk-own"), ("x-luthien-api-key", &*key.text)];
    let url = format!("{}/v1/messages", gateway.url());
    let answer = post(&url, &headers, turn.to_string()).await.expect("an answer");
    let (status, limit) = (answer.status, answer.header("ratelimit-limit").map(str::to_owned));
    answer.rest().await.expect("a whole answer");
    (status, limit)
}

/// Waits until a turn is answered so.
async fn until(gateway: &Gateway, key: &Key, what: &str, answered: impl Fn(u16, Option<&str>) -> bool) {
    let turned = async {
        loop {
            let (status, limit) = ask(gateway, key).await;
            if answered(status, limit.as_deref()) {
                return;
            }
        }
    };
    timeout(SOON, turned).await.unwrap_or_else(|_| panic!("not in time: {what}:\n{}", gateway.log()));
}

/// A setting's value and where it comes from.
async fn setting(gateway: &Gateway, name: &str) -> (Value, Value) {
    let all = gateway.api("/api/admin/config").await;
    let found = all["config"].as_array().and_then(|all| all.iter().find(|setting| setting["name"] == name));
    let found = found.expect("the setting");
    (found["value"].clone(), found["source"].clone())
}
