//! The engine on answers that are not streamed.

use std::sync::Arc;

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, ToolCall};

use super::support::*;
use crate::contract::*;
use crate::people::{Asked, People, Ruling};

async fn whole(dialect: Dialect, policy: Scripted, body: &str) -> String {
    let opened = open(dialect, vec![(policy, Mode::Enforce)]);
    let out = opened.reviews.whole(Bytes::copy_from_slice(body.as_bytes())).await;
    String::from_utf8(out.body.to_vec()).unwrap()
}

const MESSAGE: &str = r#"{"id":"msg_1", "content": [{"type":"text","text":"hi"} , {"type":"tool_use","id":"t1","name":"bad","input":{"x":1.0}},{"type":"tool_use","id":"t2","name":"ok","input":{}}],"stop_reason" : "tool_use","usage":{"output_tokens":7}}"#;
const COMPLETION: &str = r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"bad","arguments":"{}"}}, {"id":"t2","type":"function","function":{"name":"ok","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"total_tokens":3}}"#;

#[tokio::test(start_paused = true)]
async fn what_is_allowed_keeps_its_bytes() {
    assert_eq!(whole(Dialect::Messages, block_tool("x"), MESSAGE).await, MESSAGE);
    assert_eq!(whole(Dialect::Chat, block_tool("x"), COMPLETION).await, COMPLETION);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_call_becomes_a_text_and_the_rest_keeps_its_bytes() {
    let expected = r#"{"id":"msg_1", "content": [{"type":"text","text":"hi"},{"type":"text","text":"[blocked bad]"},{"type":"tool_use","id":"t2","name":"ok","input":{}}],"stop_reason" : "tool_use","usage":{"output_tokens":7}}"#;
    assert_eq!(whole(Dialect::Messages, block_tool("bad"), MESSAGE).await, expected);
    let expected = r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"[blocked bad]","tool_calls":[{"id":"t2","type":"function","function":{"name":"ok","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"total_tokens":3}}"#;
    assert_eq!(whole(Dialect::Chat, block_tool("bad"), COMPLETION).await, expected);
}

#[tokio::test(start_paused = true)]
async fn when_no_call_remains_the_turn_ends() {
    let all = |_: &luthien_wire::turn::ToolCall| Answer::block("[no]");
    let out = whole(Dialect::Chat, calls(all), COMPLETION).await;
    assert_eq!(
        out,
        r#"{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"[no]\n\n[no]"},"finish_reason":"stop"}],"usage":{"total_tokens":3}}"#
    );
    let out = whole(Dialect::Messages, calls(all), MESSAGE).await;
    assert!(out.contains(r#""stop_reason" : "end_turn""#), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_block_can_cover_all_calls_of_the_turn() {
    let policy = calls(|call| match call.name.as_str() {
        "bad" => Answer { scope: BlockScope::Turn, ..Answer::block("[no]") },
        _ => Answer::pass(),
    });
    let out = whole(Dialect::Messages, policy, MESSAGE).await;
    assert!(!out.contains("tool_use") && out.contains("[no]") && out.contains("the tool `ok`"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_withheld() {
    for body in [
        "not json",
        "[]",
        r#"{"content":[{"type":"tool_use"},7]}"#,
        r#"{"content":[{"type":"text","type":"tool_use","name":"evil"}]}"#,
    ] {
        let out = whole(Dialect::Messages, block_tool("x"), body).await;
        assert!(out.contains("could not check"), "{body}: {out}");
        assert!(!out.contains("evil"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_place_of_another_stands_where_that_stood() {
    let policy = || {
        calls(|call| match call.name.as_str() {
            "bad" => {
                let good = ToolCall { id: String::new(), name: "good".into(), ..call.clone() };
                Answer { action: Action::Replace(vec![Block::ToolCall(good)]), ..Answer::default() }
            }
            _ => Answer::pass(),
        })
    };
    let out = whole(Dialect::Messages, policy(), MESSAGE).await;
    assert!(out.find("\"good\"").unwrap() < out.find("\"ok\"").unwrap(), "{out}");
    let input = start() + &tool(0, "bad", "{}") + &tool(1, "ok", "{}") + &tool(2, "bad", "{}") + &stop("tool_use");
    let out = run(&open(Dialect::Messages, vec![(policy(), Mode::Enforce)]).reviews, &input).await;
    let names: Vec<_> =
        out.match_indices("\"name\":\"").map(|(at, key)| &out[at + key.len()..at + key.len() + 2]).collect();
    assert_eq!(names, ["go", "ok", "go"], "{out}");
}

/// A person who does not answer.
#[derive(Debug)]
struct Silent;

impl People for Silent {
    fn ask(&self, _: Asked, _: &ReviewContext) -> futures_util::future::BoxFuture<'_, Ruling> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_a_call_that_stays_behind_with_another() {
    let question = || crate::people::Question {
        why: "?".into(),
        denied: "[denied]".into(),
        unanswered: OnError::Pass,
        timeout: None,
    };
    let policy = || {
        calls(move |call| match call.name.as_str() {
            "bad" => Answer { scope: BlockScope::Turn, ..Answer::block("[no]") },
            _ => Answer::ask(question()),
        })
    };
    let with_people = |policy| open_with(Dialect::Messages, vec![(policy, Mode::Enforce)], Arc::new(Silent));
    let began = tokio::time::Instant::now();
    let opened = with_people(policy());
    let out = opened.reviews.whole(Bytes::from_static(MESSAGE.as_bytes())).await.body;
    assert!(!out.windows(8).any(|w| w == b"tool_use"), "{out:?}");
    let input = start() + &tool(0, "ok", "{}") + &tool(1, "bad", "{}") + &stop("tool_use");
    let out = run(&with_people(policy()).reviews, &input).await;
    assert!(!out.contains("tool_use\",\"id") && out.contains("[no]"), "{out}");
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
}
