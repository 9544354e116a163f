//! Streams from upstreams of another dialect: as they come, compressed, broken off, in one piece.

use std::sync::Arc;

use luthien_policy::contract::Policy;
use luthien_record::model::Status;
use luthien_testkit::{Answer, Gate, Reply, Script, Step};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::converted::{NoTools, far, read};
use crate::routing::{asks, text};
use crate::support::{id, path};

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn a_compressed_answer_is_read_too(#[case] stream: bool) {
    for policies in [Vec::new(), vec![Arc::new(NoTools) as Arc<dyn Policy>]] {
        let plain = if stream {
            let frames = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"zipped\"},\"finish_reason\":null}]}\n\n\
                data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            Reply::stream(frames.as_bytes())
        } else {
            Reply::json(
                200,
                &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "zipped"}, "finish_reason": "stop"}]}),
            )
        };
        let (rig, _upstream) = far(Dialect::Chat, Script::always(plain.gzip()), policies).await;
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "far", stream)).await;
        assert_eq!((exchange.status, exchange.header("content-encoding")), (200, None));
        let id = id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        assert_eq!(read(Dialect::Messages, stream, &bytes)["content"][0]["text"], "zipped");
        // The record keeps what can be read.
        assert!(String::from_utf8_lossy(&rig.record(&id).await.upstream_response).contains("zipped"));
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_converted_stream_comes_as_it_is_made() {
    for policies in [Vec::new(), vec![Arc::new(NoTools) as Arc<dyn Policy>]] {
        let gate = Gate::new();
        let answer = Answer::text("early words").new_block().hold(&gate).say("late words");
        let (rig, _upstream) = far(Dialect::Chat, answer, policies).await;
        let mut exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "far", true)).await;
        let mut early = Vec::new();
        while !String::from_utf8_lossy(&early).contains("early") {
            early.extend_from_slice(&exchange.chunk().await.unwrap().expect("more"));
        }
        gate.open();
        let rest = text(exchange).await;
        assert!(rest.contains("late") && rest.contains("message_stop"), "{rest}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_callers_error() {
    for (client, spoken, expected) in [
        (Dialect::Messages, Dialect::Chat, "event: error"),
        (Dialect::Chat, Dialect::Messages, "data: {\"error\""),
        (Dialect::Responses, Dialect::Messages, "event: response.failed"),
    ] {
        for policies in [Vec::new(), vec![Arc::new(NoTools) as Arc<dyn Policy>]] {
            for end in [Some(Step::Close), None] {
                let answer = Answer::text("some words that are not all").delta_size(3);
                let answer = match end {
                    Some(step) => answer.break_off(step),
                    None => answer.end_early(),
                };
                let (rig, _upstream) = far(spoken, answer, policies.clone()).await;
                let exchange = rig.ask(path(client), &asks(client, "far", true)).await;
                let id = id(&exchange);
                let told = text(exchange).await;
                let last = told.trim_end().rsplit("\n\n").next().unwrap();
                assert!(last.starts_with(expected), "{client} on {spoken}: {told}");
                let record = rig.record(&id).await;
                assert_eq!(record.status, Status::UpstreamBroken, "{client} on {spoken}");
                assert_eq!(record.client_response(), told.as_bytes());
                rig.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_in_one_piece_becomes_the_stream_that_was_asked_for() {
    for policies in [Vec::new(), vec![Arc::new(NoTools) as Arc<dyn Policy>]] {
        let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "all at once"}, "finish_reason": "stop"}]});
        let (rig, _upstream) = far(Dialect::Chat, Script::always(Reply::json(200, &whole)), policies).await;
        let exchange = rig.ask("/v1/messages", &asks(Dialect::Messages, "far", true)).await;
        assert!(exchange.header("content-type").unwrap().starts_with("text/event-stream"));
        assert_eq!(exchange.header("content-length"), None);
        let bytes = exchange.rest().await.unwrap();
        assert_eq!(read(Dialect::Messages, true, &bytes)["content"][0]["text"], "all at once");
        rig.stop().await;
    }
}
