//! How clients get in, through the routes.

use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::access::verdicts::Verdict;
use crate::access::{AccessRules, CredentialType, Validity};
use crate::config::AuthMode;

const CONFIG: &str = "/api/admin/auth/config";
const CREDENTIALS: &str = "/api/admin/auth/credentials";

impl Fixture {
    async fn change_access(&self, body: Value) -> Answer {
        self.call(Method::POST, CONFIG, Some(KEY), &body.to_string()).await
    }

    /// Has a vendor say of a credential whether it is valid.
    async fn say(&self, number: u8, verdict: Verdict) {
        let validity = Validity { valid: Duration::from_hours(1), invalid: Duration::from_mins(5) };
        let whose = (CredentialType::Oauth, "anthropic");
        let now = self.state.policies.now();
        let question = move || async move { verdict }.boxed();
        self.state.access.verdicts.find([number; 16], whose, (validity, now), question).await;
    }
}

#[tokio::test]
async fn any_part_is_changed_and_the_rest_stays() {
    let fixture = Fixture::new().await;
    let mut expected = json!({
        "auth_mode": "both", "validate_credentials": false, "valid_cache_ttl_seconds": 3600,
        "invalid_cache_ttl_seconds": 300, "updated_at": null, "updated_by": null, "message": null,
    });
    assert_eq!(fixture.get(CONFIG).await.json(), expected);
    assert_eq!(fixture.change_access(json!({})).await.json(), expected, "nothing was to be changed");
    for (body, by) in [
        (json!({"auth_mode": "passthrough", "updated_by": "ada"}), "ada"),
        (json!({"validate_credentials": true, "valid_cache_ttl_seconds": 60}), "api"),
        (json!({"invalid_cache_ttl_seconds": 0, "auth_mode": "both", "updated_by": "bob"}), "bob"),
    ] {
        let changed = fixture.change_access(body.clone()).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
        let changed = changed.json();
        for (name, value) in body.as_object().unwrap() {
            expected[name] = value.clone();
        }
        expected["updated_by"] = json!(by);
        expected["updated_at"] = changed["updated_at"].clone();
        assert!(changed["updated_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!(changed, expected);
        assert_eq!(fixture.get(CONFIG).await.json(), expected);
    }
    let rules = AccessRules::from(&*fixture.state.settings.current());
    let validity = Validity { valid: Duration::from_mins(1), invalid: Duration::ZERO };
    assert_eq!(rules, AccessRules { mode: AuthMode::Both, validation: Some(validity) });
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_field_and_nothing_is_changed() {
    let fixture = Fixture::new().await;
    for (name, value) in [
        ("auth_mode", json!("open")),
        ("auth_mode", json!(5)),
        ("validate_credentials", json!("yes")),
        ("valid_cache_ttl_seconds", json!(-1)),
        ("valid_cache_ttl_seconds", json!(604_801)),
        ("invalid_cache_ttl_seconds", json!(1.5)),
        ("invalid_cache_ttl_seconds", json!("300")),
        ("mode", json!("both")),
    ] {
        let mut body = json!({"auth_mode": "client_key"});
        body[name] = value.clone();
        let refused = fixture.change_access(body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {value}");
        assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", name]));
    }
    assert_eq!(fixture.get(CONFIG).await.json()["auth_mode"], "both");
}

#[tokio::test]
async fn a_mode_that_lets_nobody_in_says_so_until_there_is_a_key() {
    let fixture = Fixture::new().await;
    let changed = fixture.change_access(json!({"auth_mode": "client_key"})).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert!(changed.json()["message"].as_str().unwrap().contains("nobody can call now"));
    let made = fixture.call(Method::POST, "/api/admin/client-keys", Some(KEY), r#"{"name": "ada"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(fixture.get(CONFIG).await.json()["message"], Value::Null);
}

#[tokio::test]
async fn the_older_word_for_the_mode_is_understood() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.change_access(json!({"auth_mode": "proxy_key"})).await.json()["auth_mode"], "client_key");
}

#[tokio::test]
async fn what_vendors_have_said_is_listed_and_forgotten() {
    let fixture = Fixture::new().await;
    fixture.change_access(json!({"validate_credentials": true})).await;
    assert_eq!(fixture.get(CREDENTIALS).await.json(), json!({"credentials": [], "count": 0}));
    fixture.say(1, Verdict::Valid).await;
    fixture.say(0xab, Verdict::Invalid).await;
    let list = fixture.get(CREDENTIALS).await.json();
    assert_eq!(list["count"], 2);
    let one = &list["credentials"][0];
    let expected = json!({
        "key_hash": "ab".repeat(16), "credential_type": "oauth", "upstream": "anthropic", "valid": false,
        "validated_at": one["validated_at"], "last_used_at": one["validated_at"], "expires_at": one["expires_at"],
    });
    assert_eq!(one, &expected);
    let time = |name: &str| one[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time("expires_at").duration_since(time("validated_at")).as_secs(), 300);

    let path = format!("{CREDENTIALS}/{}", "ab".repeat(16));
    let forgotten = fixture.call(Method::DELETE, &path, Some(KEY), "").await;
    assert_eq!(forgotten.json(), json!({"success": true, "count": 1}));
    assert_eq!(fixture.call(Method::DELETE, &path, Some(KEY), "").await.status, StatusCode::NOT_FOUND);
    fixture.say(2, Verdict::Valid).await;
    let cleared = fixture.call(Method::DELETE, CREDENTIALS, Some(KEY), "").await;
    assert_eq!(cleared.json(), json!({"success": true, "count": 2}));
    assert_eq!(fixture.get(CREDENTIALS).await.json()["count"], 0);
}

#[tokio::test]
async fn billing_says_with_what_the_last_caller_came() {
    let fixture = Fixture::new().await;
    let path = "/api/admin/billing-status";
    let nobody = json!({"auth_mode": "both", "last_credential_type": null, "last_credential_at": null});
    assert_eq!(fixture.get(path).await.json(), nobody);
    let at: Timestamp = "2026-01-31T12:00:00.25Z".parse().unwrap();
    fixture.state.access.used(CredentialType::ClientKey, at);
    let last = json!({
        "auth_mode": "both", "last_credential_type": "client_key", "last_credential_at": "2026-01-31T12:00:00.25Z",
    });
    assert_eq!(fixture.get(path).await.json(), last);
}
