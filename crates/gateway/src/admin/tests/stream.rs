//! The activity stream: what is told before the gateway stops arrives, filtered as was asked.

use http_body_util::BodyExt;
use jiff::Timestamp;
use rstest::rstest;
use serde_json::json;

use super::*;

/// A gateway that has told some things and is stopping, so that its streams end.
async fn told() -> Fixture {
    let fixture = Fixture::new().await;
    let tell = |id: &str, event_type: &str, second: i64, data: Value| {
        fixture.state.activity.tell(id, event_type, Timestamp::from_second(second).unwrap(), data);
    };
    tell("t1", "pipeline.client_request", 1, json!({"session_id": "s1", "model": "m1", "preview": "Delete it ALL"}));
    tell("t1", "policy.guard.decision", 2, json!({"session_id": "s1", "model": "m1", "action": "block"}));
    tell("t1", "pipeline.client_response", 3, json!({"session_id": "s1", "model": "m1", "evaluation": "intervened"}));
    tell("t2", "pipeline.client_request", 4, json!({"session_id": "s2", "model": "m2"}));
    fixture.state.stopping.cancel();
    fixture
}

/// When the events were told that a stream with this query brings.
async fn seconds(fixture: &Fixture, query: &str) -> Vec<i64> {
    let answer = fixture.get(&format!("/api/activity/stream?since=1970-01-01&{query}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/event-stream"));
    let events = answer.text.split_terminator("\n\n").map(|frame| {
        let event: Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
        event["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second()
    });
    events.collect()
}

#[rstest]
#[case("", &[1, 2, 3, 4])]
#[case("type=policy.", &[2])]
#[case("type=pipeline.client_request", &[1, 4])]
#[case("session=s2", &[4])]
#[case("model=m1&type=pipeline.", &[1, 3])]
#[case("transaction_id=t2", &[4])]
#[case("outcome=block", &[2])]
#[case("outcome=intervened", &[3])]
#[case("q=delete+it+all", &[1])]
#[case("q=guard", &[2])]
#[case("since=1970-01-01T00:00:03Z", &[4])]
#[case("session=s", &[])]
#[tokio::test]
async fn what_was_told_before_the_stop_arrives_filtered(#[case] query: &str, #[case] expected: &[i64]) {
    assert_eq!(seconds(&told().await, query).await, expected);
}

#[tokio::test]
async fn a_stream_begins_with_a_sign_of_life_and_ends_with_the_gateway() {
    let fixture = Fixture::new().await;
    let request = Request::get("/api/activity/stream").header("x-api-key", KEY).body(Body::empty()).unwrap();
    let mut body = fixture.router.clone().oneshot(request).await.unwrap().into_body();
    let mut frame = async || body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
    assert_eq!(frame().await.unwrap(), "event: heartbeat\ndata: {}\n\n");
    fixture.state.activity.tell("t", "x.y", Timestamp::UNIX_EPOCH, json!({}));
    fixture.state.stopping.cancel();
    let seen = String::from_utf8(frame().await.unwrap().to_vec()).unwrap();
    assert!(seen.contains("x.y"), "{seen}");
    fixture.state.activity.tell("t", "too.late", Timestamp::UNIX_EPOCH, json!({}));
    assert_eq!(frame().await, None);
}

#[tokio::test]
async fn a_slow_reader_is_told_and_counted() {
    let fixture = Fixture::new().await;
    let request = Request::get("/api/activity/stream").header("x-api-key", KEY).body(Body::empty()).unwrap();
    let mut body = fixture.router.clone().oneshot(request).await.unwrap().into_body();
    for n in 0..5000 {
        fixture.state.activity.tell("t", "x.y", Timestamp::from_second(n).unwrap(), json!({}));
    }
    fixture.state.stopping.cancel();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame, "event: dropped\ndata: {\"events\":904}\n\n");
    let health = fixture.call(Method::GET, "/health", None, "").await.json();
    assert_eq!(health["checks"]["activity"], json!({"readers": 1, "missed": 904}));
    assert_eq!(health["checks"]["redis"], json!({"status": "off"}));
}

#[tokio::test]
async fn the_status_says_what_answers() {
    let fixture = Fixture::new().await;
    let status = fixture.get("/api/admin/system-status").await.json();
    assert_eq!((&status["status"], &status["checks"]["db"]["status"]), (&json!("healthy"), &json!("ok")));
    assert!(status["checks"]["db"]["latency_ms"].is_number());
    assert_eq!(status["checks"]["redis"], json!({"status": "off", "latency_ms": null, "error": null}));
}
