//! The endpoints of the Responses API beside its turns (W-11, W-57).

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use luthien_policy::contract::Policy;
use luthien_policy::judge::JudgeRoute;
use luthien_record::model::{Evaluation, Status};
use luthien_testkit::accumulate::accumulate_responses;
use luthien_testkit::client::{get, post, send};
use luthien_testkit::fixtures::requests;
use luthien_testkit::{Answer, Asked, Gate, Play, Reply, Script, Step};
use luthien_wire::Dialect;
use luthien_wire::sse::Frame;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::policies::Judged;
use crate::routing::rule;
use crate::support::{self, KEY, Rig, id, turn_in};

#[tokio::test]
async fn a_web_socket_is_answered_426_at_once() {
    let rig = Rig::new(Reply::hang()).await;
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    client.write_all(requests::UPGRADE).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}}") {
        let mut some = [0; 1024];
        let read = client.read(&mut some).await.unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&some[..read]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let record = rig.only_record().await;
    let date = answer.split_once("\r\ndate: ").and_then(|(_, rest)| rest.split_once("\r\n")).unwrap().0;
    let expected = requests::UPGRADE_ANSWER.replace("{id}", &record.id.to_string()).replace("{date}", date);
    assert_eq!(answer, expected);
    assert_eq!((record.status, record.http_status, record.turn), (Status::Refused, Some(426), false));
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn a_turn_in_zstd_is_read_and_passes_as_it_came_or_says_what_it_said() {
    let headers = [KEY, ("content-encoding", "zstd")];
    let rig = Rig::new(Answer::text("hi")).await;
    let exchange = post(&rig.url("/v1/responses"), &headers, requests::TURN_ZSTD).await.unwrap();
    let request = rig.upstream.requests().remove(0);
    assert_eq!((request.header("content-encoding"), &request.body[..]), (Some("zstd"), requests::TURN_ZSTD));
    assert_eq!(rig.record(&id(&exchange)).await.request, requests::TURN);
    rig.stop().await;

    // Another name for the model has to be written into it.
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        config.models = vec![rule("gpt-5-codex", &[("openai", Some("gpt-5"))])];
    })
    .await;
    post(&rig.url("/v1/responses"), &headers, requests::TURN_ZSTD).await.unwrap();
    let request = rig.upstream.requests().remove(0);
    let renamed = String::from_utf8_lossy(requests::TURN).replacen("gpt-5-codex", "gpt-5", 1);
    assert_eq!((request.header("content-encoding"), &request.body[..]), (None, renamed.as_bytes()));
    rig.stop().await;
}

#[tokio::test]
async fn responses_are_posted_and_not_got() {
    let rig = Rig::new(Reply::hang()).await;
    let exchange = get(&rig.url("/v1/responses"), &[KEY]).await.unwrap();
    assert_eq!(exchange.status, 405);
    rig.stop().await;
}

