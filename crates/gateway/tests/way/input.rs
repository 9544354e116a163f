//! Bad input of every kind: the dialect's error and a record, never a panic or a hang.

use std::time::Duration;

use luthien_record::model::Status;
use luthien_testkit::Answer;
use luthien_testkit::client::post;
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{KEY, Rig, id, path};

#[rstest]
#[case::empty(b"", 400, "")]
#[case::not_json(b"hello", 400, "JSON")]
#[case::cut(b"{\"model\":", 400, "")]
#[case::array(b"[]", 400, "object")]
#[case::null(b"null", 400, "object")]
#[case::no_model(b"{\"max_tokens\":1,\"messages\":[]}", 400, "model")]
#[case::model_of_wrong_type(b"{\"model\":1,\"max_tokens\":1,\"messages\":[]}", 400, "model")]
#[case::no_messages(b"{\"model\":\"m\",\"max_tokens\":1}", 400, "messages")]
#[case::messages_of_wrong_type(b"{\"model\":\"m\",\"max_tokens\":1,\"messages\":{}}", 400, "messages")]
#[case::stream_of_wrong_type(b"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[],\"stream\":\"yes\"}", 400, "stream")]
#[case::not_utf8(b"{\"model\":\"\xff\xfe\",\"max_tokens\":1,\"messages\":[]}", 400, "UTF-8")]
#[tokio::test]
async fn a_bad_body_gets_the_dialects_error_and_a_record(
    #[case] body: &'static [u8],
    #[case] status: u16,
    #[case] word: &str,
) {
    let rig = Rig::new(Answer::text("hi")).await;
    for dialect in [Dialect::Messages, Dialect::Chat] {
        let exchange = post(&rig.url(path(dialect)), &[KEY], body).await.unwrap();
        assert_eq!((exchange.status, exchange.header("x-should-retry")), (status, Some("false")));
        let id = id(&exchange);
        let answer: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
        assert_eq!(answer["error"]["type"], "invalid_request_error");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
        assert_eq!(answer.get("type").is_some(), dialect == Dialect::Messages);
        let record = rig.record(&id).await;
        assert_eq!((record.status, record.http_status, &record.request[..]), (Status::Refused, Some(status), body));
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn max_tokens_is_required_by_messages_alone() {
    let rig = Rig::new(Answer::text("hi")).await;
    let body = "{\"model\":\"m\",\"messages\":[]}";
    let messages = post(&rig.url("/v1/messages"), &[KEY], body).await.unwrap();
    let chat = post(&rig.url("/v1/chat/completions"), &[KEY], body).await.unwrap();
    assert_eq!((messages.status, chat.status), (400, 200));
    rig.stop().await;
}

#[tokio::test]
async fn broken_and_unknown_encodings_are_refused() {
    let rig = Rig::new(Answer::text("hi")).await;
    for (encoding, status) in [("gzip", 400), ("zstd", 400), ("br", 400), ("deflate", 400), ("compress", 415)] {
        let headers = [KEY, ("content-encoding", encoding)];
        let exchange = post(&rig.url("/v1/messages"), &headers, "certainly not compressed").await.unwrap();
        assert_eq!(exchange.status, status, "{encoding}");
        assert_eq!(rig.record(&id(&exchange)).await.status, Status::Refused);
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_read_and_passes_as_it_came() {
    use async_compression::tokio::write::GzipEncoder;
    let rig = Rig::new(Answer::text("hi")).await;
    let plain = crate::support::turn(false).to_string();
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(plain.as_bytes()).await.unwrap();
    encoder.shutdown().await.unwrap();
    let packed = encoder.into_inner();
    let exchange = post(&rig.url("/v1/messages"), &[KEY, ("content-encoding", "gzip")], packed.clone()).await.unwrap();
    let request = rig.upstream.requests().remove(0);
    assert_eq!((request.header("content-encoding"), &request.body[..]), (Some("gzip"), &packed[..]));
    assert_eq!(rig.record(&id(&exchange)).await.request, plain.as_bytes());
    rig.stop().await;
}

#[tokio::test]
async fn a_giant_is_refused_while_it_is_still_being_sent() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| config.limits.request_bytes = 1000).await;
    let exchange = post(&rig.url("/v1/messages"), &[KEY], vec![b' '; 4 << 20]).await.unwrap();
    assert_eq!(exchange.status, 413);
    let record = rig.record(&id(&exchange)).await;
    assert!(record.request.is_empty());
    assert!(String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap().contains("Request too large"));
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(format!("{head}7d0\r\n{}\r\n", " ".repeat(2000)).as_bytes()).await.unwrap();
    assert!(head_of(&mut client).await.starts_with("HTTP/1.1 413"));
    drop(client);
    rig.stop().await;
}

#[tokio::test]
async fn too_many_messages_are_refused() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| config.limits.messages = 0).await;
    let exchange = rig.ask("/v1/messages", &crate::support::turn(false)).await;
    assert_eq!(exchange.status, 400);
    rig.stop().await;
}

#[tokio::test]
async fn a_body_and_a_head_that_never_come_are_given_up() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        config.timeouts.body_read = Duration::from_millis(20);
        config.timeouts.header_read = Duration::from_millis(200);
    })
    .await;
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    client
        .write_all(b"POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: k\r\ncontent-length: 10\r\n\r\n{")
        .await
        .unwrap();
    assert!(head_of(&mut client).await.starts_with("HTTP/1.1 408"));
    for start in ["", "P", "POST /v1/messages HTTP/1.1\r\nhost:"] {
        let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
        client.write_all(start.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The connection ends by itself, with or without a word.
        let _ = client.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{start}");
    }
    rig.stop().await;
}

async fn head_of(client: &mut TcpStream) -> String {
    let mut answer = [0; 64];
    let read = client.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn unknown_paths_are_a_clean_404() {
    let rig = Rig::new(Answer::text("hi")).await;
    for path in ["/api/hello", "/nowhere"] {
        let exchange = luthien_testkit::client::get(&rig.url(path), &[]).await.unwrap();
        assert_eq!(exchange.status, 404, "{path}");
    }
    rig.stop().await;
}
