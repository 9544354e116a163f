//! Settings through the routes.

use serde_json::json;

use super::*;

impl Fixture {
    async fn setting(&self, name: &str) -> Value {
        let list = self.get("/api/admin/config").await.json();
        let all = list["config"].as_array().expect("a list").clone();
        all.into_iter().find(|setting| setting["name"] == name).expect("the setting")
    }

    async fn put(&self, name: &str, body: Value) -> Answer {
        self.call(Method::PUT, &format!("/api/admin/config/{name}"), Some(KEY), &body.to_string()).await
    }
}

#[tokio::test]
async fn a_setting_is_changed_while_running_and_taken_back() {
    let fixture = Fixture::new().await;
    let before = fixture.setting("rate_limit_rpm").await;
    let expected = json!({
        "name": "rate_limit_rpm", "env_var": "RATE_LIMIT_RPM", "category": "limits", "type": "number", "value": 0,
        "source": "default", "default": 0, "db_settable": true, "restart_required": false, "sensitive": false,
        "overrides": [], "description": before["description"],
    });
    assert_eq!(before, expected);
    let changed = fixture.put("rate_limit_rpm", json!({"value": 60, "set_by": "ada"})).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!((&changed.json()["value"], &changed.json()["source"]), (&json!(60), &json!("db")));
    assert_eq!(fixture.state.settings.current().rate_limit_rpm, 60);
    let back = fixture.call(Method::DELETE, "/api/admin/config/rate_limit_rpm", Some(KEY), "").await;
    assert_eq!((back.status, back.json()), (StatusCode::OK, before));
}

#[tokio::test]
async fn values_are_as_json_has_them() {
    let fixture = Fixture::new().await;
    for (name, kind, value) in [
        ("trust_user_id_header", "switch", json!(false)),
        ("port", "number", json!(8000)),
        ("worker_threads", "number", Value::Null),
        ("retention_interval", "duration", json!("1h")),
        ("host", "text", json!("127.0.0.1")),
    ] {
        let setting = fixture.setting(name).await;
        assert_eq!((&setting["type"], &setting["default"]), (&json!(kind), &value), "{name}");
        assert_eq!(setting["value"], value, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_changed_says_why() {
    let fixture = Fixture::new().await;
    let cases = [
        ("no_such_thing", json!({"value": "1"}), StatusCode::NOT_FOUND, "no setting"),
        ("port", json!({"value": "1"}), StatusCode::BAD_REQUEST, "GATEWAY_PORT"),
        ("rate_limit_rpm", json!({"value": "many"}), StatusCode::UNPROCESSABLE_ENTITY, "whole number"),
        ("rate_limit_rpm", json!({"value": null}), StatusCode::UNPROCESSABLE_ENTITY, "required"),
        ("rate_limit_rpm", json!({"value": 1, "by": "x"}), StatusCode::UNPROCESSABLE_ENTITY, "not known"),
    ];
    for (name, body, status, expected) in cases {
        let answer = fixture.put(name, body).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.text.contains(expected), "{}", answer.text);
    }
    assert_eq!(fixture.setting("rate_limit_rpm").await["source"], "default");
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fixture = Fixture::new().await;
    let setting = fixture.setting("admin_api_key").await;
    assert_eq!(
        (&setting["sensitive"], &setting["value"], &setting["default"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
}
