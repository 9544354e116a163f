//! A converted stream ends where its source ends, and how.

use std::time::Duration;

use luthien_wire::Dialect;
use luthien_wire::convert::AnswerContext;

use super::super::Pieces;
use super::super::keep_alive::{KeepAlive, Pingable};
use super::super::pass::Pass;
use super::super::testing::{Step, body, collect, source};
use super::*;

const TEXT: &str = "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}]}\n\n";
const FINISH: &str = "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const END: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// What a Messages client gets of a Chat source with these steps.
async fn converted(steps: Vec<Step>) -> (String, Option<SourceError>) {
    collect(convert(steps)).await
}

fn convert(steps: Vec<Step>) -> Convert {
    let context = AnswerContext {
        from: Dialect::Chat,
        to: Dialect::Messages,
        model: "m".to_owned(),
        id: "t1".to_owned(),
        free_text_tools: Vec::new(),
        renamed_tools: Vec::new(),
        namespaced_tools: Vec::new(),
        include_usage: false,
        legacy_functions: false,
        repeated: serde_json::Map::new(),
    };
    let source: Unconverted = Box::new(source(body(steps)));
    let converter = StreamConverter::new(context, 1 << 20);
    Convert::of(Some(source), Bytes::new(), converter, None)
}

/// A stream as the client gets it, without a transaction.
struct Unrecorded(Pass<Convert>);

impl Body for Unrecorded {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        self.0.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(|piece| Frame::data(piece.bytes))))
    }
}

impl Pingable for Unrecorded {
    fn may_ping(&self) -> bool {
        self.0.may_ping()
    }
}

#[tokio::test]
async fn a_whole_stream_becomes_a_whole_stream() {
    let (text, error) = converted(vec![Step::Data(TEXT), Step::Data(FINISH), Step::Data("data: [DONE]\n\n")]).await;
    assert!(text.starts_with("event: message_start\n") && text.ends_with(END), "{text}");
    assert_eq!(error, None);
}

#[tokio::test]
async fn an_answer_that_stopped_is_complete_though_its_source_broke_off() {
    let (text, error) = converted(vec![Step::Data(TEXT), Step::Data(FINISH), Step::Break]).await;
    assert!(text.ends_with(END), "{text}");
    assert!(error.is_some());
}

#[tokio::test]
async fn an_answer_that_broke_off_has_no_end() {
    let (text, error) = converted(vec![Step::Data(TEXT), Step::Break]).await;
    assert!(text.contains("Hi") && !text.contains("message_delta"), "{text}");
    assert!(error.is_some());
}

#[tokio::test]
async fn what_cannot_be_read_is_the_last_thing() {
    let (text, error) = converted(vec![Step::Data(TEXT), Step::Data("data: {\n\n"), Step::Silence]).await;
    assert!(text.contains("event: error\n"), "{text}");
    assert_eq!(error, None);
}

#[tokio::test(start_paused = true)]
async fn a_ping_may_come_while_calls_are_held() {
    let call = |arguments: &str| {
        let call =
            serde_json::json!({"index": 0, "id": "call_abc_def", "function": {"name": "a", "arguments": arguments}});
        let choices = serde_json::json!([{"index": 0, "delta": {"tool_calls": [call]}}]);
        let chunk = serde_json::json!({"id": "c", "created": 1, "model": "m", "choices": choices});
        Step::Bytes(format!("data: {chunk}\n\n").into())
    };
    let wait = || Step::Wait(Duration::from_secs(10));
    // Each part of the call comes before the client has waited for long; of none it gets to know.
    let steps = vec![Step::Data(TEXT), call("{"), wait(), call(" "), wait(), call("}"), wait(), Step::Data(FINISH)];
    let pass = Pass::new(convert(steps), Dialect::Messages, "t1".to_owned(), 1 << 20);
    let (text, error) = collect(KeepAlive::new(Unrecorded(pass), Dialect::Messages, Duration::from_secs(15))).await;
    let pings: Vec<usize> = text.match_indices("event: ping\n").map(|(at, _)| at).collect();
    let call = text.find("tool_use").unwrap();
    assert!(pings.len() == 1 && pings[0] < call && text.ends_with(END), "{text}");
    assert_eq!(error, None);
}
