//! Caps through the routes.

use luthien_record::store::{Spender, Spent, SpentOn};
use serde_json::json;

use super::*;
use crate::caps::{Caps, Defaults, ScopeId, day_of};

impl Fixture {
    async fn put_caps(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, &format!("/api/admin/caps/{path}"), Some(KEY), &body.to_string()).await
    }

    /// What somebody has used now.
    async fn used(&self, scope: &str, id: &str, owner: &str, tokens: u64) {
        let who = Spender { scope: scope.into(), id: id.into(), owner: owner.into() };
        let spent = Spent { tokens, nanodollars: 1_500_000_000, judge_calls: 2 };
        let day = day_of(self.state.policies.now());
        self.state.recorder.store().spend(&[SpentOn { who, day, spent }]).await.unwrap();
    }
}

#[tokio::test]
async fn caps_are_set_shown_with_what_was_used_and_taken_back() {
    let fixture = Fixture::new().await;
    fixture
        .state
        .caps
        .set(Defaults { user: Caps { tokens_per_day: Some(50), ..Caps::default() }, ..Defaults::default() }, 0);
    let set = fixture
        .put_caps("user/ada", json!({"caps": {"tokens_per_day": 70, "dollars_per_day": 2.5}, "set_by": "bob"}))
        .await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text);
    let who = ScopeId::User("ada".into());
    let held = fixture.state.caps.of(&who, None);
    assert_eq!(
        (held.tokens_per_day, held.dollars_per_day.map(|most| most.to_string())),
        (Some(50), Some("2.5".into()))
    );
    fixture.used("user", "ada", "", 40).await;
    let shown = fixture.get("/api/admin/caps/user/ada").await.json();
    assert_eq!(shown["caps"], json!({"tokens_per_day": 70, "dollars_per_day": "2.5"}));
    assert_eq!(shown["effective"], json!({"tokens_per_day": 50, "dollars_per_day": "2.5"}));
    assert_eq!(shown["set_by"], "bob");
    let amount = json!({"tokens": 40, "dollars": "1.5", "judge_calls": 2});
    let used = json!([{"key": null, "today": amount, "in_all": amount, "concurrent_streams": 0}]);
    assert_eq!(shown["used"], used);
    let all = fixture.get("/api/admin/caps").await.json();
    assert_eq!((&all["caps"], &all["defaults"]["user"]), (&json!([shown]), &json!({"tokens_per_day": 50})));
    let path = "/api/admin/caps/user/ada";
    let gone = fixture.call(Method::DELETE, path, Some(KEY), "").await;
    assert_eq!((gone.status, gone.json()), (StatusCode::OK, json!({"success": true, "scope": "user", "id": "ada"})));
    assert_eq!(fixture.state.caps.of(&who, None).dollars_per_day, None);
    assert_eq!(fixture.call(Method::DELETE, path, Some(KEY), "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_sessions_use_is_shown_for_each_of_its_keys() {
    let fixture = Fixture::new().await;
    let (one, two) = ("1".repeat(32), "2".repeat(32));
    fixture.used("session", "s", &one, 10).await;
    fixture.used("session", "s", &two, 20).await;
    let shown = fixture.get("/api/admin/caps/session/s").await.json();
    let used = shown["used"].as_array().unwrap();
    let tokens: Vec<_> = used.iter().map(|used| (used["key"].clone(), used["in_all"]["tokens"].clone())).collect();
    assert_eq!(tokens, [(json!(one), json!(10)), (json!(two), json!(20))]);
    assert_eq!((&shown["caps"], &shown["effective"]), (&Value::Null, &json!({})));
}

#[tokio::test]
async fn caps_that_mean_nothing_are_refused_with_their_place() {
    let fixture = Fixture::new().await;
    let cases = [
        ("user/ada", json!({}), "is required"),
        ("user/ada", json!({"caps": {}}), "at least one cap"),
        ("user/ada", json!({"caps": {"tokens": 5}}), "unknown field `tokens`"),
        ("user/ada", json!({"caps": {"tokens_in_all": 5}}), "is for sessions"),
        ("user/ada", json!({"caps": {"tokens_per_day": 5}, "more": 1}), "more"),
        ("team/ada", json!({"caps": {"tokens_per_day": 5}}), "`key`, `session` or `user`"),
        ("key/ada", json!({"caps": {"tokens_per_day": 5}}), "32 hexadecimal digits"),
    ];
    for (path, body, expected) in cases {
        let refused = fixture.put_caps(path, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {}", refused.text);
        assert!(refused.text.contains(expected), "{expected}: {}", refused.text);
    }
    assert_eq!(fixture.get("/api/admin/caps").await.json()["caps"], json!([]));
}
