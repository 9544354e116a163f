//! Stored credentials and inference providers through the routes.

use serde_json::json;

use super::*;

const CREDENTIALS: &str = "/api/admin/credentials";
const PROVIDERS: &str = "/api/admin/inference-providers";
const VALUE: &str = "sk-canary-that-nobody-may-see";

impl Fixture {
    async fn add(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(KEY), &body.to_string()).await
    }

    async fn remove(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, Some(KEY), "").await
    }
}

#[tokio::test]
async fn a_credential_is_stored_replaced_listed_and_removed_and_its_value_never_shown() {
    let fixture = Fixture::new().await;
    let body = json!({"name": "local-key", "value": VALUE, "credential_type": "auth_token", "platform": "local",
        "platform_url": "http://127.0.0.1:9000/v1", "created_by": "ada"});
    let stored = fixture.add(CREDENTIALS, body).await;
    assert_eq!(
        (stored.status, stored.json()),
        (StatusCode::OK, json!({"success": true, "name": "local-key", "replaced": false}))
    );
    let again = fixture.add(CREDENTIALS, json!({"name": "local-key", "value": format!("{VALUE}-2\n")})).await;
    assert_eq!(again.json()["replaced"], true);

    let list = fixture.get(CREDENTIALS).await;
    let listed = &list.json()["credentials"][0];
    assert_eq!(
        (&listed["name"], &listed["platform"], &listed["platform_url"]),
        (&json!("local-key"), &json!("anthropic"), &json!(null))
    );
    assert_eq!((&listed["credential_type"], &listed["status"]), (&json!("api_key"), &json!("ok")));
    assert_eq!(
        (&listed["created_by"], &listed["updated_by"], &listed["used_by"]),
        (&json!("ada"), &json!("api"), &json!([]))
    );
    let one = fixture.get("/api/admin/credentials/local-key").await;
    assert_eq!(&one.json(), listed);
    let health = fixture.get("/health").await;
    for text in [&stored.text, &again.text, &list.text, &one.text, &health.text] {
        assert!(!text.contains("canary"), "{text}");
    }

    let removed = fixture.remove("/api/admin/credentials/local-key").await;
    assert_eq!(removed.json(), json!({"success": true, "name": "local-key"}));
    assert_eq!(fixture.remove("/api/admin/credentials/local-key").await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get("/api/admin/credentials/local-key").await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get(CREDENTIALS).await.json(), json!({"credentials": [], "count": 0}));
}

#[tokio::test]
async fn the_value_is_in_no_file_of_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::on(folder.path()).await;
    fixture.add(CREDENTIALS, json!({"name": "a", "value": VALUE})).await;
    fixture.state.recorder.settled().await;
    let mut looked = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(memchr::memmem::find(&bytes, VALUE.as_bytes()).is_none(), "{}", path.display());
            looked += 1;
        }
    }
    assert!(looked >= 2, "database and key file");
    let kept = format!("{:?}", fixture.state.recorder.store().credentials().await.unwrap());
    assert!(!kept.contains(VALUE), "{kept}");
}

