//! What clients and upstreams may do at the edges of HTTP.

use std::time::Duration;

use luthien_record::model::Status;
use luthien_testkit::{Ending, Reply, Script, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Rig, config, id, turn};

/// Sends a request for `path` with this method and reads all that comes.
async fn raw(rig: &Rig, method: &str, path: &str) -> String {
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let event = format!("event: ping\ndata: {{\"type\":\"ping\",\"x\":\"{}\"}}\n\n", "y".repeat(1 << 20));
    let steps = vec![Step::Send(event.into()); 64];
    let rig = Rig::with(Script::always(Reply::frames(steps)), Vec::new(), |config| {
        config.timeouts.idle = Duration::from_secs(2);
    })
    .await;
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let body = turn(true).to_string();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\n";
    client.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    assert_eq!(rig.upstream.ended(0).await.unwrap().ending, Ending::ClientGone);
    assert_eq!(rig.only_record().await.status, Status::ClientDisconnected);
    drop(client);
    rig.stop().await;
}

#[tokio::test]
async fn who_asks_for_the_head_alone_has_not_gone() {
    let rig = Rig::new(Reply::json(200, &serde_json::json!({}))).await;
    let answer = raw(&rig, "HEAD", "/v1/messages").await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.ends_with("\r\n\r\n"), "{answer}");
    let record = rig.only_record().await;
    assert_eq!((record.status, record.http_status), (Status::Refused, Some(405)));
    rig.stop().await;
}

#[tokio::test]
async fn no_content_is_an_answer_to_a_stream_too() {
    let rig = Rig::new(Reply::new(204, Vec::new())).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(exchange.status, 204);
    assert_eq!(rig.record(&id(&exchange)).await.status, Status::Completed);
    rig.stop().await;
}

#[tokio::test]
async fn a_whole_answer_of_another_type_passes_where_a_stream_was_asked_for() {
    let rig = Rig::new(Reply::whole(200, "text/plain", "{\"type\": \"message\"}")).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    let id = id(&exchange);
    assert_eq!(exchange.rest().await.unwrap(), "{\"type\": \"message\"}");
    assert_eq!(rig.record(&id).await.status, Status::Completed);
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_cannot_switch_to_another_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let mut switching = JoinSet::new();
    switching.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 8 << 10];
        assert_ne!(stream.read(&mut asked).await.unwrap(), 0);
        let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Ends when the gateway does.
        let _ = stream.read(&mut asked).await;
    });
    let rig = Rig::with(Reply::hang(), Vec::new(), |changed| *changed = config(&upstream)).await;
    let exchange = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(exchange.status, 502);
    let record = rig.record(&id(&exchange)).await;
    assert_eq!(record.status, Status::UpstreamError);
    assert!(record.error.unwrap().contains("101"));
    rig.stop().await;
}
