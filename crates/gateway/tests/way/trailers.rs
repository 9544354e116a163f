//! What the conversion of a stream has lost, told behind it.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use luthien_policy::contract::Policy;
use luthien_testkit::client::post;
use luthien_testkit::{Reply, fixtures};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpStream;

use crate::converted::{NoTools, far, read};
use crate::routing::asks;
use crate::support::{KEY, Rig, id};

const NAME: &str = "x-luthien-dropped";

/// A gateway whose upstream streams two choices, of which a Messages client gets one.
async fn rig(policies: Vec<Arc<dyn Policy>>) -> (Rig, luthien_testkit::Upstream) {
    let stream = fixtures::named(Dialect::Chat, "choices_two").unwrap().bytes;
    far(Dialect::Chat, Reply::stream(stream), policies).await
}

fn no_policy() -> Vec<Arc<dyn Policy>> {
    Vec::new()
}

fn a_policy() -> Vec<Arc<dyn Policy>> {
    vec![Arc::new(NoTools)]
}

#[rstest]
#[case::not_asked_for(&[], None)]
#[case::something_else(&[("te", "gzip")], None)]
#[case::asked_for(&[("te", "trailers")], Some("answer: choices[1]"))]
#[case::among_others(&[("te", "gzip, Trailers")], Some("answer: choices[1]"))]
#[tokio::test]
async fn over_http1_who_says_so_gets_it(#[case] says: &[(&str, &str)], #[case] told: Option<&str>) {
    for policies in [no_policy(), a_policy()] {
        let (rig, _upstream) = rig(policies).await;
        let url = format!("http://{}/v1/messages", rig.gateway.addr());
        let body = asks(Dialect::Messages, "far", true).to_string();
        let mut exchange = post(&url, &[&[KEY], says].concat(), body).await.unwrap();
        assert_eq!(exchange.header("trailer"), told.and(Some(NAME)));
        assert_eq!(exchange.header(NAME), None);
        let mut stream = Vec::new();
        while let Some(bytes) = exchange.chunk().await.unwrap() {
            stream.extend_from_slice(&bytes);
        }
        assert_eq!(read(Dialect::Messages, true, &stream)["stop_reason"], "end_turn");
        let expected: Vec<_> = told.map(|told| (NAME.to_owned(), told.to_owned())).into_iter().collect();
        assert_eq!(exchange.trailers, expected);
        let record = rig.record(&id(&exchange)).await;
        let event = record.events.iter().find(|event| event.event_type == "transaction.answer_converted").unwrap();
        assert_eq!(event.data["dropped"], json!(["choices[1]"]));
        assert_eq!(*record.client_response(), stream);
        rig.stop().await;
    }
}

#[tokio::test]
async fn over_http2_it_always_comes() {
    for policies in [no_policy(), a_policy()] {
        let (rig, _upstream) = rig(policies).await;
        let stream = TcpStream::connect(rig.gateway.addr()).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(connection);
        let body = Full::new(Bytes::from(asks(Dialect::Messages, "far", true).to_string()));
        let uri = format!("http://{}/v1/messages", rig.gateway.addr());
        let request = http::Request::post(uri).header(KEY.0, KEY.1).body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()["trailer"], NAME);
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()[NAME], "answer: choices[1]");
        let message = read(Dialect::Messages, true, &collected.to_bytes());
        assert_eq!(message["stop_reason"], "end_turn");
        drop(sender);
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_is_known_before_the_head_stands_in_it() {
    let body = fixtures::named(Dialect::Chat, "body_choices_two").unwrap().bytes;
    let body = serde_json::from_slice(body).unwrap();
    let (rig, _upstream) = far(Dialect::Chat, Reply::json(200, &body), Vec::new()).await;
    let url = format!("http://{}/v1/messages", rig.gateway.addr());
    let asked = asks(Dialect::Messages, "far", true).to_string();
    let exchange = post(&url, &[KEY, ("te", "trailers")], asked).await.unwrap();
    assert_eq!((exchange.header(NAME), exchange.header("trailer")), (Some("answer: choices[1]"), None));
    let stream = exchange.rest().await.unwrap();
    assert_eq!(read(Dialect::Messages, true, &stream)["stop_reason"], "end_turn");
    rig.stop().await;
}
