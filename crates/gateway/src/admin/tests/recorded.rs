//! What has been recorded, by session and by call.

use bytes::Bytes;
use jiff::Timestamp;
use luthien_record::model::{End, Evaluation, Heads, Start, Status, TransactionId};
use luthien_record::recorder::SentRequest;
use luthien_wire::Dialect;
use serde_json::json;
use uuid::Uuid;

use super::*;

const ID: &str = "01938f00-0000-7000-8000-000000000001";
const SESSION: &str = "a session/\"<b>";

/// Records one whole call.
pub(super) async fn record(fixture: &Fixture) {
    turn(fixture, ID, "what is asked").await;
}

/// Records a call with this id and question.
async fn turn(fixture: &Fixture, id: &str, asked: &str) {
    let request =
        json!({"model": "m", "max_tokens": 900, "messages": [{"role": "user", "content": asked}]}).to_string();
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "what is answered"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let at: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let start = Start {
        id: TransactionId(Uuid::try_parse(id).unwrap()),
        at,
        dialect: Dialect::Messages,
        path: "/v1/messages".to_owned(),
        conversation: true,
        session_id: Some(SESSION.to_owned()),
        user_id: Some("u/1".to_owned()),
        credential: None,
        model: "m".to_owned(),
        streamed: false,
        request: Bytes::from(request.clone()),
        policy: "no_op;v0".to_owned(),
    };
    let flight = fixture.state.recorder.begin(start).unwrap();
    let (url, body) = ("https://x.example/v1/messages", Bytes::from(request));
    let dialect = Dialect::Messages;
    let sent = SentRequest { upstream: "anthropic", method: "POST", url, dialect, edited: &body, body: &body };
    flight.upstream_request(&sent);
    flight.upstream_response(200, Vec::new());
    flight.upstream_bytes(answer.to_string().as_bytes());
    let end = End { at, status: Status::Completed, http_status: Some(200), error: None, evaluation: Evaluation::None };
    flight.finish(end);
    fixture.state.recorder.settled().await;
}

/// The session's id as the list gives it, as a step of a path.
pub(super) async fn listed(fixture: &Fixture) -> String {
    let list = fixture.get("/api/history/sessions").await.json();
    assert_eq!((&list["total"], &list["has_more"]), (&json!(1), &json!(false)));
    let id = list["sessions"][0]["session_id"].as_str().unwrap().to_owned();
    id.bytes().fold(String::new(), |out, byte| format!("{out}%{byte:02X}"))
}

