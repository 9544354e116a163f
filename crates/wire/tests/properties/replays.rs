//! What a vendor thought comes back to it with the client's next request, whatever the client speaks.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::answers::{SIGNATURE, said, streamed};

/// The client's next request: what it got, as it came, and a word more.
fn next(dialect: Dialect, answer: &Value) -> Vec<u8> {
    let user = json!({"role": "user", "content": "Go on."});
    let body = match dialect {
        Dialect::Messages => {
            let got = json!({"role": "assistant", "content": answer["content"]});
            json!({"model": "m", "max_tokens": 4096, "messages": [user, got, results(dialect, answer), user]})
        }
        Dialect::Chat => {
            let mut messages = vec![user.clone(), answer["choices"][0]["message"].clone()];
            messages.extend(results(dialect, answer).as_array().cloned().unwrap_or_default());
            messages.push(user);
            json!({"model": "m", "messages": messages})
        }
        Dialect::Responses => {
            let mut input = vec![user.clone()];
            input.extend(answer["output"].as_array().cloned().unwrap_or_default());
            input.extend(results(dialect, answer).as_array().cloned().unwrap_or_default());
            input.push(user);
            json!({"model": "m", "input": input})
        }
    };
    body.to_string().into()
}

/// What the tools gave back.
fn results(dialect: Dialect, answer: &Value) -> Value {
    let made = match dialect {
        Dialect::Messages => &answer["content"],
        Dialect::Chat => &answer["choices"][0]["message"]["tool_calls"],
        Dialect::Responses => &answer["output"],
    };
    let given = made.as_array().into_iter().flatten().filter_map(|made| match dialect {
        Dialect::Messages if made["type"] == "tool_use" => {
            Some(json!({"type": "tool_result", "tool_use_id": made["id"], "content": "done"}))
        }
        Dialect::Chat => Some(json!({"role": "tool", "tool_call_id": made["id"], "content": "done"})),
        Dialect::Responses if made["type"] == "function_call" => {
            Some(json!({"type": "function_call_output", "call_id": made["call_id"], "output": "done"}))
        }
        _ => None,
    });
    let given: Vec<Value> = given.collect();
    match dialect {
        Dialect::Messages if given.is_empty() => json!({"role": "user", "content": "Nothing."}),
        Dialect::Messages => json!({"role": "user", "content": given}),
        _ => given.into(),
    }
}

/// The reasoning in a request, in its dialect's form.
fn reasoning(dialect: Dialect, body: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match dialect {
        Dialect::Messages => list(&body["messages"])
            .iter()
            .flat_map(|message| list(&message["content"]))
            .filter(|block| block["type"] == "thinking")
            .collect(),
        Dialect::Chat => list(&body["messages"])
            .iter()
            .map(|message| message["reasoning_content"].clone())
            .filter(|text| !text.is_null())
            .collect(),
        Dialect::Responses => list(&body["input"]).into_iter().filter(|item| item["type"] == "reasoning").collect(),
    }
}

/// The three dialects in any order.
fn three() -> impl Strategy<Value = (Dialect, Dialect, Dialect)> {
    Just(Dialect::ALL).prop_shuffle().prop_map(|[a, b, c]| (a, b, c))
}

proptest! {
    #[test]
    fn reasoning_comes_back_to_its_vendor(
        (vendor, client, _) in three(),
        said in said(),
    ) {
        let stream = said.bytes(vendor, true);
        let given = accumulate(vendor, &stream).expect("a stream");
        let got = accumulate(client, &streamed(vendor, client, &[&stream])).expect("a stream");
        let request = Request::parse(client, RequestKind::Turn, next(client, &got).into()).expect("a request");
        // OpenAI's own models give none on Chat.
        let model = if vendor == Dialect::Chat { "deepseek-chat" } else { "gpt-5" };
        let back = convert::request(&request, vendor, model).expect("a request");
        let body: Value = serde_json::from_slice(&back.body).expect("json");
        let expected = match (vendor, &said.thought) {
            (_, None) => Vec::new(),
            (Dialect::Messages, Some(thought)) => {
                vec![json!({"type": "thinking", "thinking": thought, "signature": SIGNATURE})]
            }
            (Dialect::Chat, Some(thought)) => vec![thought.as_str().into()],
            (Dialect::Responses, Some(_)) => {
                let thought = given["output"].as_array().into_iter().flatten().find(|item| item["type"] == "reasoning");
                prop_assert_eq!(&thought.expect("reasoning")["encrypted_content"], SIGNATURE);
                thought.cloned().into_iter().collect()
            }
        };
        prop_assert_eq!(reasoning(vendor, &body), expected, "{}", got);
        prop_assert_eq!(back.dropped, Vec::<String>::new());
    }

    /// Another vendor never sees it.
    #[test]
    fn reasoning_goes_to_no_other_vendor(
        (vendor, client, other) in three(),
        said in said(),
    ) {
        let got = accumulate(client, &streamed(vendor, client, &[&said.bytes(vendor, true)])).expect("a stream");
        let request = Request::parse(client, RequestKind::Turn, next(client, &got).into()).expect("a request");
        let body = convert::request(&request, other, "gpt-5").expect("a request").body;
        let body = String::from_utf8(body.to_vec()).expect("text");
        prop_assert!(!body.contains(SIGNATURE) && !body.contains("luthien1"), "{}", body);
    }
}
