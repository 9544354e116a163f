//! A gateway that is stopped lets answers end, or ends them with an error.

use std::time::Duration;

use luthien_record::model::Status;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Gate, Reply, Script};

use crate::support::{KEY, Rig, id, turn};

#[tokio::test]
async fn a_stream_under_way_comes_to_its_end() {
    let gate = Gate::new();
    let rig = Rig::new(Answer::new().say("first").hold(&gate).say("last")).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    gate.reached().await;
    let address = rig.gateway.addr();
    let Rig { gateway, recorder, upstream: _upstream, folder: _folder, .. } = rig;
    let stopping = gateway.shutdown(Duration::from_mins(1));
    let reading = async {
        // The listener closes before the stream ends.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        gate.open();
        exchange.rest().await.unwrap()
    };
    let ((), bytes) = tokio::join!(stopping, reading);
    assert!(bytes.ends_with(b"data: {\"type\":\"message_stop\"}\n\n"));
    recorder.settled().await;
    let id = luthien_record::model::TransactionId(id.parse().unwrap());
    assert_eq!(recorder.store().transaction(id).await.unwrap().unwrap().status, Status::Completed);
}

#[tokio::test]
async fn what_does_not_end_in_time_ends_with_an_error() {
    let gate = Gate::new();
    let script = Script::in_turn([
        luthien_testkit::Play::from(Answer::new().say("first").hold(&gate).say("last")),
        luthien_testkit::Play::from(Reply::hang()),
    ]);
    let rig = Rig::new(script).await;
    let streaming = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&streaming);
    gate.reached().await;
    let url = rig.url("/v1/messages");
    let waiting = async { post(&url, &[KEY], turn(false).to_string()).await.unwrap() };
    let Rig { gateway, recorder, upstream, folder: _folder, .. } = rig;
    let stopping = async {
        upstream.wait_for(2).await;
        gateway.shutdown(Duration::ZERO).await;
    };
    let ((), waited, streamed) = tokio::join!(stopping, waiting, streaming.rest());
    assert_eq!(waited.status, 503);
    let text = String::from_utf8(streamed.unwrap().to_vec()).unwrap();
    assert!(text.contains("first") && text.contains("event: error") && text.contains("shutting down"), "{text}");
    recorder.settled().await;
    let id = luthien_record::model::TransactionId(id.parse().unwrap());
    assert_eq!(recorder.store().transaction(id).await.unwrap().unwrap().status, Status::Interrupted);
}
