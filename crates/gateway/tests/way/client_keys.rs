//! Keys that the gateway gives to its clients, and how many requests their holders may make.

use jiff::Timestamp;
use luthien_gateway::config::{AuthMode, GatewayConfig};
use luthien_gateway::policy_state::NewAssignment;
use luthien_gateway::rates::Quota;
use luthien_gateway::scopes::{How, Scope};
use luthien_policy::catalogue::PolicySpec;
use luthien_record::store::StoredClientKey;
use luthien_testkit::Answer;
use luthien_testkit::client::post;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::routing::rule;
use crate::support::{GATEWAY_KEY, KEY, Rig, SERVER_KEY, id, options, path, turn, turn_in};

fn with_server_key(config: &mut GatewayConfig) {
    for upstream in &mut config.upstreams {
        upstream.key = Some(SERVER_KEY.into());
    }
}

/// Gives out a key.
pub(crate) async fn issue(rig: &Rig, number: u8, limits: Value) -> String {
    issue_until(rig, number, limits, None).await
}

/// The same with an end.
async fn issue_until(rig: &Rig, number: u8, limits: Value, expires_at: Option<Timestamp>) -> String {
    let key = format!("lth-{}", format!("{number:02x}").repeat(32));
    let stored = StoredClientKey {
        id: Uuid::from_u128(number.into()),
        hash: *blake3::hash(key.as_bytes()).as_bytes(),
        caller: [number; 16],
        start: "lth-".to_owned(),
        name: "a laptop".to_owned(),
        limits,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "ada".to_owned(),
        expires_at,
        revoked: None,
    };
    rig.recorder.store().add_client_key(&stored).await.unwrap();
    rig.client_keys.take(rig.recorder.store()).await.unwrap();
    key
}

async fn ask(rig: &Rig, headers: &[(&str, &str)]) -> luthien_testkit::client::Exchange {
    post(&rig.url("/v1/messages"), headers, turn(false).to_string()).await.unwrap()
}

#[tokio::test]
async fn a_key_becomes_the_server_key_and_leaves_nowhere() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_server_key).await;
    let key = issue(&rig, 0xab, json!({})).await;
    let bearer = format!("Bearer {key}");
    for credential in [("x-api-key", key.as_str()), ("authorization", &bearer), ("x-luthien-api-key", &key)] {
        let url = rig.url(&format!("/v1/messages?a=1&key={key}"));
        let exchange = post(&url, &[credential, ("x-extra", &key)], turn(false).to_string()).await.unwrap();
        assert_eq!(exchange.status, 200, "{}", credential.0);
        let record = rig.record(&id(&exchange)).await;
        assert!(!format!("{record:?}").contains(&key));
    }
    assert_eq!(rig.upstream.requests().len(), 3);
    for request in rig.upstream.requests() {
        assert_eq!((request.header("x-api-key"), request.path.as_str()), (Some(SERVER_KEY), "/v1/messages?a=1"));
        assert!(!format!("{:?}", request.headers).contains(&key));
    }
    rig.stop().await;
}

#[tokio::test]
async fn beside_a_key_in_its_own_header_the_callers_credential_goes_on() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        with_server_key(config);
        config.access = AuthMode::ClientKey.into();
    })
    .await;
    let key = issue(&rig, 1, json!({})).await;
    let oauth = ("authorization", "Bearer sk-ant-oat-mine");
    assert_eq!(ask(&rig, &[oauth]).await.status, 401, "without the gateway's key");
    assert_eq!(ask(&rig, &[oauth, ("x-luthien-api-key", &key)]).await.status, 200);
    let request = rig.upstream.requests().remove(0);
    assert_eq!(request.header("authorization"), Some("Bearer sk-ant-oat-mine"));
    assert_eq!((request.header("x-api-key"), request.header("x-luthien-api-key")), (None, None));
    rig.stop().await;
}

