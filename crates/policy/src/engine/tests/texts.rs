//! Texts that a policy changes: each stays what it is and where it is, with other words.

use std::sync::Arc;

use bytes::Bytes;
use luthien_testkit::accumulate::{accumulate_messages, accumulate_responses};
use luthien_wire::Dialect;
use luthien_wire::turn::Block;
use serde_json::json;

use super::numbered::Stream;
use super::support::*;
use crate::contract::*;

/// Says texts louder, once they are whole.
fn louder(dialect: Dialect) -> Opened {
    let script: Script = Arc::new(|block| match block {
        Block::Text(text) => {
            let new = Block::Text(text.to_uppercase());
            (0, Ok(Answer { action: Action::Replace(vec![new]), ..Answer::pass() }))
        }
        _ => (0, Ok(Answer::pass())),
    });
    let watch = Watch { text: TextWatch::Whole, ..Watch::default() };
    open(dialect, vec![(Scripted { watch, script, ..block_tool("none") }, Mode::Enforce)])
}

async fn whole(dialect: Dialect, body: &str) -> String {
    let out = louder(dialect).reviews.whole(Bytes::copy_from_slice(body.as_bytes())).await;
    String::from_utf8(out.body.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn in_a_whole_answer_only_the_words_change() {
    let message = r#"{"content":[{"type":"sketch","lines":[1]},{"type":"tool_use","id":"t","name":"n","input":{}},{"type":"text","text":"hi","citations":null}],"stop_reason":"tool_use"}"#;
    assert_eq!(whole(Dialect::Messages, message).await, message.replace("hi", "HI"));
    let refusal = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"no"},"finish_reason":"stop"}]}"#;
    assert_eq!(whole(Dialect::Chat, refusal).await, refusal.replace("no\"", "NO\""));
    let response = r#"{"id":"resp_1","status":"incomplete","output":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"id":"msg_9","type":"message","phase":"commentary","status":"incomplete","content":[{"type":"output_text","text":"one","annotations":[]},{"type":"output_text","text":"two"}]}],"incomplete_details":{"reason":"max_output_tokens"}}"#;
    let expected = response.replace("\"one\"", "\"ONE\"").replace("\"two\"", "\"TWO\"");
    assert_eq!(whole(Dialect::Responses, response).await, expected);
}

#[tokio::test(start_paused = true)]
async fn in_a_stream_a_held_text_keeps_its_item() {
    let input = Stream::new().text("msg_9", &["one", " two"]).call("f", "{}").done();
    let input = input.replace("\"type\":\"message\"", "\"type\":\"message\",\"phase\":\"commentary\"");
    let out = run(&louder(Dialect::Responses).reviews, &input).await;
    let response = accumulate_responses(out.as_bytes()).unwrap();
    let item = &response["output"][0];
    assert_eq!((&item["id"], &item["phase"]), (&json!("msg_9"), &json!("commentary")));
    assert_eq!(item["content"][0]["text"], "ONE TWO");
}

#[tokio::test(start_paused = true)]
async fn an_event_over_several_lines_is_written_over_several() {
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
    let input = start() + &text(0, "hi") + &stop("end_turn");
    let input = input.replace(delta, &delta.replace(",\"index\"", ",\ndata: \"index\""));
    let out = run(&louder(Dialect::Messages).reviews, &input).await;
    assert_eq!(accumulate_messages(out.as_bytes()).unwrap()["content"][0]["text"], "HI");
}

#[tokio::test(start_paused = true)]
async fn a_text_in_place_of_a_call_is_a_message_of_its_own() {
    let body = r#"{"id":"resp_1","status":"completed","output":[{"id":"fs_1","type":"file_search_call","status":"completed","queries":["q"],"results":["private"]}]}"#;
    let script: Script =
        Arc::new(|_| (0, Ok(Answer { action: Action::Replace(vec![Block::Text("gone".into())]), ..Answer::pass() })));
    let opened = open(Dialect::Responses, vec![(Scripted { script, ..block_tool("none") }, Mode::Enforce)]);
    let out = opened.reviews.whole(Bytes::copy_from_slice(body.as_bytes())).await;
    let out: serde_json::Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(out["output"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&out["output"][0]["type"], &out["output"][0]["content"][0]["text"]),
        (&json!("message"), &json!("gone"))
    );
    assert_eq!(out["output"][0]["queries"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn an_annotation_goes_with_the_words_it_points_into() {
    let input = Stream::new().text("m", &["so", " it is"]).done();
    let at = input.find("event: response.output_text.done").unwrap();
    let annotation = ev(
        r#"{"type":"response.output_text.annotation.added","sequence_number":6,"item_id":"m","output_index":0,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation"}}"#,
    );
    let input = [&input[..at], &annotation, &input[at..]].concat();
    let out = run(&louder(Dialect::Responses).reviews, &input).await;
    assert!(out.contains("SO IT IS") && !out.contains("url_citation"), "{out}");
    assert!(accumulate_responses(out.as_bytes()).is_ok(), "{out}");
    let out = run(&open(Dialect::Responses, vec![(block_tool("x"), Mode::Enforce)]).reviews, &input).await;
    assert_eq!(out, input);
}
