//! Answers as they are on the wire.

use bytes::Bytes;
use luthien_wire::Dialect::{self, Chat, Messages, Responses};
use serde_json::{Value, json};

use super::Answer;
use crate::accumulate::{accumulate, accumulate_chat, accumulate_messages, accumulate_responses};
use crate::asked::Asked;
use crate::gate::Gate;
use crate::reply::Step;

fn asked(dialect: Dialect, stream: bool) -> Asked {
    let options = json!({"include_usage": true});
    let include = ["reasoning.encrypted_content"];
    let body = json!({"model": "m", "stream": stream, "stream_options": options, "messages": [], "include": include});
    Asked::new(0, dialect, Vec::new(), Bytes::from(body.to_string())).expect("a request")
}

fn whole(answer: &Answer, dialect: Dialect) -> Value {
    serde_json::from_slice(&answer.bytes(&asked(dialect, false))).expect("JSON")
}

fn everything() -> Answer {
    Answer::new()
        .think("Which files? All of them, I suppose.", "c2lnbmF0dXJl")
        .ping()
        .say("Let me ")
        .comment("inside the text")
        .say("look at both 🎉.")
        .call("Bash", &json!({"command": "ls -la", "deep": {"a": [1, "ü"]}}))
        .start_call("ListAll")
        .call_with_id("toolu_mine", "Read", &json!({}))
}

#[test]
fn streamed_and_whole_messages_say_the_same() {
    let answer = everything();
    let streamed = accumulate_messages(&answer.bytes(&asked(Messages, true))).expect("a message");
    let whole = whole(&answer, Messages);
    // Each request's own body gives the ids.
    let content = |message: &Value| {
        let blocks = message["content"].as_array().expect("content").iter().cloned();
        let blocks = blocks.map(|mut block| {
            if block["id"] != "toolu_mine" && block["type"] == "tool_use" {
                block["id"] = "an id".into();
            }
            block
        });
        blocks.collect::<Vec<_>>()
    };
    assert_eq!(content(&streamed), content(&whole));
    assert_eq!(content(&whole)[1], json!({"type": "text", "text": "Let me look at both 🎉."}));
    assert_eq!((&streamed["stop_reason"], &whole["stop_reason"]), (&json!("tool_use"), &json!("tool_use")));
    assert_eq!(whole["content"].as_array().map(Vec::len), Some(5));
}

