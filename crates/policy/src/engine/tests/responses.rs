//! The engine on Responses streams.

use luthien_wire::Dialect;
use serde_json::{Value, json};

use super::numbered::Stream;
use super::support::*;
use crate::contract::*;
use crate::engine::UpstreamEnd;

/// What a stream stands for, which must be the same in all the places that say it.
fn read(stream: &str) -> Value {
    let events: Vec<Value> = stream
        .split("\n\n")
        .filter_map(|frame| frame.split_once("data: ").map(|(_, data)| serde_json::from_str(data).unwrap()))
        .collect();
    let (mut output, mut words, mut closed) = (Vec::new(), Vec::new(), Vec::new());
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{stream}");
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(event["output_index"], output.len(), "{stream}");
                (words, closed) = (vec![String::new()], Vec::new());
            }
            "response.output_text.delta" | "response.function_call_arguments.delta" => {
                words[0].push_str(event["delta"].as_str().unwrap());
            }
            "response.output_text.done" => closed.push(event["text"].clone()),
            "response.function_call_arguments.done" => closed.push(event["arguments"].clone()),
            "response.content_part.done" => closed.push(event["part"]["text"].clone()),
            "response.output_item.done" => {
                assert_eq!(event["output_index"], output.len(), "{stream}");
                let item = event["item"].clone();
                match item["type"].as_str().unwrap() {
                    "message" => closed.push(item["content"][0]["text"].clone()),
                    "function_call" => closed.push(item["arguments"].clone()),
                    _ => {}
                }
                assert!(closed.iter().all(|closed| *closed == words[0]), "{words:?} {closed:?} {stream}");
                output.push(item);
            }
            _ => {}
        }
    }
    let last = events.last().unwrap();
    assert_eq!(last["response"]["output"], Value::Array(output), "{stream}");
    last["response"].clone()
}

fn said(response: &Value) -> Vec<String> {
    let item = |item: &Value| match item["type"].as_str().unwrap() {
        "message" => item["content"][0]["text"].as_str().unwrap().to_owned(),
        "function_call" => format!("{}({})", item["name"].as_str().unwrap(), item["arguments"].as_str().unwrap()),
        other => other.to_owned(),
    };
    response["output"].as_array().unwrap().iter().map(item).collect()
}

fn enforce(policy: Scripted) -> Opened {
    open(Dialect::Responses, vec![(policy, Mode::Enforce)])
}

async fn judged(policy: Scripted, input: &str) -> Value {
    read(&run(&enforce(policy).reviews, input).await)
}

fn broken() -> UpstreamEnd {
    UpstreamEnd::Broken { kind: "api_error", message: "gone".into() }
}