#[tokio::test]
async fn what_is_wrong_with_a_credential_is_told_by_its_field_and_without_its_value() {
    let fixture = Fixture::new().await;
    for (body, field) in [
        (json!({"value": VALUE}), "name"),
        (json!({"name": "a/b", "value": VALUE}), "name"),
        (json!({"name": "a"}), "value"),
        (json!({"name": "a", "value": " "}), "value"),
        (json!({"name": "a", "value": format!("{VALUE} x")}), "value"),
        (json!({"name": "a", "value": VALUE, "credential_type": "password"}), "credential_type"),
        (json!({"name": "a", "value": VALUE, "platform_url": "ftp://x"}), "platform_url"),
        (json!({"name": "a", "value": VALUE, "platform": ""}), "platform"),
        (json!({"name": "a", "value": VALUE, "key": VALUE}), "key"),
    ] {
        let refused = fixture.add(CREDENTIALS, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", field]));
        assert!(!refused.text.contains(VALUE), "{}", refused.text);
    }
    assert_eq!(fixture.get(CREDENTIALS).await.json()["count"], 0);
}

#[tokio::test]
async fn a_credential_in_use_is_removed_only_by_force() {
    let fixture = Fixture::new().await;
    fixture.add(CREDENTIALS, json!({"name": "key", "value": VALUE})).await;
    fixture.add(PROVIDERS, json!({"name": "small", "backend_type": "direct_api", "credential_name": "key"})).await;
    let path = "/api/admin/credentials/key";
    assert_eq!(fixture.get(path).await.json()["used_by"], json!(["inference provider small"]));
    let refused = fixture.remove(path).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.json()["detail"].as_str().unwrap().contains("inference provider small"), "{}", refused.text);
    assert_eq!(fixture.remove(&format!("{path}?force=maybe")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(fixture.remove(&format!("{path}?force=true")).await.status, StatusCode::OK);
    let listed = fixture.get("/api/admin/inference-providers/small").await.json();
    assert!(listed["problem"].as_str().unwrap().contains("`key` is not stored"), "{listed}");
    let health = fixture.get("/health").await.json();
    assert_eq!((&health["status"], &health["checks"]["credentials"]["missing"]), (&json!("degraded"), &json!(1)));
}

#[tokio::test]
async fn a_credential_that_no_key_opens_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::on(folder.path()).await;
    fixture.add(CREDENTIALS, json!({"name": "key", "value": VALUE})).await;
    std::fs::write(folder.path().join("credentials.key"), format!("{}\n", "33".repeat(32))).unwrap();
    fixture.state.credentials.take(fixture.state.recorder.store()).await.unwrap();
    let listed = fixture.get("/api/admin/credentials/key").await.json();
    assert_eq!(listed["status"], "unreadable");
    assert!(listed["problem"].as_str().unwrap().contains("sealed with another key"), "{listed}");
    let health = fixture.get("/health").await.json();
    assert_eq!((&health["status"], &health["checks"]["credentials"]["unreadable"]), (&json!("degraded"), &json!(1)));
}

#[tokio::test]
async fn a_provider_is_set_up_listed_and_removed() {
    let fixture = Fixture::new().await;
    let known = json!(["direct_api", "claude_code", "messages", "chat", "responses"]);
    let none = fixture.get(PROVIDERS).await.json();
    assert_eq!(none, json!({"providers": [], "count": 0, "known_backend_types": known}));
    let config = json!({"base_url": "http://127.0.0.1:9000/v1"});
    let body = json!({"name": "small", "backend_type": "chat", "default_model": "qwen", "config": config});
    let made = fixture.add(PROVIDERS, body).await;
    assert_eq!((made.status, made.json()), (StatusCode::OK, json!({"success": true, "name": "small"})));
    let listed = fixture.get(PROVIDERS).await.json()["providers"][0].clone();
    assert_eq!(
        (&listed["backend_type"], &listed["default_model"], &listed["config"]),
        (&json!("chat"), &json!("qwen"), &config)
    );
    assert_eq!((&listed["credential_name"], &listed["problem"]), (&json!(null), &json!(null)));
    assert_eq!(
        fixture.remove("/api/admin/inference-providers/small").await.json(),
        json!({"success": true, "name": "small"})
    );
    for unknown in ["small", "x"] {
        let path = format!("{PROVIDERS}/{unknown}");
        assert_eq!(fixture.remove(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(fixture.get(&path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_provider_is_told() {
    let fixture = Fixture::new().await;
    fixture
        .add(
            CREDENTIALS,
            json!({"name": "key", "value": VALUE, "platform": "local", "platform_url": "http://127.0.0.1:1"}),
        )
        .await;
    let unknown = fixture.add(PROVIDERS, json!({"name": "p", "backend_type": "telepathy"})).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert!(
        unknown.json()["detail"].as_str().unwrap().contains("direct_api, claude_code, messages"),
        "{}",
        unknown.text
    );
    let elsewhere = json!({"base_url": "http://127.0.0.1:2"});
    for (body, field) in [
        (json!({"backend_type": "chat"}), "name"),
        (json!({"name": "p"}), "backend_type"),
        (json!({"name": "p", "backend_type": "chat"}), "config"),
        (json!({"name": "p", "backend_type": "chat", "config": {"url": "http://x"}}), "config"),
        (json!({"name": "p", "backend_type": "chat", "config": {"base_url": "x"}}), "config"),
        (json!({"name": "p", "backend_type": "chat", "credential_name": "key", "config": elsewhere}), "config"),
        (json!({"name": "p", "backend_type": "direct_api"}), "credential_name"),
        (json!({"name": "p", "backend_type": "direct_api", "credential_name": "key"}), "credential_name"),
        (json!({"name": "p", "backend_type": "claude_code", "credential_name": "key"}), "credential_name"),
    ] {
        let refused = fixture.add(PROVIDERS, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field} {}", refused.text);
        assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", field]), "{}", refused.text);
    }
    assert_eq!(fixture.get(PROVIDERS).await.json()["count"], 0);
}
