//! What the strict reader takes, and what it finds fault with.

use luthien_wire::sse::Frame;
use serde_json::{Value, json};

use super::accumulate_responses;

/// The events of a text and a call, as they should be.
fn events() -> Vec<Value> {
    let head = |status: &str, output: &Value| json!({"id": "r", "object": "response", "model": "m", "status": status, "output": output});
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let message = |status: &str, content: &[Value]| json!({"id": "m", "type": "message", "role": "assistant", "status": status, "content": content});
    let call = |arguments: &str| json!({"id": "f", "type": "function_call", "call_id": "c", "name": "run", "arguments": arguments});
    let output = json!([message("completed", &[part("hello")]), call("{}")]);
    let events = [
        json!({"type": "response.created", "response": head("in_progress", &json!([]))}),
        json!({"type": "response.in_progress", "response": head("in_progress", &json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": message("in_progress", &[])}),
        json!({"type": "response.content_part.added", "output_index": 0, "content_index": 0, "item_id": "m", "part": part("")}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": "hel"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": "lo"}),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "item_id": "m", "text": "hello"}),
        json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "item_id": "m", "part": part("hello")}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": output[0]}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": call("")}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": "f", "delta": "{}"}),
        json!({"type": "response.function_call_arguments.done", "output_index": 1, "item_id": "f", "arguments": "{}"}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": output[1]}),
        json!({"type": "response.completed", "response": head("completed", &output)}),
    ];
    events.into_iter().collect()
}

fn read(events: &[Value]) -> Result<Value, String> {
    let numbered = events.iter().enumerate().map(|(number, event)| {
        let mut event = event.clone();
        event["sequence_number"] = number.into();
        event
    });
    read_as_numbered(&numbered.collect::<Vec<_>>())
}

fn read_as_numbered(events: &[Value]) -> Result<Value, String> {
    let frames = events.iter().map(|event| Frame::write(event["type"].as_str().expect("a type"), &event.to_string()));
    accumulate_responses(&frames.collect::<Vec<_>>().concat())
}

#[test]
fn a_proper_stream_is_its_final_response() {
    let response = read(&events()).expect("a response");
    assert_eq!(response["output"][0]["content"][0]["text"], "hello");
    assert_eq!(response["output"][1]["name"], "run");
}

#[test]
fn no_event_may_be_left_out() {
    for at in (0..events().len()).filter(|at| *at != 1) {
        let mut events = events();
        events.remove(at);
        assert!(read(&events).is_err(), "without event {at}");
    }
}

#[test]
fn no_event_may_come_twice() {
    for at in 0..events().len() {
        let mut events = events();
        events.insert(at, events[at].clone());
        assert!(read(&events).is_err(), "event {at} twice");
    }
}

#[test]
fn every_place_must_say_the_same() {
    let places = [
        (5, "/delta"),
        (6, "/text"),
        (7, "/part/text"),
        (8, "/item/content/0/text"),
        (10, "/delta"),
        (11, "/arguments"),
        (12, "/item/arguments"),
        (12, "/item/name"),
        (13, "/response/output/0/content/0/text"),
        (13, "/response/output/1/arguments"),
        (13, "/response/id"),
        (13, "/response/status"),
        (4, "/item_id"),
    ];
    for (at, place) in places {
        let mut events = events();
        *events[at].pointer_mut(place).expect(place) = "other".into();
        assert!(read(&events).is_err(), "event {at}, {place}");
    }
}

#[test]
fn numbers_and_indices_are_contiguous() {
    for (at, field) in [(2, "output_index"), (4, "content_index"), (9, "output_index"), (12, "output_index")] {
        let mut events = events();
        events[at][field] = 7.into();
        assert!(read(&events).is_err(), "event {at}, {field}");
    }
    let mut all = events();
    for (number, event) in all.iter_mut().enumerate() {
        event["sequence_number"] = (number * 2).into();
    }
    assert_eq!(read_as_numbered(&all).expect_err("gaps"), "W-32: response.in_progress has number 2 after 0");
}

#[test]
fn a_keepalive_repeats_the_number_or_counts() {
    let numbered = |events: &[Value], from: usize| {
        let numbered = events.iter().enumerate().map(|(number, event)| {
            let mut event = event.clone();
            event["sequence_number"] = (number + from).into();
            event
        });
        numbered.collect::<Vec<_>>()
    };
    let keepalive = |number: usize| json!({"type": "keepalive", "sequence_number": number});
    let all = events();
    let repeats = [numbered(&all[..5], 0), vec![keepalive(4); 2], numbered(&all[5..], 5)].concat();
    assert!(read_as_numbered(&repeats).is_ok());
    let counts = [numbered(&all[..5], 0), vec![keepalive(5)], numbered(&all[5..], 6)].concat();
    assert!(read_as_numbered(&counts).is_ok());
    let jumps = [numbered(&all[..5], 0), vec![keepalive(9)], numbered(&all[5..], 5)].concat();
    assert!(read_as_numbered(&jumps).is_err());
}

#[test]
fn failures_and_event_lines_are_told() {
    let mut failed = events()[..2].to_vec();
    let error = json!({"code": "rate_limit_exceeded", "message": "try again in 1.5s"});
    failed.push(
        json!({"type": "response.failed", "response": {"id": "r", "status": "failed", "error": error, "output": []}}),
    );
    assert!(read(&failed).expect_err("a failure").contains("rate_limit_exceeded"));
    let data = r#"{"type":"response.created","sequence_number":0}"#;
    let wrong = accumulate_responses(&Frame::write("ping", data)).expect_err("a wrong line");
    assert_eq!(wrong, "W-32: the event line says 'ping', data.type 'response.created'");
    assert_eq!(accumulate_responses(b"").expect_err("nothing"), "W-54: no terminal event");
}
