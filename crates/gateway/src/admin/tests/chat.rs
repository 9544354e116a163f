//! Trying a message, the models that are known, and the telemetry that there is not.

use serde_json::json;

use super::*;

impl Fixture {
    async fn chat(&self, body: Value) -> Answer {
        self.call(Method::POST, "/api/admin/test/chat", Some(KEY), &body.to_string()).await
    }
}

#[tokio::test]
async fn a_message_goes_through_the_policies_to_the_model_and_back() {
    let fixture = Fixture::new().await;
    let (policy, usage) = (json!({"policy_class_ref": "all_caps"}), json!({"input_tokens": 7, "output_tokens": 5}));
    let tried = fixture.chat(json!({"model": "m", "message": "hello", "policy": policy})).await;
    let expected = json!({
        "success": true, "content": "M SAYS HELLO", "before_content": "m says hello", "error": null, "model": "m",
        "usage": usage, "before_usage": usage,
    });
    assert_eq!((tried.status, tried.json()), (StatusCode::OK, expected));
    // The policy in force is another one.
    let tried = fixture.chat(json!({"model": "m", "message": "hello", "stream": true})).await.json();
    assert_eq!((&tried["content"], &tried["before_content"]), (&json!("m says hello"), &json!("m says hello")));
}

#[tokio::test]
async fn the_mock_asks_nobody_and_repeats_the_message() {
    let fixture = Fixture::new().await;
    let tried = fixture.chat(json!({"model": "m", "message": "fail", "use_mock": true})).await.json();
    let expected = json!({
        "success": true, "content": "[mock] fail", "before_content": "[mock] fail", "error": null, "model": "m",
        "usage": {"input_tokens": null, "output_tokens": null}, "before_usage": {"input_tokens": null, "output_tokens": null},
    });
    assert_eq!(tried, expected);
}

#[tokio::test]
async fn what_was_tried_is_recorded_as_that() {
    let fixture = Fixture::new().await;
    fixture.chat(json!({"model": "m", "message": "hello", "use_mock": true})).await;
    fixture.state.recorder.settled().await;
    let calls = fixture.get("/api/debug/calls").await.json();
    assert_eq!((&calls["total"], &calls["calls"][0]["session_id"]), (&json!(1), &json!("test-chat")));
    let call =
        fixture.get(&format!("/api/debug/calls/{}", calls["calls"][0]["call_id"].as_str().unwrap())).await.json();
    let events = call["events"].as_array().unwrap();
    let told = events.iter().find(|event| event["event_type"] == "transaction.test").unwrap();
    assert_eq!(told["payload"], json!({"by": "admin", "mock": true}));
}

#[tokio::test]
async fn what_keeps_an_answer_from_coming_is_told() {
    let fixture = Fixture::new().await;
    let tried = fixture.chat(json!({"model": "m", "message": "fail"})).await.json();
    assert_eq!((&tried["success"], &tried["content"], &tried["usage"]), (&json!(false), &json!(null), &json!(null)));
    assert!(tried["error"].as_str().unwrap().contains("nobody is there"), "{tried}");
    let unknown = json!({"model": "m", "message": "x", "policy": {"policy_class_ref": "nobody_s"}});
    let tried = fixture.chat(unknown).await.json();
    assert!(tried["error"].as_str().unwrap().starts_with("the policy does not load"), "{tried}");
    fixture.call(Method::POST, "/api/admin/panic", Some(KEY), r#"{"mode": "traffic"}"#).await;
    assert_eq!(fixture.chat(json!({"model": "m", "message": "x"})).await.json()["success"], false);
    for (body, field) in [
        (json!({"message": "x"}), "model"),
        (json!({"model": "m", "message": " "}), "message"),
        (json!({"model": "m", "message": "x", "stream": "yes"}), "stream"),
        (json!({"model": "m", "message": "x".repeat(65_537)}), "message"),
        (json!({"model": "m", "message": "x", "credential": "sk"}), "credential"),
    ] {
        let refused = fixture.chat(body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", field]));
    }
}

#[tokio::test]
async fn models_are_those_of_the_settings_and_telemetry_is_none() {
    let fixture = Fixture::new().await;
    let known = fixture.get("/api/admin/models").await.json();
    assert_eq!((&known["models"], &known["rules"]), (&json!([]), &json!([])));
    let anthropic = known["upstreams"].as_array().unwrap().iter().find(|one| one["name"] == "anthropic").unwrap();
    assert_eq!(*anthropic, json!({"name": "anthropic", "dialects": ["messages"], "has_key": false}));
    let none = json!({"enabled": false, "message": "there is no telemetry: nothing is ever sent"});
    assert_eq!(fixture.get("/api/admin/telemetry").await.json(), none);
    let put = fixture.call(Method::PUT, "/api/admin/telemetry", Some(KEY), r#"{"enabled": true}"#).await;
    assert_eq!((put.status, put.json()), (StatusCode::OK, none));
}