#[tokio::test]
async fn a_session_is_listed_shown_and_exported() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    let id = listed(&fixture).await;

    let session = fixture.get(&format!("/api/history/sessions/{id}")).await.json();
    assert_eq!(session["turns"][0]["call_id"], ID);
    assert_eq!(session["turns"][0]["request_messages"][0]["content"], "what is asked");
    assert_eq!(session["turns"][0]["response_messages"][0]["content"], "what is answered");

    for (path, kind, ending) in [
        ("export", "text/markdown; charset=utf-8", ".md\""),
        ("export/jsonl", "application/x-ndjson", ".jsonl\""),
        ("export/json", "application/json", ".json\""),
    ] {
        let answer = fixture.get(&format!("/api/history/sessions/{id}/{path}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, kind));
        let disposition = answer.header("content-disposition");
        assert!(
            disposition.starts_with("attachment; filename=\"session-") && disposition.ends_with(ending),
            "{disposition}"
        );
        assert_eq!(disposition.matches('"').count(), 2);
        assert!(!disposition.contains(['/', '<']), "{disposition}");
        assert!(answer.text.contains("what is answered"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_call_is_listed_shown_and_compared() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    let calls = fixture.get("/api/debug/calls?limit=1000").await.json();
    assert_eq!((&calls["total"], &calls["calls"][0]["call_id"]), (&json!(1), &json!(ID)));
    let call = fixture.get(&format!("/api/debug/calls/{ID}")).await.json();
    let types: Vec<_> = call["events"].as_array().unwrap().iter().map(|event| event["event_type"].clone()).collect();
    assert!(types.contains(&json!("transaction.request_recorded")), "{types:?}");
    let diff = fixture.get(&format!("/api/debug/calls/{ID}/diff")).await.json();
    assert_eq!(diff["response"]["content_changed"], false);
    assert_eq!(diff["response"]["final_content"], "what is answered");
}

#[tokio::test]
async fn raw_http_is_listed_without_bodies_and_shown_with_them() {
    let fixture = Fixture::new().await;
    let at: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    logged(&fixture, at).await;
    let log = json!({
        "transaction_id": ID, "session_id": SESSION, "user_id": "ada", "direction": "inbound", "http_method": "POST",
        "url": "/v1/messages?key=[redacted]", "request_headers": {"accept": "a, b", "authorization": "[redacted]"},
        "request_body": null, "response_status": 200, "response_headers": {"content-type": "text/plain"},
        "response_body": null, "started_at": "2026-01-31T12:00:00Z", "completed_at": "2026-01-31T12:00:00.25Z",
        "duration_ms": 250.0, "model": "m", "is_streaming": true, "endpoint": "/v1/messages", "error": null,
    });
    for path in ["/api/request-logs", "/request-logs?direction=inbound&status=200&model=m&user_id=ada&limit=50"] {
        let expected = json!({"logs": [log], "total": 1, "limit": 50, "offset": 0});
        assert_eq!(fixture.get(path).await.json(), expected);
    }
    assert_eq!(fixture.get("/request-logs?status=500").await.json()["total"], 0);
    let shown = fixture.get(&format!("/request-logs/{ID}")).await.json();
    assert_eq!((&shown["transaction_id"], &shown["session_id"]), (&json!(ID), &json!(SESSION)));
    assert_eq!((&shown["user_id"], &shown["outbound"]), (&json!("ada"), &json!(null)));
    assert_eq!(shown["inbound"]["request_body"], json!({"a": 1}));
    assert_eq!(shown["inbound"]["response_body"], "words");
}

/// Records a call of which the client's side was logged.
async fn logged(fixture: &Fixture, at: Timestamp) {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let start = Start {
        id: TransactionId(Uuid::try_parse(ID).unwrap()),
        at,
        dialect: Dialect::Messages,
        path: "/v1/messages".to_owned(),
        conversation: true,
        session_id: Some(SESSION.to_owned()),
        user_id: Some("ada".to_owned()),
        credential: None,
        model: "m".to_owned(),
        streamed: true,
        request: Bytes::from_static(b"{\"a\":1}"),
        policy: "no_op;v0".to_owned(),
    };
    let flight = fixture.state.recorder.begin(start).unwrap();
    flight.heads(|heads| {
        heads.inbound = Heads {
            method: "POST".to_owned(),
            url: "/v1/messages?key=[redacted]".to_owned(),
            request_headers: vec![pair("accept", "a"), pair("accept", "b"), pair("authorization", "[redacted]")],
            response_headers: vec![pair("content-type", "text/plain")],
            started_at: Some(at),
            completed_at: Some(at + jiff::SignedDuration::from_millis(250)),
        };
    });
    flight.own_client_copy(0);
    flight.client_bytes(b"words");
    let end = End { at, status: Status::Completed, http_status: Some(200), error: None, evaluation: Evaluation::None };
    flight.finish(end);
    fixture.state.recorder.settled().await;
}

#[tokio::test]
async fn sessions_are_found_by_what_was_said() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    for (q, total) in [("WHAT answered", 1), ("%22is+answered%22", 1), ("answ*", 1), ("what -asked", 0), ("nothing", 0)]
    {
        let found = fixture.get(&format!("/api/history/sessions?q={}", q.replace(' ', "+"))).await.json();
        assert_eq!(found["total"], total, "{q}");
    }
    for q in ["-asked", "%3F!", "%22"] {
        let refused = fixture.get(&format!("/api/history/sessions?q={q}&limit=x")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{q}");
        let fields =
            refused.json()["detail"].as_array().unwrap().iter().map(|field| field["loc"].clone()).collect::<Vec<_>>();
        assert_eq!(fields, [json!(["query", "q"]), json!(["query", "limit"])], "{q}");
    }
}

#[tokio::test]
async fn users_have_names() {
    let fixture = Fixture::new().await;
    record(&fixture).await;
    assert_eq!(fixture.get("/api/history/users").await.json(), json!({"users": ["u/1"], "labels": {}}));
    let path = "/api/history/user-labels/u%2F1";
    assert_eq!(fixture.get(path).await.status, StatusCode::NOT_FOUND);
    let put = async |body: &str| fixture.call(Method::PUT, path, Some(KEY), body).await;
    let named = put(r#"{"display_name": " Ada  L. "}"#).await;
    assert_eq!(named.json(), json!({"user_id": "u/1", "display_name": "Ada  L."}));
    assert_eq!(fixture.get(path).await.json(), named.json());
    assert_eq!(put(r#"{"display_name": "Ada"}"#).await.status, StatusCode::OK);
    for wrong in
        ["{}", r#"{"display_name": "  "}"#, r#"{"display_name": 7}"#, r#"{"display_name": "a\nb"}"#, r#"{"name": "x"}"#]
    {
        assert_eq!(put(wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(fixture.get("/api/history/users").await.json(), json!({"users": ["u/1"], "labels": {"u/1": "Ada"}}));
    assert_eq!(fixture.get("/api/history/user-labels").await.json(), json!({"labels": {"u/1": "Ada"}}));
    let id = listed(&fixture).await;
    let export = fixture.get(&format!("/api/history/sessions/{id}/export")).await;
    assert!(export.text.contains("- Users: Ada (u/1)"), "{}", export.text);
    for _ in 0..2 {
        let gone = fixture.call(Method::DELETE, path, Some(KEY), "").await;
        assert_eq!((gone.status, gone.json()), (StatusCode::OK, json!({"deleted": true})));
    }
    assert_eq!(fixture.get("/api/history/user-labels").await.json(), json!({"labels": {}}));
}

#[tokio::test]
async fn an_export_that_fails_on_its_way_is_broken_off() {
    let fixture = Fixture::new().await;
    for number in 1..=3 {
        turn(&fixture, &format!("01938f00-0000-7000-8000-00000000000{number}"), "what is asked").await;
    }
    let id = listed(&fixture).await;
    let path = format!("/api/history/sessions/{id}/export/jsonl");
    let request = Request::get(path).header("authorization", format!("Bearer {KEY}")).body(Body::empty()).unwrap();
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.split(|byte| *byte == b'\n').count() - 1, 1, "the first turn");
    fixture.state.recorder.store().close().await;
    assert!(body.collect().await.is_err());
}
