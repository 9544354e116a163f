//! Log probabilities of answers: where they go, and what becomes of those that have no place.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::Dialect;
use luthien_wire::convert::whole;
use serde_json::{Value, json};

use crate::support::{call_delta, context, converted, messages};

fn token(text: &str) -> Value {
    json!({"token": text, "logprob": -0.5, "bytes": text.as_bytes(), "top_logprobs": []})
}

fn chunks(chunks: &[(Value, Value)]) -> Vec<u8> {
    let chunk = |(delta, logprobs): &(Value, Value)| {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": null}]);
        format!("data: {}\n\n", json!({"id": "c", "created": 1, "model": "m", "choices": choices}))
    };
    let end = json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let all: String = chunks.iter().map(chunk).collect();
    format!("{all}data: {end}\n\ndata: [DONE]\n\n").into_bytes()
}

#[test]
fn those_of_reasoning_calls_and_refusals_are_left_out_and_named() {
    let spelt = |text: &str| json!({"content": [token(text)], "refusal": null});
    let said = [
        (json!({"reasoning_content": "hm"}), spelt("hm")),
        (json!({"content": "yes"}), spelt("yes")),
        (call_delta(0, "call_a", "read", "{}"), spelt("{}")),
        (json!({"refusal": "no"}), json!({"content": null, "refusal": [token("no")]})),
    ];
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Responses), &chunks(&said), 13);
    let response = accumulate(Dialect::Responses, &out).unwrap();
    assert_eq!(response["output"][1]["content"][0]["logprobs"], json!([token("yes")]));
    assert_eq!(String::from_utf8(out).unwrap().matches("\"token\":\"hm\"").count(), 0);
    assert_eq!(converter.dropped(), ["logprobs of other than text"]);
}

#[test]
fn a_messages_client_gets_none_and_is_told_so_once() {
    let spelt = |text: &str| (json!({"content": text}), json!({"content": [token(text)]}));
    let stream = chunks(&[spelt("a"), spelt("b")]);
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Messages), &stream, 13);
    assert_eq!(accumulate(Dialect::Messages, &out).unwrap()["content"][0]["text"], "ab");
    assert_eq!(converter.dropped(), ["logprobs"]);
}

#[test]
fn what_a_server_leaves_out_is_filled_in() {
    let given = json!([{"token": "a\u{e9}", "logprob": -1, "bytes": null, "top_logprobs": [{"token": "b", "logprob": -2}]},
        {"token": "c", "logprob": -3}, {"token": "no number"}, "no token"]);
    let choice = json!({"message": {"content": "a\u{e9}c"}, "logprobs": {"content": given}, "finish_reason": "stop"});
    let body = json!({"id": "c", "choices": [choice]}).to_string();
    let out = whole(&context(Dialect::Chat, Dialect::Responses), body.as_bytes()).unwrap().body;
    let response: Value = serde_json::from_slice(&out).unwrap();
    let top = json!([{"token": "b", "logprob": -2, "bytes": [98]}]);
    let expected = json!([{"token": "a\u{e9}", "logprob": -1, "bytes": [97, 195, 169], "top_logprobs": top},
        {"token": "c", "logprob": -3, "bytes": [99], "top_logprobs": []}]);
    assert_eq!(response["output"][0]["content"][0]["logprobs"], expected);
}

/// Some servers tell them at the end only, or beside no text.
#[test]
fn a_chat_client_gets_each_once_wherever_a_response_tells_it() {
    let item = |content: Value| json!({"type": "message", "id": "msg_1", "role": "assistant", "content": content});
    let part = |tokens: &[Value]| json!({"type": "output_text", "text": "ab", "annotations": [], "logprobs": tokens});
    let both = [token("a"), token("b")];
    let stream = |first: &[Value], second: &[Value], done: &[Value], end: &[Value]| {
        let delta = |text: &str, tokens: &[Value]| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text, "logprobs": tokens});
        messages(&[
            json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item(json!([]))}),
            delta("", first),
            delta("ab", second),
            json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "ab", "logprobs": done}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item(json!([part(end)]))}),
            json!({"type": "response.completed", "response": {"status": "completed", "output": [item(json!([part(end)]))]}}),
        ])
    };
    for stream in [
        stream(&[], &both, &both, &both),
        stream(&both[..1], &both[1..], &both, &both),
        stream(&[], &both[..1], &both, &both),
        stream(&[], &[], &both, &both),
        stream(&[], &[], &[], &both),
    ] {
        let (out, _) = converted(context(Dialect::Responses, Dialect::Chat), &stream, 13);
        let choice = &accumulate(Dialect::Chat, &out).unwrap()["choices"][0];
        assert_eq!((&choice["message"]["content"], &choice["logprobs"]["content"]), (&json!("ab"), &json!(both)));
    }
}

/// An upstream may leave the beginning of its stream out.
#[test]
fn those_of_a_stream_without_a_beginning_stand_in_whole_chunks() {
    let stream = messages(&[
        json!({"type": "response.output_item.added", "output_index": 0,
            "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a", "logprobs": [token("a")]}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
    ]);
    let (out, _) = converted(context(Dialect::Responses, Dialect::Chat), &stream, 13);
    let choice = &accumulate(Dialect::Chat, &out).unwrap()["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["logprobs"]["content"]), (&json!("a"), &json!([token("a")])));
}
