//! A client that goes takes its upstream call with it, and the record says so (W-53).

use luthien_record::model::Status;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Ending, Gate, Reply, Script, Step, fixtures};
use luthien_wire::Dialect;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{KEY, Rig, turn};

/// A client that sends a turn and waits for nothing.
async fn send_only(rig: &Rig, stream: bool) -> TcpStream {
    let body = turn(stream).to_string();
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let head =
        format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all([head, body].concat().as_bytes()).await.unwrap();
    client
}

async fn is_recorded_as_gone(rig: Rig, expected: &[u8]) {
    assert_eq!(rig.upstream.ended(0).await.unwrap().ending, Ending::ClientGone);
    let record = rig.only_record().await;
    assert_eq!(record.status, Status::ClientDisconnected);
    assert_eq!(record.error, None);
    assert_eq!(record.upstream_response, expected);
    rig.stop().await;
}

#[tokio::test]
async fn before_the_head() {
    for stream in [true, false] {
        let rig = Rig::new(Script::always(Reply::hang())).await;
        let client = send_only(&rig, stream).await;
        rig.upstream.wait_for(1).await;
        drop(client);
        is_recorded_as_gone(rig, b"").await;
    }
}

#[tokio::test]
async fn before_the_first_byte() {
    let rig = Rig::new(Script::always(Reply::frames(vec![Step::Stall]))).await;
    let exchange = post(&rig.url("/v1/messages"), &[KEY], turn(true).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    drop(exchange);
    is_recorded_as_gone(rig, b"").await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    let text = fixtures::named(Dialect::Messages, "text")
        .or_else(|| fixtures::all(Dialect::Messages).iter().find(|f| f.streamed))
        .unwrap();
    let rig = Rig::new(Script::always(Reply::fixture(text).cut_after(3, Step::Stall))).await;
    let mut exchange = post(&rig.url("/v1/messages"), &[KEY], turn(true).to_string()).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.extend_from_slice(&exchange.frame().await.unwrap().unwrap().raw);
    }
    drop(exchange);
    is_recorded_as_gone(rig, &seen).await;
}

#[tokio::test]
async fn in_the_middle_of_a_whole_answer() {
    let gate = Gate::new();
    let steps = vec![Step::Send("{\"half\":".into()), Step::Wait(gate.clone())];
    let rig = Rig::new(Script::always(Reply::new(200, steps).header("content-type", "application/json"))).await;
    let client = send_only(&rig, false).await;
    gate.reached().await;
    drop(client);
    is_recorded_as_gone(rig, b"").await;
}

#[tokio::test]
async fn the_gateway_goes_on_after_it() {
    let rig = Rig::new(Script::in_turn([
        luthien_testkit::Play::from(Reply::hang()),
        luthien_testkit::Play::from(Answer::text("still here")),
    ]))
    .await;
    let client = send_only(&rig, true).await;
    rig.upstream.wait_for(1).await;
    drop(client);
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!(exchange.status, 200);
    assert!(String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap().contains("still here"));
    rig.stop().await;
}
