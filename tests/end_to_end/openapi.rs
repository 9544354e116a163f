//! The OpenAPI document and the gateway agree: calls that Schemathesis makes of it find no server error and no answer that it does not tell of.

use http::StatusCode;
use luthien_testkit::{Answer, Upstream};
use luthien_tests::clients::{Run, Tried, schemathesis, validate};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http as web;
use serde_json::{Value, json};

/// Routes for models are the vendors'; this stream has no end, and has tests of its own.
const NOT_THESE: [&str; 4] = ["--exclude-tag", "models", "--exclude-path", "/api/activity/stream"];

/// A gateway that has recorded a session of two turns, and a client key.
struct Filled {
    gateway: Gateway,
    call: String,
    session: String,
    key: String,
    _upstream: Upstream,
}

async fn filled() -> Filled {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Answer::new().say("I will look.").call("Bash", &json!({"command": "ls"})));
    let setup = Setup { upstream: upstream.base_url(), policy: Some(("all_caps", json!({}))) };
    let mut gateway = Gateway::start_with(&setup, &[("ENABLE_REQUEST_LOGGING", "true")]).await;
    let user = format!("user_x_account__session_{}", "01938f00-0000-7000-8000-000000000001");
    for asked in ["What is there?", "And what else?"] {
        let request = json!({
            "model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": asked}], "metadata": {"user_id": user},
        });
        let answer =
            web::post(&format!("{}/v1/messages", gateway.url()), request.to_string()).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
    }
    let calls = gateway.recorded(2).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (call, session) = (text(&calls[0]["call_id"]), text(&calls[0]["session_id"]));
    let made = gateway
        .admin("POST", "/api/admin/client-keys", &json!({"name": "ada", "policy": {"policy_class_ref": "no_op"}}))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made: Value = serde_json::from_slice(&made.body).expect("JSON");
    let named = gateway.admin("PUT", "/api/history/user-labels/ada", &json!({"display_name": "Ada"})).await;
    assert_eq!(named.status, StatusCode::OK);
    Filled { key: text(&made["id"]), gateway, call, session, _upstream: upstream }
}

fn passed(run: &Run) {
    let shown: String = run.stdout.chars().rev().take(20_000).collect::<Vec<_>>().into_iter().rev().collect();
    assert_eq!(run.code, Some(0), "{shown}\n{}", run.stderr);
}

#[tokio::test]
async fn the_document_is_valid() {
    let upstream = Upstream::start().await.expect("an upstream");
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let document = web::get(&format!("{}/openapi.json", gateway.url())).await.expect("the document");
    let document: Value = serde_json::from_slice(&document.body).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    passed(&validate(&document).await);
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_read_is_answered_as_the_document_says() {
    let Filled { gateway, call, session, key, _upstream } = filled().await;
    let mut ids = Vec::new();
    for path in
        ["", "/export", "/export/json", "/export/jsonl"].map(|rest| format!("/api/history/sessions/{{id}}{rest}"))
    {
        ids.push((path, "path.id", session.clone()));
    }
    for path in ["/api/debug/calls/{id}", "/api/debug/calls/{id}/diff", "/api/request-logs/{id}", "/request-logs/{id}"]
    {
        ids.push((path.to_owned(), "path.id", call.clone()));
    }
    ids.push(("/api/admin/client-keys/{id}".to_owned(), "path.id", key));
    ids.push(("/api/admin/policy/assignments/{id}".to_owned(), "path.id", "1".to_owned()));
    ids.push(("/api/history/user-labels/{user_id}".to_owned(), "path.user_id", "ada".to_owned()));
    let ids: Vec<_> = ids.iter().map(|(path, name, id)| (path.as_str(), *name, id.clone())).collect();
    let args = [&NOT_THESE[..], &["--include-method", "GET", "--phases", "examples,coverage,fuzzing"]].concat();

    let run = schemathesis(gateway.url(), &gateway.admin_key(), &Tried { args: &args, ids: &ids, examples: 8 }).await;

    passed(&run);
    // What was asked for was there.
    for (path, name, id) in &ids {
        let path = path.replace(&format!("{{{}}}", &name["path.".len()..]), id);
        let there = gateway.admin("GET", &path, &Value::Null).await;
        assert_eq!(there.status, StatusCode::OK, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_changes_something_is_answered_as_the_document_says() {
    let Filled { gateway, .. } = filled().await;
    let args = [&NOT_THESE[..], &["--exclude-method", "GET", "--phases", "examples,coverage,fuzzing"]].concat();

    let run = schemathesis(gateway.url(), &gateway.admin_key(), &Tried { args: &args, ids: &[], examples: 8 }).await;

    passed(&run);
    let off = gateway.admin("POST", "/api/admin/panic", &json!({"mode": "off"})).await;
    assert_eq!(off.status, StatusCode::OK);
    let health = web::get(&format!("{}/readyz", gateway.url())).await.expect("an answer");
    assert_eq!(health.status, StatusCode::OK, "it still serves");
    gateway.stop().await;
}
