//! What nobody touches stays untouched, both ways, and the record holds it.

use luthien_record::model::{Evaluation, Status};
use luthien_testkit::client::{get, post};
use luthien_testkit::{Answer, Asked, Chunking, Reply, Script, fixtures};
use luthien_wire::Dialect;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{KEY, Rig, config, id, path, turn};

#[rstest]
#[case::whole(Chunking::Whole)]
#[case::frame_by_frame(Chunking::PerFrame)]
#[case::five_bytes(Chunking::Bytes(5))]
#[tokio::test]
async fn streams_and_bodies_pass_byte_for_byte(#[case] chunking: Chunking) {
    let rig = Rig::new(Script::new(move |asked: &Asked| {
        Reply::fixture(fixtures::named(asked.dialect, asked.model()).unwrap()).chunking(chunking)
    }))
    .await;
    for fixture in
        [Dialect::Messages, Dialect::Chat].into_iter().flat_map(fixtures::all).filter(|fixture| fixture.well_formed)
    {
        let body = format!(
            "{{ \"model\":\"{}\",\"stream\":{},\"max_tokens\" : 16,\"messages\":[], \"x\":[1.0, 1]}}\n",
            fixture.name, fixture.streamed
        );
        let exchange = post(&rig.url(path(fixture.dialect)), &[KEY], body.clone()).await.unwrap();
        let id = id(&exchange);
        assert!(exchange.rest().await.unwrap() == fixture.bytes, "{}", fixture.name);
        let record = rig.record(&id).await;
        assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::None), "{}", fixture.name);
        assert!(record.upstream_response == fixture.bytes, "{}", fixture.name);
        assert_eq!(record.own_response, None, "{}", fixture.name);
        assert_eq!(record.request, body.as_bytes(), "{}", fixture.name);
        assert_eq!(rig.upstream.requests().last().unwrap().body, body, "{}", fixture.name);
    }
    rig.stop().await;
}

#[tokio::test]
async fn twenty_streams_of_52_events_at_once_come_whole() {
    let text = "word ".repeat(48);
    let rig = Rig::new(Answer::text(&text).delta_size(5)).await;
    let mut streams = JoinSet::new();
    for _ in 0..20 {
        let url = rig.url("/v1/messages");
        streams.spawn(async move {
            let mut exchange = post(&url, &[KEY], turn(true).to_string()).await.unwrap();
            let mut text = String::new();
            while let Some(frame) = exchange.frame().await.unwrap() {
                let data: serde_json::Value = serde_json::from_slice(&frame.data.unwrap_or_default()).unwrap();
                text.push_str(data.pointer("/delta/text").and_then(|text| text.as_str()).unwrap_or_default());
            }
            text
        });
    }
    assert_eq!(streams.join_all().await, vec![text; 20]);
    rig.stop().await;
}

#[tokio::test]
async fn an_event_goes_out_before_the_next_one_is_there() {
    let gate = luthien_testkit::Gate::new();
    let rig = Rig::new(Answer::new().say("first").hold(&gate).say("second")).await;
    let mut exchange = rig.ask("/v1/messages", &turn(true)).await;
    let mut seen = String::new();
    while !seen.contains("first") {
        seen.push_str(std::str::from_utf8(&exchange.frame().await.unwrap().unwrap().raw).unwrap());
    }
    gate.open();
    let rest = exchange.rest().await.unwrap();
    assert!(rest.ends_with(b"data: {\"type\":\"message_stop\"}\n\n"), "{rest:?}");
    rig.stop().await;
}

#[tokio::test]
async fn side_endpoints_pass_and_are_no_turns() {
    let rig = Rig::new(Answer::text("x")).await;
    let counted = rig.ask("/v1/messages/count_tokens?beta=true", &turn(false)).await;
    assert_eq!(counted.status, 200);
    assert!(!rig.record(&id(&counted)).await.turn);
    let models = get(&rig.url("/v1/models?limit=1000"), &[KEY, ("anthropic-version", "2023-06-01")]).await.unwrap();
    assert_eq!(models.status, 200);
    assert!(models.rest().await.unwrap().starts_with(b"{"));
    let paths: Vec<String> = rig.upstream.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/messages/count_tokens?beta=true", "/v1/models?limit=1000"]);
    rig.stop().await;
}

/// Sends a stream of `events` chunks, which all arrive together, to whoever connects first.
async fn all_at_once(listener: TcpListener, events: usize) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = vec![0; 8 << 10];
    assert_ne!(stream.read(&mut asked).await.unwrap(), 0);
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for n in 1..=events {
        let event = if n == events { "data: [DONE]\n\n".to_owned() } else { format!(": {n}\n\n") };
        answer.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&answer).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_arrives_together_leaves_together() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let mut sending = JoinSet::new();
    sending.spawn(all_at_once(listener, 52));
    let rig = Rig::with(Answer::text("unused"), Vec::new(), |changed| *changed = config(&upstream)).await;

    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let body = turn(true).to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\nconnection: close\r\n";
    client.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();

    let answer = String::from_utf8(answer).unwrap();
    let (head, chunks) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(chunks.matches("\n\n").count(), 52);
    // Each chunk is a write of its own. The network may deliver the upstream's one write in two, no more.
    let written = chunks.matches("\r\n").count() / 2 - 1;
    assert!(written <= 2, "52 events left in {written} writes:\n{chunks}");
    rig.stop().await;
}
