//! Log probabilities, asked for and given, between the two dialects that have them.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::answers::{context, streamed};
use crate::cuts::{cuts, pieces};

/// Tokens, each with its bytes and others in its place.
fn tokens() -> impl Strategy<Value = Vec<Value>> {
    let one = (" ?[a-z\u{e9}\u{1f600}\"\\\\]{1,4}", 0..9_000_u32, 0..3_usize).prop_map(|(token, tenths, others)| {
        let at = |token: &str| json!({"token": token, "logprob": -f64::from(tenths) / 8.0, "bytes": token.as_bytes()});
        let mut whole = at(&token);
        whole["top_logprobs"] = (0..others).map(|other| at(&"xyz"[..=other])).collect();
        whole
    });
    vec(one, 1..8)
}

fn text(tokens: &[Value]) -> String {
    tokens.iter().filter_map(|token| token["token"].as_str()).collect()
}

fn chunk(delta: &Value, logprobs: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

/// A Chat stream: so many tokens at once, each stretch's text that much later.
fn stream(tokens: &[Value], at_once: usize, late: bool) -> String {
    let mut out = chunk(&json!({"role": "assistant", "content": ""}), &Value::Null, &Value::Null);
    for some in tokens.chunks(at_once) {
        let (said, spelt) = (json!({"content": text(some)}), json!({"content": some, "refusal": null}));
        if late {
            out += &chunk(&json!({"content": ""}), &spelt, &Value::Null);
            out += &chunk(&said, &Value::Null, &Value::Null);
        } else {
            out += &chunk(&said, &spelt, &Value::Null);
        }
    }
    out + &chunk(&json!({}), &Value::Null, &"stop".into()) + "data: [DONE]\n\n"
}

fn body(tokens: &[Value]) -> Vec<u8> {
    let message = json!({"role": "assistant", "content": text(tokens), "refusal": null});
    let spelt = json!({"content": tokens, "refusal": null});
    let choice = json!({"index": 0, "message": message, "logprobs": spelt, "finish_reason": "stop"});
    json!({"id": "c", "created": 1, "model": "m", "choices": [choice]}).to_string().into_bytes()
}

/// Every list of them in the events of a Responses stream, by the event's type.
fn told(stream: &[u8], kind: &str, place: &str) -> Vec<Value> {
    let text = String::from_utf8_lossy(stream);
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let lists =
        events.filter(|event| event["type"] == kind).filter_map(|event| event.pointer(place)?.as_array().cloned());
    lists.flatten().collect()
}

fn request(dialect: Dialect, to: Dialect, body: &Value) -> Value {
    let request = Request::parse(dialect, RequestKind::Turn, body.to_string().into()).unwrap();
    serde_json::from_slice(&convert::request(&request, to, "gpt-4o").unwrap().body).unwrap()
}

proptest! {
    #[test]
    fn what_is_asked_for_comes_back(top in option::of(1..21_u8)) {
        let mut asked = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "logprobs": true});
        if let Some(top) = top {
            asked["top_logprobs"] = top.into();
        }
        let there = request(Dialect::Chat, Dialect::Responses, &asked);
        prop_assert_eq!(&there["include"], &json!(["message.output_text.logprobs"]));
        let back = request(Dialect::Responses, Dialect::Chat, &there);
        prop_assert_eq!((&back["logprobs"], &back["top_logprobs"]), (&json!(true), &json!(top)));
    }

    #[test]
    fn what_is_given_goes_there_and_back(tokens in tokens(), at_once in 1..4_usize, late: bool, cuts in cuts()) {
        let all = Value::from(tokens.as_slice());
        let there = streamed(Dialect::Chat, Dialect::Responses, &pieces(stream(&tokens, at_once, late).as_bytes(), &cuts));
        for (kind, place) in [
            ("response.output_text.delta", "/logprobs"),
            ("response.output_text.done", "/logprobs"),
            ("response.content_part.done", "/part/logprobs"),
            ("response.output_item.done", "/item/content/0/logprobs"),
            ("response.completed", "/response/output/0/content/0/logprobs"),
        ] {
            prop_assert_eq!(&Value::from(told(&there, kind, place)), &all, "{}", kind);
        }
        let back = accumulate(Dialect::Chat, &streamed(Dialect::Responses, Dialect::Chat, &pieces(&there, &cuts))).unwrap();
        prop_assert_eq!(&back["choices"][0]["logprobs"]["content"], &all);

        let there = convert::whole(&context(Dialect::Chat, Dialect::Responses), &body(&tokens)).unwrap().body;
        let read: Value = serde_json::from_slice(&there).unwrap();
        prop_assert_eq!(&read["output"][0]["content"][0]["logprobs"], &all);
        let back = convert::whole(&context(Dialect::Responses, Dialect::Chat), &there).unwrap().body;
        let read: Value = serde_json::from_slice(&back).unwrap();
        prop_assert_eq!(&read["choices"][0]["logprobs"], &json!({"content": all, "refusal": null}));
    }
}