#[test]
fn streamed_and_whole_completions_say_the_same() {
    let answer = everything();
    let streamed = accumulate_chat(&answer.bytes(&asked(Chat, true))).expect("a completion");
    let whole = whole(&answer, Chat);
    let message = |value: &Value| value["choices"][0]["message"].clone();
    assert_eq!(message(&streamed)["content"], message(&whole)["content"]);
    assert_eq!(message(&streamed)["reasoning_content"], "Which files? All of them, I suppose.");
    let functions = |value: &Value| {
        let calls = message(value)["tool_calls"].as_array().cloned().expect("calls");
        calls.into_iter().map(|call| call["function"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(functions(&streamed), functions(&whole));
    assert_eq!(functions(&whole)[1], json!({"name": "ListAll", "arguments": ""}));
    assert_eq!(streamed["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(streamed["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

#[test]
fn streamed_and_whole_responses_say_the_same() {
    let answer = everything().call_custom("apply_patch", "*** Begin Patch\n*** End Patch\n").say("Done.");
    let streamed = accumulate_responses(&answer.bytes(&asked(Responses, true))).expect("a response");
    let whole = whole(&answer, Responses);
    let without_ids = |response: &Value| {
        let mut output = response["output"].clone();
        for item in output.as_array_mut().expect("items") {
            item["id"] = "an id".into();
            if item["name"] != "Read" && item["call_id"].is_string() {
                item["call_id"] = "another".into();
            }
        }
        output
    };
    assert_eq!(without_ids(&streamed), without_ids(&whole));
    let kinds: Vec<&str> =
        whole["output"].as_array().expect("items").iter().filter_map(|item| item["type"].as_str()).collect();
    let calls = ["function_call", "function_call", "function_call", "custom_tool_call"];
    assert_eq!(kinds, [&["reasoning", "message"][..], &calls, &["message"]].concat());
    assert_eq!(whole["output"][0]["encrypted_content"], "c2lnbmF0dXJl");
    assert_eq!(
        (&streamed["status"], &streamed["usage"]["output_tokens"]),
        (&json!("completed"), &whole["usage"]["output_tokens"])
    );
}

#[test]
fn a_response_cut_off_is_incomplete() {
    let answer = Answer::text("half a sent").stop("max_tokens");
    let streamed = accumulate_responses(&answer.bytes(&asked(Responses, true))).expect("a response");
    assert_eq!(
        (&streamed["status"], &streamed["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!(streamed["output"][0]["status"], "incomplete");
    let refused = Answer::text("I").stop("refusal");
    assert_eq!(whole(&refused, Responses)["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn a_tool_for_free_text_is_one_in_each_dialect() {
    let answer = Answer::new().call_custom("apply_patch", "*** \"x\"");
    let message = accumulate_messages(&answer.bytes(&asked(Messages, true))).expect("a message");
    assert_eq!(message["content"][0]["input"], json!({"input": "*** \"x\""}));
    assert_eq!(whole(&answer, Messages)["content"][0]["input"], json!({"input": "*** \"x\""}));
    for completion in [accumulate_chat(&answer.bytes(&asked(Chat, true))).expect("one"), whole(&answer, Chat)] {
        let custom = &completion["choices"][0]["message"]["tool_calls"][0]["custom"];
        assert_eq!(*custom, json!({"name": "apply_patch", "input": "*** \"x\""}));
    }
}

#[test]
fn the_same_question_gets_the_same_bytes() {
    let answer = everything();
    for dialect in Dialect::ALL {
        assert_eq!(answer.bytes(&asked(dialect, true)), answer.bytes(&asked(dialect, true)));
    }
}

#[test]
fn a_first_error_is_a_status_and_a_later_one_a_frame() {
    let early = Answer::new().fail("overloaded_error", "Overloaded");
    assert_eq!(early.reply(&asked(Messages, true)).status, 529);
    let late = Answer::text("Half").fail("rate_limit_error", "Slow down");
    let reply = late.reply(&asked(Messages, true));
    assert_eq!(reply.status, 200);
    let error = accumulate_messages(&late.bytes(&asked(Messages, true))).expect_err("an error");
    assert!(error.contains("rate_limit_error"), "{error}");
    assert_eq!(late.reply(&asked(Messages, false)).status, 429);
    for dialect in [Chat, Responses] {
        let error = accumulate(dialect, &late.bytes(&asked(dialect, true))).expect_err("an error");
        assert!(error.starts_with("the stream fails") && error.contains("Slow down"), "{error}");
    }
}

#[test]
fn a_hold_stands_where_it_was_put() {
    let gate = Gate::new();
    let answer = Answer::text("before").hold(&gate).say("after");
    let steps = answer.reply(&asked(Messages, true)).steps;
    let at = steps.iter().position(|step| matches!(step, Step::Wait(_))).expect("a wait");
    let Step::Send(frame) = &steps[at - 1] else { panic!("a frame stands before the wait") };
    assert!(String::from_utf8_lossy(frame).contains("before"));
    let whole = answer.reply(&asked(Messages, false));
    assert!(matches!(whole.before[..], [Step::Wait(_)]));
}

#[test]
fn an_answer_broken_off_has_no_end() {
    let answer = Answer::text("half").end_early();
    let error = accumulate_messages(&answer.bytes(&asked(Messages, true))).expect_err("no end");
    assert_eq!(error, "W-20: no message_stop");
    let reply = Answer::text("half").break_off(Step::Reset).reply(&asked(Chat, true));
    assert!(matches!(reply.steps.last(), Some(Step::Reset)));
}
