//! The engine on Messages streams.

use luthien_testkit::accumulate::accumulate_messages;
use luthien_wire::Dialect;
use serde_json::json;

use super::support::*;
use crate::contract::*;
use crate::engine::UpstreamEnd;

fn thinking(index: u32) -> String {
    ev(&format!(
        r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"thinking","thinking":"","signature":""}}}}"#
    )) + &ev(&format!(
        r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"thinking_delta","thinking":"hm"}}}}"#
    )) + &ev(&format!(
        r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"signature_delta","signature":"c2ln"}}}}"#
    )) + &ev(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

fn enforce(policy: Scripted) -> Opened {
    open(Dialect::Messages, vec![(policy, Mode::Enforce)])
}

#[tokio::test(start_paused = true)]
async fn allowed_calls_leave_as_they_came() {
    let input = start() + &text(0, "hi") + &tool(1, "a", "{\"x\": 1}") + &tool(2, "b", "{}") + &stop("tool_use");
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_call_becomes_a_text_in_front_of_the_others() {
    let input =
        start() + &text(0, "hi") + &tool(1, "bad", "{\"x\":1}") + &tool(2, "ok", "{\"y\":2}") + &stop("tool_use");
    let expected =
        start() + &text(0, "hi") + &text(1, "[blocked bad]") + &tool(2, "ok", "{\"y\":2}") + &stop("tool_use");
    assert_eq!(run(&enforce(block_tool("bad")).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn the_last_call_blocked_turns_the_stop_reason() {
    let input = start() + &tool(0, "bad", "{}") + &stop("tool_use");
    let expected = start() + &text(0, "[blocked bad]") + &stop("end_turn");
    assert_eq!(run(&enforce(block_tool("bad")).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn text_after_a_held_call_overtakes_it_and_thinking_waits_in_place() {
    let input =
        start() + &tool(0, "a", "{}") + &thinking(1) + &text(2, "later") + &tool(3, "b", "{}") + &stop("tool_use");
    let expected =
        start() + &text(0, "later") + &tool(1, "a", "{}") + &thinking(2) + &tool(3, "b", "{}") + &stop("tool_use");
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, expected);
}

#[rstest::rstest]
#[case::calls(Watch { tool_calls: true, ..Watch::default() })]
#[case::turn(Watch { turn: true, ..Watch::default() })]
#[case::both(Watch { turn: true, tool_calls: true, ..Watch::default() })]
#[tokio::test(start_paused = true)]
async fn of_a_converted_answer_texts_always_go_first(#[case] watch: Watch) {
    let input =
        start() + &tool(0, "a", "{}") + &thinking(1) + &text(2, "later") + &tool(3, "b", "{}") + &stop("tool_use");
    let expected =
        start() + &text(0, "later") + &tool(1, "a", "{}") + &thinking(2) + &tool(3, "b", "{}") + &stop("tool_use");
    let opened = enforce(Scripted { watch, ..block_tool("other") });
    assert!(opened.reviews.hold_calls());
    let out = pieces_of(opened.reviews.converted_stream(), &[input.as_bytes()], UpstreamEnd::Clean).await;
    assert_eq!(String::from_utf8(out.concat()).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn text_goes_out_before_any_verdict() {
    let opened = enforce(calls(|_| Answer::pass()));
    let head = start() + &text(0, "hi");
    let call = tool(1, "a", "{}");
    let end = stop("tool_use");
    let out = pieces(&opened.reviews, &[head.as_bytes(), call.as_bytes(), end.as_bytes()], UpstreamEnd::Clean).await;
    assert_eq!(out, [head, call + &end]);
}

#[tokio::test(start_paused = true)]
async fn a_server_call_is_withheld_with_its_result() {
    let server = |index| {
        ev(&format!(
            r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"server_tool_use","id":"srv_1","name":"web_search","input":{{"query":"q"}}}}}}"#
        )) + &ev(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
            + &ev(&format!(
                r#"{{"type":"content_block_start","index":{},"content_block":{{"type":"web_search_tool_result","tool_use_id":"srv_1","content":[]}}}}"#,
                index + 1
            ))
            + &ev(&format!(r#"{{"type":"content_block_stop","index":{}}}"#, index + 1))
    };
    let input = start() + &server(0) + &text(2, "found") + &stop("end_turn");
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
    let expected = start() + &text(0, "[blocked web_search]") + &text(1, "found") + &stop("end_turn");
    let out = run(&enforce(block_tool("web_search")).reviews, &input).await;
    assert_eq!(accumulate_messages(out.as_bytes()).unwrap(), accumulate_messages(expected.as_bytes()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn arguments_that_cannot_be_relied_on_are_blocked() {
    for args in ["{\"a\":1,\"a\":2}", "{\"a\":", "nonsense"] {
        let input = start() + &tool(0, "t", args) + &stop("tool_use");
        let out = run(&enforce(calls(|_| Answer::pass())).reviews, &input).await;
        let message = accumulate_messages(out.as_bytes()).unwrap();
        assert_eq!(message["stop_reason"], "end_turn", "{args}");
        assert_eq!(message["content"].as_array().unwrap().len(), 1);
        assert_eq!(message["content"][0]["type"], "text");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_cut_off_before_its_arguments_is_blocked() {
    let input = start() + &tool(0, "t", "") + &stop("max_tokens");
    let out = run(&enforce(calls(|_| Answer::pass())).reviews, &input).await;
    let message = accumulate_messages(out.as_bytes()).unwrap();
    assert_eq!(message["content"][0]["type"], "text");
    assert_eq!(message["stop_reason"], "max_tokens");
    let whole = start() + &tool(0, "t", "") + &stop("tool_use");
    assert_eq!(run(&enforce(calls(|_| Answer::pass())).reviews, &whole).await, whole);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_policy_that_never_answers_block() {
    let hang = Scripted { hangs: true, ..block_tool("x") };
    let panics = Scripted { script: std::sync::Arc::new(|_| panic!("policy bug")), ..block_tool("x") };
    for (policy, why) in [(panics, "the policy panicked"), (hang, "no decision within 60s")] {
        let opened = enforce(policy);
        let input = start() + &tool(0, "secret_tool", "{}") + &stop("tool_use");
        let out = run(&opened.reviews, &input).await;
        assert!(!out.contains("toolu_secret_tool"));
        let decision = opened.decisions.0.lock().unwrap()[0].clone();
        assert_eq!((decision.reason.as_deref(), decision.failed, decision.action), (Some(why), true, "block"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_call_keeps_its_place_among_the_calls() {
    let policy = calls(|call| match call.name.as_str() {
        "a" => Answer {
            action: Action::Replace(vec![
                luthien_wire::turn::Block::Text("instead".into()),
                luthien_wire::turn::Block::ToolCall(luthien_wire::turn::ToolCall {
                    id: String::new(),
                    name: "safe".into(),
                    raw: "{\"z\":1}".into(),
                    arguments: Ok(json!({"z": 1})),
                    form: luthien_wire::turn::ToolForm::Client,
                }),
            ]),
            ..Answer::pass()
        },
        _ => Answer::pass(),
    });
    let input = start() + &tool(0, "a", "{}") + &stop("tool_use");
    let out = run(&enforce(policy).reviews, &input).await;
    let message = accumulate_messages(out.as_bytes()).unwrap();
    assert_eq!(message["content"][0]["text"], "instead");
    assert_eq!(message["content"][1]["name"], "safe");
    assert_eq!(message["content"][1]["input"], json!({"z": 1}));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[tokio::test(start_paused = true)]
async fn streamed_text_is_changed_as_it_comes_and_never_left_empty() {
    let upper = Scripted {
        watch: Watch { text: TextWatch::Streamed, ..Watch::default() },
        stream: |text| text.replace('x', "").to_uppercase(),
        ..block_tool("none")
    };
    let input = start() + &text(0, "xx") + &text(1, "ab") + &stop("end_turn");
    let expected = start() + &text(0, "AB") + &stop("end_turn");
    assert_eq!(run(&enforce(upper).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn only_the_policy_that_changed_a_text_is_recorded_for_it() {
    let streaming = |stream, on_error| Scripted {
        watch: Watch { text: TextWatch::Streamed, ..Watch::default() },
        stream,
        on_error,
        ..block_tool("none")
    };
    let (upper, same) = (streaming(str::to_uppercase, OnError::Block), streaming(str::to_owned, OnError::Pass));
    let opened = open(Dialect::Messages, vec![(same, Mode::Enforce), (upper, Mode::Enforce)]);
    let input = start() + &text(0, "ab") + &stop("end_turn");
    assert_eq!(run(&opened.reviews, &input).await, start() + &text(0, "AB") + &stop("end_turn"));
    assert_eq!(opened.decisions.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_streaming_policy_that_panics_blocks_or_passes_as_it_says() {
    let panics = |on_error| Scripted {
        watch: Watch { text: TextWatch::Streamed, ..Watch::default() },
        stream: |_| panic!("policy bug"),
        on_error,
        ..block_tool("none")
    };
    let input = start() + &text(0, "secret") + &text(1, "more") + &stop("end_turn");
    let opened = enforce(panics(OnError::Block));
    let out = run(&opened.reviews, &input).await;
    assert!(!out.contains("secret") && !out.contains("more"), "{out}");
    let message = accumulate_messages(out.as_bytes()).unwrap();
    assert_eq!((message["content"].as_array().unwrap().len(), &message["stop_reason"]), (1, &json!("end_turn")));
    let opened = enforce(panics(OnError::Pass));
    assert_eq!(run(&opened.reviews, &input).await, input);
    assert!(opened.reviews.summary().failed_open);
    let whole = Scripted { watch: Watch { text: TextWatch::Whole, ..Watch::default() }, ..block_tool("none") };
    let opened = open(Dialect::Messages, vec![(panics(OnError::Block), Mode::Enforce), (whole, Mode::Enforce)]);
    assert!(!run(&opened.reviews, &input).await.contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn shadow_changes_no_byte_and_is_recorded() {
    let opened = open(Dialect::Messages, vec![(block_tool("bad"), Mode::Shadow)]);
    let input = start() + &text(0, "hi") + &tool(1, "bad", "{}") + &stop("tool_use");
    assert_eq!(run(&opened.reviews, &input).await, input);
    opened.tasks.close();
    opened.tasks.wait().await;
    let decisions = opened.decisions.0.lock().unwrap();
    assert_eq!(decisions.len(), 1);
    assert_eq!((decisions[0].action, decisions[0].mode), ("block", Mode::Shadow));
}

#[tokio::test(start_paused = true)]
async fn the_same_notice_of_several_blocks_is_shown_once() {
    let policy = calls(|_| Answer { notices: vec!["[not evaluated]".into()], ..Answer::pass() });
    let input = start() + &tool(0, "a", "{}") + &tool(1, "b", "{}") + &stop("tool_use");
    let expected =
        start() + &text(0, "[not evaluated]") + &tool(1, "a", "{}") + &tool(2, "b", "{}") + &stop("tool_use");
    assert_eq!(run(&enforce(policy).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_block_can_cover_all_calls_of_the_turn() {
    let policy = calls(|call| match call.name.as_str() {
        "bad" => Answer { scope: BlockScope::Turn, ..Answer::block("[no]") },
        _ => Answer::pass(),
    });
    let opened = enforce(policy);
    let input = start() + &text(0, "hi") + &tool(1, "fine", "{}") + &tool(2, "bad", "{}") + &stop("tool_use");
    let with_it = "[Blocked together with another call of this turn: the tool `fine`.]";
    let expected = start() + &text(0, "hi") + &text(1, with_it) + &text(2, "[no]") + &stop("end_turn");
    assert_eq!(run(&opened.reviews, &input).await, expected);
    let decisions = opened.decisions.0.lock().unwrap();
    let last = decisions.last().unwrap();
    assert!(matches!(&last.target, Target::ToolCall { name, .. } if name == "fine") && last.action == "block");
}

#[test]
fn events_of_a_shadowed_review_say_so() {
    let sink = EventSink::default();
    sink.shadowed().emit("policy.x.blocked", json!({"a": 1}));
    assert_eq!(sink.take().0[0].data, json!({"a": 1, "shadow": true}));
}

#[tokio::test(start_paused = true)]
async fn serial_members_judge_what_the_former_let_out() {
    let rename = calls(|call| match call.name.as_str() {
        "a" => Answer {
            action: Action::Replace(vec![luthien_wire::turn::Block::ToolCall(luthien_wire::turn::ToolCall {
                name: "b".into(),
                ..call.clone()
            })]),
            ..Answer::pass()
        },
        _ => Answer::pass(),
    });
    let opened = open(Dialect::Messages, vec![(rename, Mode::Enforce), (block_tool("b"), Mode::Enforce)]);
    let out = run(&opened.reviews, &(start() + &tool(0, "a", "{}") + &stop("tool_use"))).await;
    assert_eq!(accumulate_messages(out.as_bytes()).unwrap()["content"][0]["text"], "[blocked b]");
}

#[tokio::test(start_paused = true)]
async fn a_whole_turn_can_be_blocked() {
    let script: Script = std::sync::Arc::new(|_| (3, Ok(Answer::block("[no]"))));
    let policy = Scripted { watch: Watch { turn: true, ..Watch::default() }, script, ..block_tool("none") };
    let input = start() + &thinking(0) + &text(1, "secret") + &tool(2, "t", "{}") + &stop("tool_use");
    let expected = start() + &text(0, "[no]") + &stop("end_turn");
    assert_eq!(run(&enforce(policy).reviews, &input).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_ends_with_an_error_and_without_what_was_held() {
    let input = start() + &text(0, "hi") + &tool(1, "held", "{}");
    let opened = enforce(block_tool("other"));
    let end = UpstreamEnd::Broken { kind: "api_error", message: "gone".into() };
    let out = pieces(&opened.reviews, &[input.as_bytes()], end).await.concat();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with(&(start() + &text(0, "hi") + "event: error\n")), "{out}");
    assert!(!out.contains("held"));
    assert!(opened.reviews.summary().undecided);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_waits_for_no_verdict() {
    let input = start() + &text(0, "hi") + &tool(1, "held", "{}") + &stop("tool_use");
    let opened = enforce(Scripted { hangs: true, ..block_tool("x") });
    let mut stream = opened.reviews.stream();
    stream.push(input.as_bytes());
    stream.finish(UpstreamEnd::Stopped { kind: "api_error", message: "stopping".into() });
    let mut out = Vec::new();
    while let Some(bytes) = std::future::poll_fn(|cx| stream.poll_output(cx)).await {
        out.extend_from_slice(&bytes);
    }
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("event: error") && !out.contains("held"), "{out}");
    assert!(opened.reviews.summary().undecided);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_a_terminal_event_is_ended_properly() {
    let whole = start() + &text(0, "hi") + &stop("end_turn");
    let cut = whole.strip_suffix(&done()).unwrap();
    assert_eq!(run(&enforce(block_tool("x")).reviews, cut).await, whole);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_too_many_blocks_is_ended() {
    let calls_of_it: String = (0..=4096).map(|n| tool(n, &format!("t{n}"), "{}")).collect();
    let out = run(&enforce(calls(|_| Answer::pass())).reviews, &(start() + &calls_of_it + &stop("tool_use"))).await;
    let message = accumulate_messages(out.as_bytes()).unwrap();
    assert_eq!((message["content"].as_array().unwrap().len(), &message["stop_reason"]), (1, &json!("end_turn")));
}

#[tokio::test(start_paused = true)]
async fn events_that_contradict_themselves_end_the_answer() {
    let lie = "event: content_block_stop\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"sneaky\",\"input\":{}}}\n\n";
    let input = start() + &text(0, "hi") + lie + &stop("tool_use");
    let out = run(&enforce(block_tool("x")).reviews, &input).await;
    assert!(!out.contains("sneaky"));
    let message = accumulate_messages(out.as_bytes()).unwrap();
    assert_eq!((message["content"].as_array().unwrap().len(), &message["stop_reason"]), (2, &json!("end_turn")));
}
