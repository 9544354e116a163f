//! Setting, reading and listing policies.

use std::time::Duration;

use luthien_policy::contract::Watch;
use rstest::rstest;
use serde_json::json;

use super::*;

#[tokio::test]
async fn what_is_set_is_active_and_read_back_exactly() {
    let fixture = Fixture::new().await;
    let before = fixture.get("/api/admin/policy/current").await.json();
    assert_eq!(
        (&before["class_ref"], &before["enabled_by"], &before["version"]),
        (&json!("no_op"), &json!("default"), &json!(0))
    );

    let config = json!({"policies": [{"class": "no_op", "config": {}}, {"type": "all_caps"}]});
    let body = json!({"policy_class_ref": "serial", "config": config, "enabled_by": "a person"});
    let answer = fixture.set(&body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let result = answer.json();
    assert_eq!(
        (&result["success"], &result["policy"], &result["error"]),
        (&json!(true), &json!("serial"), &json!(null))
    );
    assert!(result["restart_duration_ms"].is_number());
    assert_eq!((&result["troubleshooting"], &result["validation_errors"]), (&json!([]), &json!([])));

    let current = fixture.get("/api/admin/policy/current").await.json();
    assert_eq!(
        (&current["class_ref"], &current["enabled_by"], &current["version"]),
        (&json!("serial"), &json!("a person"), &json!(1))
    );
    assert_eq!(current["config"].to_string(), config.to_string());
    assert!(current["enabled_at"].as_str().unwrap().ends_with('Z'));
    assert!(fixture.state.policies.live().load().usual().label().contains("all_caps"));
}

#[tokio::test]
async fn a_policy_can_be_set_to_only_watch() {
    let fixture = Fixture::new().await;
    let body = json!({"policy_class_ref": "all_caps", "mode": "shadow"});
    assert_eq!(fixture.set(&body.to_string()).await.json()["success"], true);
    assert_eq!(fixture.get("/api/admin/policy/current").await.json()["mode"], "shadow");
    assert_eq!(fixture.state.policies.live().load().usual().plan.watches(), Watch::default());
}

#[tokio::test]
async fn older_class_paths_are_taken_and_kept_as_given() {
    let fixture = Fixture::new().await;
    let class = "luthien_proxy.policies.all_caps_policy:AllCapsPolicy";
    let answer = fixture.set(&json!({"policy_class_ref": class}).to_string()).await;
    assert_eq!(answer.json()["success"], true);
    let current = fixture.get("/api/admin/policy/current").await.json();
    assert_eq!(
        (&current["class_ref"], &current["config"], &current["enabled_by"]),
        (&json!(class), &json!({}), &json!("api"))
    );
}

#[rstest]
#[case(json!({"policy_class_ref": "all_cap"}), json!(["class"]), "unknown_class")]
#[case(json!({"policy_class_ref": "all_caps", "config": {"loud": true}}), json!(["loud"]), "unknown_field")]
#[case(json!({"policy_class_ref": "serial", "config": {"policies": [{"class": "nope"}]}}), json!(["policies", "0", "class"]), "unknown_class")]
#[tokio::test]
async fn a_policy_that_does_not_load_leaves_the_old_one(#[case] body: Value, #[case] loc: Value, #[case] kind: &str) {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.set(&json!({"policy_class_ref": "all_caps"}).to_string()).await.json()["success"], true);
    let before = fixture.get("/api/admin/policy/current").await.text;
    let answer = fixture.set(&body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let result = answer.json();
    assert_eq!((&result["success"], &result["policy"]), (&json!(false), &json!(null)));
    assert!(result["error"].is_string());
    assert_eq!(result["troubleshooting"].as_array().unwrap().len(), 1);
    assert_eq!((&result["validation_errors"][0]["loc"], &result["validation_errors"][0]["type"]), (&loc, &json!(kind)));
    assert_eq!(fixture.get("/api/admin/policy/current").await.text, before);
}

#[rstest]
#[case("", &["body"], "json_invalid")]
#[case("[1]", &["body"], "object_type")]
#[case("{\"policy_class_ref\": \"no_op\"", &["body"], "json_invalid")]
#[case("{}", &["body", "policy_class_ref"], "missing")]
#[case("{\"policy_class_ref\": 5}", &["body", "policy_class_ref"], "string_type")]
#[case("{\"policy_class_ref\": \"no_op\", \"config\": []}", &["body", "config"], "dict_type")]
#[case("{\"policy_class_ref\": \"no_op\", \"enabled_by\": {}}", &["body", "enabled_by"], "string_type")]
#[case("{\"policy_class_ref\": \"no_op\", \"mode\": \"half\"}", &["body", "mode"], "enum")]
#[tokio::test]
async fn a_wrong_field_is_422_with_its_place(#[case] body: &str, #[case] loc: &[&str], #[case] kind: &str) {
    let fixture = Fixture::new().await;
    let answer = fixture.set(body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let detail = answer.json()["detail"].clone();
    assert_eq!((&detail[0]["loc"], &detail[0]["type"]), (&json!(loc), &json!(kind)));
    assert!(detail[0]["msg"].is_string());
}

#[tokio::test]
async fn a_body_beyond_reason_is_refused() {
    let fixture = Fixture::new().await;
    let body = json!({"policy_class_ref": "no_op", "config": {"x": "y".repeat(1 << 20)}}).to_string();
    assert_eq!(fixture.set(&body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn one_change_at_a_time() {
    let fixture = Fixture::new().await;
    let turn = fixture.state.policies.hold();
    assert!(turn.is_some());
    let body = json!({"policy_class_ref": "all_caps"}).to_string();
    let answer = fixture.set(&body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(answer.json()["detail"].is_string());
    drop(turn);
    assert_eq!(fixture.set(&body).await.json()["success"], true);
}

#[tokio::test]
async fn the_list_has_every_policy_with_an_example_that_loads() {
    let fixture = Fixture::new().await;
    let list = fixture.get("/api/admin/policy/list").await.json();
    let policies = list["policies"].as_array().unwrap();
    assert!(policies.len() >= 3);
    for policy in policies {
        for field in [
            "name",
            "class_ref",
            "description",
            "config_schema",
            "example_config",
            "category",
            "display_name",
            "short_description",
            "catalog_badges",
        ] {
            assert!(!policy[field].is_null(), "{field} of {policy}");
        }
        let body = json!({"policy_class_ref": policy["class_ref"], "config": policy["example_config"]});
        let answer = fixture.set(&body.to_string()).await.json();
        assert_eq!(answer["success"], true, "{answer}");
    }
}

#[tokio::test]
async fn the_active_policy_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let fixture = Fixture::on(folder.path()).await;
        let body = json!({"policy_class_ref": "all_caps", "enabled_by": "a person"}).to_string();
        assert_eq!(fixture.set(&body).await.json()["success"], true);
        fixture.state.recorder.shutdown(Duration::from_secs(10)).await;
        fixture.get("/api/admin/policy/current").await.text
    };
    let fixture = Fixture::on(folder.path()).await;
    assert_eq!(fixture.get("/api/admin/policy/current").await.text, before);
}
