//! Deletion on request, and how retention stands.

use serde_json::json;

use super::recorded::{listed, record};
use super::*;

#[tokio::test]
async fn a_session_is_deleted_once() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    let path = format!("/api/history/sessions/{}", listed(&fixture).await);
    let answer = fixture.call(Method::DELETE, &format!("{path}?deleted_by=me"), Some(KEY), "").await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({
        "kind": "session", "id": "a session/\"<b>", "transactions": 1, "sessions": 1, "complete": true, "deleted_by": "me",
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(fixture.call(Method::DELETE, &path, Some(KEY), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(fixture.get("/api/history/sessions").await.json()["total"], 0);
}

#[tokio::test]
async fn a_user_is_deleted_with_all_their_transactions() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    let unknown = fixture.call(Method::DELETE, "/api/history/users/bob", Some(KEY), "").await;
    assert_eq!(
        (unknown.status, unknown.json()),
        (StatusCode::NOT_FOUND, json!({"detail": "nothing is recorded of this user"}))
    );
    assert_eq!(
        fixture.call(Method::DELETE, "/api/history/users/u%2F1", None, "").await.status,
        StatusCode::UNAUTHORIZED
    );
    let answer = fixture.call(Method::DELETE, "/api/history/users/u%2F1", Some(KEY), "").await.json();
    assert_eq!(
        (&answer["transactions"], &answer["sessions"], &answer["deleted_by"]),
        (&json!(1), &json!(1), &json!("api"))
    );
    assert_eq!(fixture.get("/api/history/sessions").await.json()["total"], 0);
}

#[tokio::test]
async fn how_retention_stands_is_told() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    let told = fixture.get("/api/admin/retention").await.json();
    assert_eq!((&told["transactions"], &told["oldest"]), (&json!(1), &json!("2026-01-31T12:00:00Z")));
    assert_eq!(
        (&told["max_age_seconds"], &told["running"], &told["last_run"]),
        (&json!(null), &json!(false), &json!(null))
    );
    assert!(told["bytes"].as_u64().unwrap() > 0, "{told}");
}