#[tokio::test]
async fn a_key_that_does_not_hold_lets_nobody_in() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_server_key).await;
    let key = issue(&rig, 1, json!({})).await;
    assert_eq!(ask(&rig, &[("x-api-key", &key)]).await.status, 200);
    rig.recorder.store().revoke_client_key(Uuid::from_u128(1), Timestamp::UNIX_EPOCH, "bob").await.unwrap();
    rig.client_keys.take(rig.recorder.store()).await.unwrap();
    let never = format!("lth-{}", "0".repeat(64));
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("x-api-key", &key)], "revoked"),
        (&[("x-api-key", &key), ("authorization", "Bearer sk-mine")], "revoked"),
        (&[("x-api-key", &never)], "does not know"),
        (&[KEY, ("x-luthien-api-key", "sk-something")], "no key of this gateway"),
    ];
    for (headers, expected) in cases {
        let exchange = ask(&rig, headers).await;
        assert_eq!(exchange.status, 401);
        let body = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
        assert!(body.contains(expected) && body.contains("authentication_error"), "{body}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_holds_until_its_end() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), with_server_key).await;
    let until = async |number, year: &str| {
        let end = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        issue_until(&rig, number, json!({}), Some(end)).await
    };
    let (over, running) = (until(1, "2001").await, until(2, "9001").await);
    assert_eq!(ask(&rig, &[("x-api-key", &running)]).await.status, 200);
    for headers in [&[("x-api-key", over.as_str())][..], &[KEY, ("x-luthien-api-key", over.as_str())]] {
        let refused = ask(&rig, headers).await;
        assert_eq!(refused.status, 401);
        assert!(String::from_utf8_lossy(&refused.rest().await.unwrap()).contains("expired"));
    }
    assert_eq!(rig.upstream.requests().len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_keys_policy_holds_for_it_whatever_the_identity_key_is_now() {
    let shouts = PolicySpec::new("all_caps", json!({}));
    for identity in [[1; 32], [2; 32]] {
        let (rig, state) = Rig::governed(Answer::text("hi"), options(), |config| {
            with_server_key(config);
            config.identity_key = identity;
        })
        .await;
        let (mine, other) = (issue(&rig, 5, json!({})).await, issue(&rig, 6, json!({})).await);
        let scope = Scope::Key([5; 16]);
        let new = NewAssignment { scope, spec: shouts.clone(), how: How::Replace, expires_at: None, by: "ada".into() };
        state.assign(new).await.unwrap();
        for (key, expected) in [(&mine, "HI"), (&other, "hi")] {
            let exchange = ask(&rig, &[KEY, ("x-luthien-api-key", key)]).await;
            let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
            assert_eq!(body["content"][0]["text"], expected);
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn the_server_key_is_only_for_holders_once_keys_are_given_out() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        let mut other = config.upstreams[0].clone();
        other.name = "other".to_owned();
        other.key = Some(SERVER_KEY.into());
        config.upstreams.push(other);
        config.models = vec![rule("m", &[("other", None)])];
    })
    .await;
    assert_eq!(ask(&rig, &[KEY]).await.status, 200, "no key was given out yet");
    let key = issue(&rig, 1, json!({})).await;
    assert_eq!(ask(&rig, &[KEY]).await.status, 403);
    assert_eq!(ask(&rig, &[("x-api-key", &key)]).await.status, 200);
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_makes_too_many_requests_has_to_wait(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(false, true)] stream: bool,
) {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| config.rates.usual = Quota::new(1, 2).into()).await;
    let url = rig.url(path(dialect));
    let body = turn_in(dialect, stream).to_string();
    for remaining in ["1", "0"] {
        let exchange = post(&url, &[KEY], body.clone()).await.unwrap();
        assert_eq!((exchange.status, exchange.header("ratelimit-remaining")), (200, Some(remaining)));
        assert_eq!((exchange.header("ratelimit-limit"), exchange.header("retry-after")), (Some("1"), None));
    }
    let exchange = post(&url, &[KEY], body.clone()).await.unwrap();
    assert_eq!((exchange.status, exchange.header("ratelimit-remaining")), (429, Some("0")));
    let wait: u64 = exchange.header("retry-after").expect("a time").parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    let record = rig.record(&id(&exchange)).await;
    let error: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_error");
    assert_eq!((record.http_status, record.upstream_request), (Some(429), None));
    let other = post(&url, &[("x-api-key", "sk-of-another")], body).await.unwrap();
    assert_eq!(other.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn counting_tokens_is_free_and_a_keys_own_limit_counts() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        with_server_key(config);
        config.client_key = Some(GATEWAY_KEY.into());
        config.rates.usual = Quota::new(1, 1).into();
    })
    .await;
    for _ in 0..3 {
        let exchange = post(&rig.url("/v1/messages/count_tokens"), &[KEY], turn(false).to_string()).await.unwrap();
        assert_eq!((exchange.status, exchange.header("ratelimit-limit")), (200, None));
    }
    let key = issue(&rig, 1, json!({"requests_per_minute": 2})).await;
    let statuses = async |credential: &str| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(&rig, &[("x-api-key", credential)]).await.status);
        }
        statuses
    };
    assert_eq!(statuses(GATEWAY_KEY).await, [200, 429, 429]);
    assert_eq!(statuses(&key).await, [200, 200, 429]);
    rig.stop().await;
}
