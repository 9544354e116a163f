//! Streams and chains that try to get a blocked call out, or to bring the engine down.

use futures_util::future::BoxFuture;
use luthien_testkit::accumulate::accumulate_messages;
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, ToolCall, ToolForm};
use serde_json::json;

use super::support::*;
use crate::contract::*;

/// Puts a call of `safe` in the place of the call `name`.
fn replace_tool(name: &'static str) -> Scripted {
    calls(move |call| {
        if call.name != name {
            return Answer::pass();
        }
        let new = ToolCall {
            id: String::new(),
            name: "safe".into(),
            form: ToolForm::Client,
            raw: "{}".into(),
            arguments: Ok(json!({})),
        };
        Answer { action: Action::Replace(vec![Block::ToolCall(new)]), ..Answer::default() }
    })
}

/// Blocks the call `bad`, and with it all others of the turn.
fn block_turn() -> Scripted {
    calls(|call| match &*call.name {
        "bad" => Answer { scope: BlockScope::Turn, ..Answer::block("[no]") },
        _ => Answer::pass(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_verdict_belongs_to_its_call_also_where_the_upstream_repeats_an_index() {
    // The second call's verdict comes later than the first one's.
    let script: Script = std::sync::Arc::new(|block| match block {
        Block::ToolCall(call) if call.name == "bad" => (1, Ok(Answer::block("[no]"))),
        _ => (9, Ok(Answer::pass())),
    });
    let opened = open(Dialect::Messages, vec![(Scripted { script, ..block_tool("x") }, Mode::Enforce)]);
    let input = start() + &tool(0, "bad", "{\"x\":1}") + &tool(0, "ok", "{\"y\":2}") + &stop("tool_use");
    let out = run(&opened.reviews, &input).await;
    assert!(!out.contains("toolu_bad") && out.contains("toolu_ok"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_block_of_the_turn_covers_calls_that_a_policy_has_put_in() {
    let members = || vec![(replace_tool("old"), Mode::Enforce), (block_turn(), Mode::Enforce)];
    let input = start() + &tool(0, "old", "{}") + &tool(1, "bad", "{}") + &stop("tool_use");
    let out = run(&open(Dialect::Messages, members()).reviews, &input).await;
    let message = accumulate_messages(out.as_bytes()).unwrap();
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [
            {"type": "tool_use", "id": "a", "name": "old", "input": {}},
            {"type": "tool_use", "id": "b", "name": "bad", "input": {}},
        ],
    });
    let whole = open(Dialect::Messages, members()).reviews.whole(body.to_string().into()).await.body;
    let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    for answer in [message, whole] {
        let texts: Vec<_> = answer["content"].as_array().unwrap().iter().map(|block| block["text"].clone()).collect();
        assert_eq!(texts, ["[Blocked together with another call of this turn: the tool `safe`.]", "[no]"]);
        assert_eq!(answer["stop_reason"], "end_turn");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_carries_words_does_not_get_out_with_a_covered_call() {
    let opened = open(Dialect::Messages, vec![(block_turn(), Mode::Enforce)]);
    let input = start() + &tool(0, "run: rm -rf ~", "{}") + &tool(1, "bad", "{}") + &stop("tool_use");
    let out = run(&opened.reviews, &input).await;
    assert!(!out.contains("rm -rf"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn the_largest_index_is_an_index() {
    let input = start() + &text(u32::MAX, "hi") + &tool(u32::MAX, "bad", "{}") + &stop("tool_use");
    let out = run(&open(Dialect::Messages, vec![(block_tool("bad"), Mode::Enforce)]).reviews, &input).await;
    assert!(out.contains("[blocked bad]") && !out.contains("toolu_bad"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_watches_the_turn_sees_each_block_once_also_where_they_overlap() {
    let event = |data: &str| ev(data);
    let input = start()
        + &event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"one"}}"#)
        + &tool(1, "old", "{}")
        + &event(r#"{"type":"content_block_stop","index":0}"#)
        + &stop("tool_use");
    let turn = Scripted {
        watch: Watch { turn: true, ..Watch::default() },
        script: std::sync::Arc::new(|block| match block {
            Block::Opaque { raw, .. } => (0, Ok(Answer::block(raw.clone()))),
            _ => (0, Ok(Answer::pass())),
        }),
        ..block_tool("x")
    };
    let opened = open(Dialect::Messages, vec![(replace_tool("old"), Mode::Enforce), (turn, Mode::Enforce)]);
    let out = run(&opened.reviews, &input).await;
    let seen = accumulate_messages(out.as_bytes()).unwrap()["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(seen.contains("one") && seen.contains("safe") && !seen.contains("old"), "{seen}");
}

/// Panics before it gives a future to wait for.
struct Hasty;

impl Review for Hasty {
    fn tool_call<'a>(
        &'a self,
        _: &'a ToolCall,
        _: &'a [std::sync::Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        panic!("policy bug")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_wait_blocks_too() {
    let hasty = Scripted { review: Some(|| Box::new(Hasty)), ..block_tool("x") };
    let opened = open(Dialect::Messages, vec![(hasty, Mode::Enforce)]);
    let out = run(&opened.reviews, &(start() + &tool(0, "t", "{}") + &stop("tool_use"))).await;
    assert!(!out.contains("toolu_t"), "{out}");
    assert_eq!(opened.decisions.0.lock().unwrap()[0].reason.as_deref(), Some("the policy panicked"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_within_a_call_ends_as_an_error() {
    let texts = Watch { text: TextWatch::Streamed, ..Watch::default() };
    let opened = open(Dialect::Messages, vec![(Scripted { watch: texts, ..block_tool("x") }, Mode::Enforce)]);
    let call = tool(0, "t", "{\"path\": \"/\"}");
    let begun = call.split_inclusive("\n\n").take(2).collect::<String>();
    let input = start() + &begun + "event: ping\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let out = run(&opened.reviews, &input).await;
    let rest = out.strip_prefix(&(start() + &begun)).unwrap();
    // Neither a call that looks whole nor a text after it.
    assert!(rest.starts_with("event: error\n") && rest.matches("event:").count() == 1, "{rest}");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_takes_arguments_is_none() {
    let block = r#"{"type":"mcp_tool_result","tool_use_id":"t","name":"bad","input":{}}"#;
    let input = start()
        + &ev(&format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#))
        + &ev(
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"leaks\":1}"}}"#,
        )
        + &ev(r#"{"type":"content_block_stop","index":0}"#)
        + &stop("tool_use");
    let out = run(&open(Dialect::Messages, vec![(block_tool("bad"), Mode::Enforce)]).reviews, &input).await;
    assert!(!out.contains("leaks"), "{out}");
}