#[tokio::test(start_paused = true)]
async fn allowed_calls_leave_as_they_came() {
    let input = Stream::new().reasoning().text("msg_1", &["h", "i"]).call("a", "{\"x\": 1}").shell().done();
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_call_becomes_a_message_in_front_of_the_others() {
    let input =
        Stream::new().reasoning().text("m", &["h", "i"]).call("bad", "{\"x\":1}").call("ok", "{\"y\":2}").done();
    let out = run(&enforce(block_tool("bad")).reviews, &input).await;
    assert!(!out.contains("fc_bad") && !out.contains("\\\"x\\\""), "{out}");
    let response = read(&out);
    assert_eq!(said(&response), ["reasoning", "hi", "[blocked bad]", "ok({\"y\":2})"]);
    assert_eq!((&response["status"], &response["usage"]["output_tokens"]), (&json!("completed"), &json!(7)));
}

#[tokio::test(start_paused = true)]
async fn text_goes_out_before_any_verdict_and_overtakes_held_calls() {
    let mut stream = Stream::new();
    stream.call("a", "{}").text("m", &["later"]);
    let input = stream.done();
    assert_eq!(said(&judged(block_tool("other"), &input).await), ["later", "a({})"]);
}

#[tokio::test(start_paused = true)]
async fn a_shell_call_is_judged_by_its_action() {
    let input = Stream::new().shell().done();
    let out = run(&enforce(block_tool("local_shell")).reviews, &input).await;
    assert!(!out.contains("lsh_1") && !out.contains("\"rm\""), "{out}");
    assert_eq!(said(&read(&out)), ["[blocked local_shell]"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_text_is_the_same_in_all_four_places() {
    let input = Stream::new().text("m", &["so ", "loud"]).call("ok", "{}").done();
    let louder = Scripted {
        stream: str::to_uppercase,
        watch: Watch { text: TextWatch::Streamed, ..Watch::default() },
        ..block_tool("other")
    };
    assert_eq!(said(&judged(louder, &input).await), ["SO LOUD", "ok({})"]);
}

#[tokio::test(start_paused = true)]
async fn what_only_the_end_says_is_left_out() {
    let mut stream = Stream::new();
    stream.text("m", &["hi"]);
    stream
        .output
        .push(json!({"id": "fc_x", "type": "function_call", "call_id": "c", "name": "bad", "arguments": "{}"}));
    let input = stream.done();
    assert_eq!(said(&judged(block_tool("bad"), &input).await), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn a_finished_item_that_was_never_announced_is_judged() {
    for (name, expected) in [("bad", "[blocked bad]"), ("ok", "ok({\"x\":1})")] {
        let mut stream = Stream::new();
        stream.call("bad", "{}");
        let item =
            json!({"id": "fc_n", "type": "function_call", "call_id": "c", "name": name, "arguments": "{\"x\":1}"});
        stream.event("response.output_item.done", json!({"output_index": 1, "item": item.clone()}));
        stream.output.push(item);
        let input = stream.done();
        let said = said(&judged(block_tool("bad"), &input).await);
        assert_eq!(said.last().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_repeats_nothing_that_was_held() {
    let mut stream = Stream::new();
    stream.text("m", &["hi"]).call("bad", "{\"secret\":1}");
    let response = json!({"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "x"}, "output": stream.output});
    let input = stream.event("response.failed", json!({"response": response})).out.clone();
    let hang = Scripted { hangs: true, ..block_tool("bad") };
    let out = run(&enforce(hang).reviews, &input).await;
    assert!(!out.contains("secret") && out.contains("response.failed"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_ends_with_the_next_number() {
    let input = Stream::new().text("m", &["hi"]).out.clone();
    let out = pieces(&enforce(block_tool("bad")).reviews, &[input.as_bytes()], broken()).await.concat();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with(&input), "{out}");
    assert!(
        out[input.len()..]
            .starts_with("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":8,"),
        "{out}"
    );
}

#[tokio::test(start_paused = true)]
async fn arguments_that_differ_between_places_are_not_relied_on() {
    let input = Stream::new().call("ok", "{\"a\":1}").done();
    let input = input.replacen("\\\"a\\\":1", "\\\"a\\\":2", 1);
    assert_eq!(said(&judged(calls(|_| Answer::pass()), &input).await).len(), 1);
    assert!(!run(&enforce(calls(|_| Answer::pass())).reviews, &input).await.contains("call_ok"));
}

#[tokio::test(start_paused = true)]
async fn what_a_call_has_given_is_withheld_with_it() {
    let mut stream = Stream::new();
    let output = json!({"id": "lso_1", "type": "local_shell_call_output", "call_id": "call_l", "output": "private"});
    stream.shell().item(output.clone(), vec![], output);
    let input = stream.done();
    let out = run(&enforce(block_tool("local_shell")).reviews, &input).await;
    assert!(!out.contains("private") && !out.contains("lso_1"), "{out}");
    assert_eq!(said(&read(&out)), ["[blocked local_shell]"]);
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn words_of_an_item_before_it_begins_end_the_answer() {
    let mut stream = Stream::new();
    stream.event("response.some_call_diff.delta", json!({"output_index": 0, "item_id": "x", "delta": "leaks"}));
    let input = stream.shell().done();
    let out = run(&enforce(block_tool("local_shell")).reviews, &input).await;
    assert!(!out.contains("leaks") && !out.contains("lsh_1"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_another_item_is_not_the_open_ones() {
    let call = json!({"id": "fc_y", "type": "function_call", "call_id": "c", "name": "bad", "arguments": "{}"});
    for place in [json!({"item": call}), json!({"item": call, "output_index": 0})] {
        let mut stream = Stream::new();
        stream.event("response.output_item.added", json!({"output_index": 0, "item": {"id": "m", "type": "message"}}));
        let input = stream.event("response.output_item.done", place).done();
        let out = run(&enforce(block_tool("bad")).reviews, &input).await;
        assert!(!out.contains("fc_y"), "{out}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_gateways_hand_is_of_the_same_response() {
    let input = Stream::new().text("m", &["hi"]).out.clone();
    let out = pieces(&enforce(block_tool("bad")).reviews, &[input.as_bytes()], broken()).await.concat();
    let out = String::from_utf8(out).unwrap();
    assert!(out[input.len()..].contains("\"response\":{\"id\":\"resp_1\""), "{out}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_repeats_what_went_out_keeps_its_bytes() {
    let input = Stream::new().call("a", "{}").done().replace('\n', "\r\n");
    assert_eq!(run(&enforce(block_tool("other")).reviews, &input).await, input);
}
