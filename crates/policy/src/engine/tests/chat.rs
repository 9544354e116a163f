//! The engine on Chat streams.

use luthien_testkit::accumulate::accumulate_chat;
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, BlockId, ToolCall};
use serde_json::json;

use super::support::*;
use crate::contract::*;

fn chunk(choices: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{choices}]}}\n\n"
    )
}

fn delta(delta: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#))
}

fn begin() -> String {
    delta(r#"{"role":"assistant","content":""}"#)
}

fn finish(reason: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}"#)) + "data: [DONE]\n\n"
}

fn call(index: u32, name: &str, args: &str) -> String {
    delta(&format!(
        r#"{{"tool_calls":[{{"index":{index},"id":"call_{name}","type":"function","function":{{"name":"{name}","arguments":""}}}}]}}"#
    )) + &delta(&format!(
        r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]}}"#,
        serde_json::to_string(args).unwrap()
    ))
}

fn enforce(policy: Scripted) -> Opened {
    open(Dialect::Chat, vec![(policy, Mode::Enforce)])
}

#[tokio::test(start_paused = true)]
async fn allowed_calls_leave_as_they_came() {
    let input = begin()
        + &delta(r#"{"content":"hi"}"#)
        + &call(0, "a", "{\"x\":1}")
        + &call(1, "b", "{}")
        + &finish("tool_calls");
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_call_becomes_content_and_the_others_are_renumbered() {
    let input =
        begin() + &delta(r#"{"content":"hi"}"#) + &call(0, "bad", "{}") + &call(1, "ok", "{}") + &finish("tool_calls");
    let expected = begin()
        + &delta(r#"{"content":"hi"}"#)
        + &delta(r#"{"content":"\n\n[blocked bad]"}"#)
        + &call(0, "ok", "{}")
        + &finish("tool_calls");
    assert_eq!(run(&enforce(block_tool("bad")).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_only_call_blocked_turns_the_finish_reason() {
    let input = begin() + &call(0, "bad", "{}") + &finish("tool_calls");
    let expected = begin() + &delta(r#"{"content":"[blocked bad]"}"#) + &finish("stop");
    assert_eq!(run(&enforce(block_tool("bad")).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn calls_in_one_chunk_with_the_finish_reason_are_told_apart() {
    let both = chunk(concat!(
        r#"{"index":0,"delta":{"role":"assistant","content":"hi","tool_calls":["#,
        r#"{"index":0,"id":"call_bad","type":"function","function":{"name":"bad","arguments":"{}"}},"#,
        r#"{"index":1,"id":"call_ok","type":"function","function":{"name":"ok","arguments":"{}"}}]},"finish_reason":"tool_calls"}"#
    ));
    let input = both + "data: [DONE]\n\n";
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
    let out = run(&enforce(block_tool("bad")).reviews, &input).await;
    assert!(!out.contains("call_bad"), "{out}");
    let message = &accumulate_chat(out.as_bytes()).unwrap()["choices"][0];
    assert_eq!(message["message"]["content"], "hi\n\n[blocked bad]");
    assert_eq!(message["message"]["tool_calls"][0]["id"], "call_ok");
    assert_eq!(message["message"]["tool_calls"].as_array().unwrap().len(), 1);
    assert_eq!(message["finish_reason"], "tool_calls");
}

#[tokio::test(start_paused = true)]
async fn a_legacy_function_call_is_a_call() {
    let input = begin() + &delta(r#"{"function_call":{"name":"bad","arguments":"{}"}}"#) + &finish("function_call");
    let out = run(&enforce(block_tool("bad")).reviews, &input).await;
    assert_eq!(out, begin() + &delta(r#"{"content":"[blocked bad]"}"#) + &finish("stop"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_changes_is_a_contradiction() {
    let input = begin()
        + &call(0, "ok", "{}")
        + &delta(r#"{"tool_calls":[{"index":0,"function":{"name":"bad","arguments":""}}]}"#)
        + &finish("tool_calls");
    let out = run(&enforce(calls(|_| Answer::pass())).reviews, &input).await;
    assert!(!out.contains("call_ok") && !out.contains("\"bad\""), "{out}");
    assert_eq!(accumulate_chat(out.as_bytes()).unwrap()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn text_is_changed_in_content_and_the_rest_of_the_chunk_stays() {
    let upper = Scripted {
        watch: Watch { text: TextWatch::Streamed, ..Watch::default() },
        stream: |text| text.to_uppercase(),
        ..block_tool("none")
    };
    let input = begin() + &delta(r#"{"content":"hi","x":1.50}"#) + &finish("stop");
    let expected = begin() + &delta(r#"{"content":"HI","x":1.50}"#) + &finish("stop");
    assert_eq!(run(&enforce(upper).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_streaming_policy_held_back_comes_before_the_finish() {
    struct Holds;
    impl Review for Holds {
        fn text_delta(&self, _: BlockId, _: &str) -> Option<String> {
            Some(String::new())
        }
        fn text_end(&self, _: BlockId) -> String {
            "tail".into()
        }
    }
    let watch = Watch { text: TextWatch::Streamed, ..Watch::default() };
    let holds = Scripted { watch, review: Some(|| Box::new(Holds)), ..block_tool("none") };
    let input = begin() + &delta(r#"{"content":"hi"}"#) + &finish("stop");
    let expected = begin() + &delta(r#"{"content":"tail"}"#) + &finish("stop");
    assert_eq!(run(&enforce(holds).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn each_choice_is_judged_by_itself() {
    let two = |n: u32, name: &str| {
        chunk(&format!(
            r#"{{"index":{n},"delta":{{"role":"assistant","tool_calls":[{{"index":0,"id":"call_{name}","type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}]}},"finish_reason":null}}"#
        ))
    };
    let end = |n: u32| chunk(&format!(r#"{{"index":{n},"delta":{{}},"finish_reason":"tool_calls"}}"#));
    let input = two(0, "bad") + &two(1, "ok") + &end(0) + &end(1) + "data: [DONE]\n\n";
    let out = run(&enforce(block_tool("bad")).reviews, &input).await;
    let message = accumulate_chat(out.as_bytes()).unwrap();
    assert_eq!(message["choices"][0]["finish_reason"], "stop");
    assert_eq!(message["choices"][1]["message"]["tool_calls"][0]["id"], "call_ok");
    assert_eq!(message["choices"][1]["finish_reason"], json!("tool_calls"));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_twice_passes_in_its_place_where_nothing_acts() {
    let second = |field: &str| chunk(&format!(r#"{{"index":1,{field}}}"#));
    let input = second(r#""delta":{"content":"b"},"finish_reason":null"#)
        + &second(r#""delta":{},"finish_reason":"stop""#)
        + &second(r#""delta":{},"finish_reason":"stop""#)
        + &delta(r#"{"content":"a"}"#)
        + &finish("stop")
        + "data: [DONE]\n\n";
    let shadow = open(Dialect::Chat, vec![(block_tool("other"), Mode::Shadow)]);
    assert_eq!(run(&shadow.reviews, &input).await, input);
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn a_free_text_call_that_was_changed_stays_one() {
    let input = begin()
        + &delta(
            r#"{"tool_calls":[{"index":0,"id":"call_p","type":"custom","custom":{"name":"patch","input":"old"}}]}"#,
        )
        + &finish("tool_calls");
    let rewrite = calls(|call| {
        let new = ToolCall { raw: "new".into(), arguments: Ok("new".into()), ..call.clone() };
        Answer { action: Action::Replace(vec![Block::ToolCall(new)]), ..Answer::pass() }
    });
    let out = run(&enforce(rewrite).reviews, &input).await;
    let message = accumulate_chat(out.as_bytes()).unwrap();
    let call = &message["choices"][0]["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["custom"]["input"]), (&json!("custom"), &json!("new")), "{out}");
}
