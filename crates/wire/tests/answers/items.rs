//! Responses items that servers tell of in other ways than OpenAI: each is one block for the client, told once.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::support::{context, converted, messages, read};

/// Events of a stream, each named after its type, then the terminal event with this output.
fn stream(events: &[Value], output: &Value) -> Vec<u8> {
    let ended =
        json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}});
    messages(&[events, &[ended]].concat())
}

fn event(kind: &str, index: u64, mut fields: Value) -> Value {
    fields["type"] = format!("response.{kind}").into();
    fields["output_index"] = index.into();
    fields
}

fn call(id: &str, call_id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": id, "call_id": call_id, "name": "run", "arguments": arguments})
}

fn message(id: &str, text: &str) -> Value {
    json!({"type": "message", "id": id, "role": "assistant", "content": [{"type": "output_text", "text": text}]})
}

fn reasoning(id: &str) -> Value {
    json!({"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": "So."}]})
}

/// The arguments of the calls that a Chat client gets.
fn arguments(stream: &[u8]) -> Vec<String> {
    let completion = read(context(Dialect::Responses, Dialect::Chat), stream);
    let calls = completion["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn items_that_the_terminal_event_lists_elsewhere_are_told_once() {
    let events = [
        event("output_item.done", 0, json!({"item": message("msg_1", "Hello.")})),
        event("output_item.added", 1, json!({"item": call("fc_1", "call_a", "")})),
        event("function_call_arguments.delta", 1, json!({"item_id": "fc_1", "delta": "{\"p\":1}"})),
        event("output_item.done", 1, json!({"item": call("fc_1", "call_a", "{\"p\":1}")})),
    ];
    let text = message("msg_1", "Hello.");
    let outputs = [
        json!([reasoning("rs_1"), text, call("fc_1", "call_a", "{\"p\":1}")]),
        // Only one of its ids is the same.
        json!([reasoning("rs_1"), text, call("fc_9", "call_a", "{\"p\":1}")]),
        // None is.
        json!([reasoning("rs_1"), message("msg_9", "Hello."), call("fc_9", "call_z", "{\"p\":1}")]),
        json!([reasoning(""), message("", "Hello."), call("", "", "{\"p\":1}")]),
    ];
    for output in outputs {
        let stream = stream(&events, &output);
        assert_eq!(arguments(&stream), ["{\"p\":1}"], "{output}");
        let (out, converter) = converted(context(Dialect::Responses, Dialect::Messages), &stream, 9);
        let message = accumulate(Dialect::Messages, &out).unwrap();
        let kinds: Vec<&Value> = message["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
        assert_eq!(kinds, ["text", "tool_use"], "{output}");
        assert_eq!(message["content"][0]["text"], "Hello.");
        assert_eq!(converter.dropped(), ["reasoning (told at the end only)"]);
    }
}

#[test]
fn a_text_that_has_not_ended_goes_on_wherever_it_is_listed() {
    let events = [event("output_text.delta", 0, json!({"delta": "Hel"}))];
    let completion = read(
        context(Dialect::Responses, Dialect::Chat),
        &stream(&events, &json!([reasoning("rs_1"), message("", "Hello.")])),
    );
    assert_eq!(completion["choices"][0]["message"]["content"], "Hello.");
}

#[test]
fn calls_that_only_the_terminal_event_has_are_told() {
    let one = call("fc_1", "call_a", "{}");
    let events = [event("output_item.done", 0, json!({"item": one}))];
    let same = json!([call("fc_1", "call_a", "{}"), call("fc_2", "call_b", "{}")]);
    assert_eq!(arguments(&stream(&events, &same)), ["{}", "{}"]);
    let in_front = json!([call("fc_2", "call_b", "{\"p\":2}"), one]);
    assert_eq!(arguments(&stream(&events, &in_front)), ["{}", "{\"p\":2}"]);
    // A whole body, in which two calls have the same ids.
    let twins = json!([one, one]);
    assert_eq!(arguments(&stream(&[], &twins)), ["{}", "{}"]);
}

#[test]
fn items_that_are_only_done_and_all_numbered_0_are_told_apart() {
    let events = [
        event("output_item.done", 0, json!({"item": call("fc_1", "call_a", "{\"p\":1}")})),
        event("output_item.done", 0, json!({"item": call("fc_2", "call_b", "{\"p\":2}")})),
    ];
    assert_eq!(arguments(&stream(&events, &json!([]))), ["{\"p\":1}", "{\"p\":2}"]);
}

#[test]
fn an_end_that_comes_again_says_nothing() {
    let events = [
        event("output_item.done", 0, json!({"item": message("msg_1", "Hello.")})),
        event("output_text.done", 0, json!({"item_id": "msg_1", "content_index": 0, "text": "Hello."})),
        event("output_item.done", 1, json!({"item": call("fc_1", "call_a", "{\"p\":1}")})),
        event("function_call_arguments.done", 1, json!({"item_id": "fc_1", "arguments": "{\"p\":1}"})),
    ];
    assert_eq!(arguments(&stream(&events, &json!([]))), ["{\"p\":1}"]);
    let other = event("function_call_arguments.done", 1, json!({"item_id": "fc_1", "arguments": "{\"p\":2}"}));
    let contradicting = messages(&[&events[..], &[other]].concat());
    let (_, converter) = converted(context(Dialect::Responses, Dialect::Chat), &contradicting, 9);
    assert!(converter.trouble().is_some());
}