#[tokio::test]
async fn a_turn_passes_byte_for_byte_and_so_does_what_the_vendor_keeps_of_it() {
    let rig = Rig::new(Answer::text("hello").call("run", &json!({"command": "ls"}))).await;
    for stream in [true, false] {
        let body = json!({"model": "m", "stream": stream, "input": "hi", "verbosity": {"new": 1}}).to_string();
        let exchange = post(&rig.url("/v1/responses"), &[KEY], body.clone()).await.unwrap();
        let id = id(&exchange);
        let answer = exchange.rest().await.unwrap();
        let record = rig.record(&id).await;
        assert!(record.turn);
        assert_eq!((record.status, record.evaluation), (Status::Completed, Evaluation::None));
        assert_eq!((&record.upstream_response[..], record.own_response), (&answer[..], None));
        assert_eq!(rig.upstream.turns().last().unwrap().body, body);

        let asked = Asked::new(0, Dialect::Responses, Vec::new(), body.into()).unwrap();
        let path = format!("/v1/responses/{}", asked.response_id());
        let query = if stream { "?stream=true" } else { "" };
        let read = get(&rig.url(&format!("{path}{query}")), &[KEY]).await.unwrap();
        assert!(!rig.record(&support::id(&read)).await.turn);
        assert_eq!(read.rest().await.unwrap(), answer);
        for (method, path) in [
            (Method::GET, format!("{path}/input_items")),
            (Method::POST, format!("{path}/cancel")),
            (Method::DELETE, path),
        ] {
            let exchange = send(method.clone(), &rig.url(&path), &[KEY], "").await.unwrap();
            assert_eq!(exchange.status, 200, "{method} {path}");
            assert_eq!(rig.upstream.requests().last().unwrap().path, path);
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn counts_and_compactions_are_asked_of_the_upstream() {
    let rig = Rig::new(Reply::hang()).await;
    let body = json!({"model": "m", "input": [{"role": "user", "content": "hi"}]});
    let counted = rig.ask("/v1/responses/input_tokens", &body).await;
    assert_eq!(counted.status, 200);
    assert!(!rig.record(&id(&counted)).await.turn);
    let compacted = rig.ask("/v1/responses/compact", &body).await;
    assert_eq!(compacted.status, 200);
    let answer: Value = serde_json::from_slice(&compacted.rest().await.unwrap()).unwrap();
    assert_eq!(answer["object"], "response.compaction");
    rig.stop().await;
}

#[tokio::test]
async fn what_else_the_vendor_keeps_is_refused() {
    let rig = Rig::new(Reply::hang()).await;
    let refused = get(&rig.url("/v1/conversations/conv_1/items"), &[KEY]).await.unwrap();
    assert_eq!(refused.status, 403);
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

fn number(frame: &Frame) -> Option<u64> {
    serde_json::from_slice::<Value>(frame.data.as_ref()?).unwrap()["sequence_number"].as_u64()
}

#[tokio::test]
async fn a_client_that_waits_for_a_judge_gets_keep_alives_with_the_last_number() {
    let gate = Gate::new();
    let judge = gate.clone();
    let answer = Answer::new().say("Let me see.").call("run", &json!({"command": "ls"}));
    let script = Script::new(move |asked: &Asked| {
        if asked.model() == "judge" {
            Play::from(Answer::text("good").reply(asked).wait_before(&judge))
        } else {
            Play::from(answer.clone())
        }
    });
    let rig = Rig::with(script, vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |config| {
        config.timeouts.keep_alive = Duration::from_millis(10);
    })
    .await;
    let mut exchange = rig.ask("/v1/responses", &turn_in(Dialect::Responses, true)).await;
    let (mut all, mut last) = (Vec::new(), None);
    for _ in 0..3 {
        loop {
            let frame = exchange.frame().await.unwrap().unwrap();
            all.extend_from_slice(&frame.raw);
            if frame.event == "keepalive" {
                assert_eq!(number(&frame), last);
                break;
            }
            last = number(&frame);
        }
    }
    gate.open();
    while let Some(frame) = exchange.frame().await.unwrap() {
        all.extend_from_slice(&frame.raw);
    }
    let whole = accumulate_responses(&all).unwrap();
    assert_eq!(whole["output"].as_array().map(Vec::len), Some(2), "{whole}");
    rig.stop().await;
}

#[tokio::test]
async fn a_response_that_breaks_off_under_review_fails_under_its_own_name() {
    for policies in [vec![], vec![Arc::new(Judged(JudgeRoute::UserCredentials)) as Arc<dyn Policy>]] {
        let answer = Answer::new().say("word").start_call("run").input("{\"sec").break_off(Step::Close);
        let rig = Rig::with(answer, policies, |_| {}).await;
        let body = turn_in(Dialect::Responses, true);
        let mut exchange = rig.ask("/v1/responses", &body).await;
        let mut frames = Vec::new();
        while let Some(frame) = exchange.frame().await.unwrap() {
            frames.push(frame);
        }
        let data = |frame: &Frame| serde_json::from_slice::<Value>(frame.data.as_ref().unwrap()).unwrap();
        let (first, last) = (data(&frames[0]), data(frames.last().unwrap()));
        assert_eq!((&first["type"], &last["type"]), (&json!("response.created"), &json!("response.failed")));
        assert_eq!(first["response"]["id"], last["response"]["id"]);
        let numbers: Vec<u64> = frames.iter().filter_map(number).collect();
        assert_eq!(numbers, (0..frames.len() as u64).collect::<Vec<_>>());
        rig.stop().await;
    }
}
