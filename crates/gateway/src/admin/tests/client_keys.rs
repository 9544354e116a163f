//! Client keys through the routes.

use serde_json::json;

use super::*;
use crate::client_keys::Known;

impl Fixture {
    async fn make(&self, body: Value) -> Answer {
        self.call(Method::POST, "/api/admin/client-keys", Some(KEY), &body.to_string()).await
    }
}

#[tokio::test]
async fn a_key_is_told_once_listed_and_revoked() {
    let fixture = Fixture::new().await;
    let body = json!({"name": "ada's laptop", "limits": {"requests_per_minute": 60}, "for": "2h", "created_by": "ada"});
    let made = fixture.make(body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    let key = made["api_key"].as_str().expect("the key").to_owned();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert!(matches!(fixture.state.client_keys.find(key.as_bytes(), fixture.state.policies.now()), Known::Key(_)));
    let list = fixture.get("/api/admin/client-keys").await;
    assert!(!list.text.contains(&key));
    let listed = &list.json()["client_keys"][0];
    assert_eq!((&listed["name"], &listed["status"]), (&json!("ada's laptop"), &json!("active")));
    assert_eq!((&listed["limits"], &listed["created_by"]), (&json!({"requests_per_minute": 60}), &json!("ada")));
    assert!(key.starts_with(listed["start"].as_str().unwrap()) && listed["expires_at"].is_string());
    let path = format!("/api/admin/client-keys/{id}");
    assert_eq!(&fixture.get(&path).await.json(), listed);

    let revoked = fixture.call(Method::DELETE, &format!("{path}?revoked_by=bob"), Some(KEY), "").await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(revoked.json()["client_key"]["revoked_by"], "bob");
    let found = fixture.state.client_keys.find(key.as_bytes(), fixture.state.policies.now());
    assert_eq!(found, Known::Ended("this gateway key has been revoked"));
    assert_eq!(fixture.call(Method::DELETE, &path, Some(KEY), "").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_by_its_field() {
    let fixture = Fixture::new().await;
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"name": "x", "limits": {"dollars": 5}}), "limits"),
        (json!({"name": "x", "limits": {"requests_per_minute": -1}}), "limits"),
        (json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "x", "key": "lth-mine"}), "key"),
    ] {
        let refused = fixture.make(body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", field]));
    }
    assert_eq!(fixture.get("/api/admin/client-keys").await.json(), json!({"client_keys": [], "count": 0}));
    for unknown in ["00000000-0000-0000-0000-000000000000", "x"] {
        assert_eq!(fixture.get(&format!("/api/admin/client-keys/{unknown}")).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_key_is_made_with_its_policy() {
    let fixture = Fixture::new().await;
    let policy = json!({"policy_class_ref": "all_caps", "config": {}, "mode": "shadow"});
    let made = fixture.make(json!({"name": "bob", "policy": policy, "for": "2h", "created_by": "ada"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let made = made.json();
    let given = &made["assignment"];
    assert_eq!(given["scope"], json!({"kind": "key", "key": made["key"]}));
    assert_eq!((&given["policy_class_ref"], &given["mode"]), (&json!("all_caps"), &json!("shadow")));
    assert_eq!((&given["how"], &given["set_by"]), (&json!("replace"), &json!("ada")));
    assert_eq!(given["expires_at"], made["expires_at"]);
    let listed = fixture.get("/api/admin/policy/assignments").await.json();
    assert_eq!((&listed["total"], &listed["assignments"][0]), (&json!(1), given));
    let key = made["key"].as_str().expect("the key's id");
    let effective = fixture.get(&format!("/api/admin/policy/effective?key={key}")).await.json();
    assert_eq!(effective["policy"], "all_caps");

    let plain = fixture.make(json!({"name": "eve"})).await.json();
    assert!(plain.get("assignment").is_none(), "{plain}");
    assert_eq!(fixture.get("/api/admin/policy/assignments").await.json()["total"], 1);
}

#[tokio::test]
async fn no_key_is_made_where_its_policy_is_refused() {
    let fixture = Fixture::new().await;
    let judge = json!({"probability_threshold": 7});
    for (policy, place) in [
        (json!("all_caps"), json!(["body", "policy"])),
        (json!({}), json!(["body", "policy", "policy_class_ref"])),
        (json!({"policy_class_ref": "nobody_s"}), json!(["body", "policy", "policy_class_ref"])),
        (
            json!({"policy_class_ref": "serial", "config": {"policies": [{"class": "nope"}]}}),
            json!(["body", "policy", "config", "policies", "0", "class"]),
        ),
        (json!({"policy_class_ref": "all_caps", "mode": "loud"}), json!(["body", "policy", "mode"])),
        (json!({"policy_class_ref": "all_caps", "how": "add"}), json!(["body", "policy", "how"])),
        (
            json!({"policy_class_ref": "tool_call_judge", "config": judge}),
            json!(["body", "policy", "config", "probability_threshold"]),
        ),
    ] {
        let refused = fixture.make(json!({"name": "bob", "policy": policy})).await;
        assert_eq!((refused.status, &refused.json()["detail"][0]["loc"]), (StatusCode::UNPROCESSABLE_ENTITY, &place));
    }
    let held = fixture.state.policies.hold().expect("nobody else");
    let busy = fixture.make(json!({"name": "bob", "policy": {"policy_class_ref": "all_caps"}})).await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE, "{}", busy.text);
    drop(held);
    assert_eq!(fixture.get("/api/admin/client-keys").await.json()["count"], 0);
    assert_eq!(fixture.get("/api/admin/policy/assignments").await.json()["total"], 0);
}
