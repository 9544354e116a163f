//! Upstreams that refuse, break off or go silent (W-54, W-60, W-61).

use std::time::Duration;

use luthien_record::model::Status;
use luthien_testkit::{Answer, Gate, Reply, Script, Step};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::Value;

use crate::support::{Rig, id, path, turn, turn_in};

async fn text(exchange: luthien_testkit::client::Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

#[rstest]
#[case(Dialect::Messages, true)]
#[case(Dialect::Messages, false)]
#[case(Dialect::Chat, true)]
#[case(Dialect::Chat, false)]
#[case(Dialect::Responses, true)]
#[case(Dialect::Responses, false)]
#[tokio::test]
async fn an_upstreams_error_passes_unchanged(#[case] dialect: Dialect, #[case] stream: bool) {
    let body = "{\"error\" :{\"message\":\"Overloaded\"}, \"x\":1.0}";
    let reply = Reply::whole(529, "application/json", body).header("retry-after", "7").header("x-should-retry", "true");
    let rig = Rig::new(Script::always(reply)).await;
    let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert_eq!(
        (exchange.status, exchange.header("retry-after"), exchange.header("x-should-retry")),
        (529, Some("7"), Some("true"))
    );
    let id = id(&exchange);
    assert_eq!(text(exchange).await, body);
    let record = rig.record(&id).await;
    assert_eq!(
        (record.status, record.upstream_status, record.http_status),
        (Status::UpstreamError, Some(529), Some(529))
    );
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages, Step::Close)]
#[case(Dialect::Chat, Step::Reset)]
#[tokio::test]
async fn a_connection_lost_before_the_head_is_a_502(#[case] dialect: Dialect, #[case] how: Step) {
    let rig = Rig::new(Script::always(Reply::drop_connection(how))).await;
    let exchange = rig.ask(path(dialect), &turn(true)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (502, None));
    let id = id(&exchange);
    let body: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "api_error");
    assert_eq!(rig.record(&id).await.status, Status::UpstreamError);
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_named() {
    let rig = Rig::with(Answer::text("x"), Vec::new(), |config| {
        config.upstreams[0].base_url = "http://127.0.0.1:1".to_owned();
    })
    .await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(exchange.status, 502);
    let body = text(exchange).await;
    assert!(body.contains("`anthropic` at 127.0.0.1:1") && body.contains("Check its base URL"), "{body}");
    rig.stop().await;
}

#[rstest]
#[case(Dialect::Messages, "event: error\ndata: {\"type\":\"error\"")]
#[case(Dialect::Chat, "data: {\"error\":{")]
#[case(Dialect::Responses, "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":")]
#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_an_error_event(#[case] dialect: Dialect, #[case] expected: &str) {
    for end in [Some(Step::Close), Some(Step::Reset), None] {
        let answer = Answer::text("some words").delta_size(3);
        let answer = match end {
            Some(step) => answer.break_off(step),
            None => answer.end_early(),
        };
        let rig = Rig::new(Script::always(answer)).await;
        let exchange = rig.ask(path(dialect), &turn_in(dialect, true)).await;
        assert_eq!(exchange.status, 200);
        let id = id(&exchange);
        let body = text(exchange).await;
        let last = body.trim_end().rsplit("\n\n").next().unwrap();
        assert!(last.starts_with(expected) && body.ends_with("\n\n"), "{body}");
        let record = rig.record(&id).await;
        assert_eq!(record.status, Status::UpstreamBroken);
        assert!(record.error.is_some());
        assert_eq!(record.client_response(), body.as_bytes());
        assert!(body.as_bytes().starts_with(&record.upstream_response));
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_has_stopped_is_ended_properly() {
    let messages = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{}}\n\n";
    let chat = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (dialect, sent, end) in [
        (Dialect::Messages, messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        (Dialect::Chat, chat, "data: [DONE]\n\n"),
    ] {
        let rig = Rig::new(Script::always(Reply::frames(vec![Step::Send(sent.into()), Step::Close]))).await;
        let exchange = rig.ask(path(dialect), &turn(true)).await;
        let id = id(&exchange);
        assert_eq!(text(exchange).await, format!("{sent}{end}"));
        assert_eq!(rig.record(&id).await.status, Status::Completed);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_whole_answer_that_breaks_off_is_a_502() {
    let steps = vec![Step::Send("{\"half\":".into()), Step::Close];
    let rig = Rig::new(Script::always(Reply::new(200, steps).header("content-type", "application/json"))).await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!(exchange.status, 502);
    let record = rig.record(&id(&exchange)).await;
    assert_eq!((record.status, &record.upstream_response[..]), (Status::UpstreamError, &b"{\"half\":"[..]));
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_over_the_limit_is_a_502() {
    let reply = Reply::whole(200, "application/json", "x".repeat(101));
    let gate = Gate::new();
    let steps = vec![Step::Send("y".repeat(90).into()), Step::Wait(gate.clone()), Step::Send("z".repeat(90).into())];
    let unannounced = Reply::new(200, steps).header("content-type", "application/json");
    let rig = Rig::with(Script::in_turn([reply, unannounced]), Vec::new(), |config| config.limits.response_bytes = 100);
    let rig = rig.await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!((exchange.status, exchange.header("x-should-retry")), (502, Some("false")));
    let body = turn(false);
    let asking = rig.ask("/v1/messages", &body);
    let opening = async {
        gate.reached().await;
        gate.open();
    };
    let (exchange, ()) = tokio::join!(asking, opening);
    assert_eq!(exchange.status, 502);
    assert!(rig.record(&id(&exchange)).await.upstream_response.starts_with(b"yyy"));
    rig.stop().await;
}

#[tokio::test]
async fn silence_before_the_head_is_a_504() {
    let rig = Rig::with(Script::always(Reply::hang()), Vec::new(), |config| {
        config.upstreams[0].timeouts.first_byte = Some(Duration::from_millis(20));
    })
    .await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(exchange.status, 504);
    assert!(text(exchange).await.contains("timeout_error"));
    rig.stop().await;
}

#[tokio::test]
async fn silence_within_a_stream_brings_pings_and_then_an_error() {
    let rig = Rig::with(Script::always(Answer::new().say("word").break_off(Step::Stall)), Vec::new(), |config| {
        config.timeouts.keep_alive = Duration::from_millis(20);
        config.timeouts.idle = Duration::from_millis(500);
    })
    .await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    let body = text(exchange).await;
    assert!(body.contains("event: ping\ndata: {\"type\": \"ping\"}\n\n"), "{body}");
    assert!(body.contains("timeout_error") && body.ends_with("\n\n"), "{body}");
    let record = rig.record(&id).await;
    assert_eq!(record.status, Status::UpstreamBroken);
    assert!(!record.client_response().windows(11).any(|window| window == b"event: ping"));
    rig.stop().await;
}
