//! A converted stream ends where its source ends, and how.

use luthien_wire::Dialect;
use luthien_wire::convert::AnswerContext;

use super::super::testing::{Step, body, collect, source};
use super::*;

const TEXT: &str = "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}]}\n\n";
const FINISH: &str = "data: {\"id\":\"chatcmpl-1\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const END: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// What a Messages client gets of a Chat source with these steps.
async fn converted(steps: Vec<Step>) -> (String, Option<SourceError>) {
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
    collect(Convert { source: Some(source), ready: Bytes::new(), broke: None, converter, happenings: None }).await
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
