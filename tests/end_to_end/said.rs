//! What an answer amounts to, whatever the dialect: as an SDK's accumulated result tells it.

use luthien_tests::clients::Job;
use luthien_wire::Dialect;
use serde_json::Value;

/// An answer's content.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    /// Its texts, one after the other.
    pub(crate) text: String,
    /// Its tool calls.
    pub(crate) calls: Vec<Call>,
    /// Why it stopped, as the dialect names it.
    pub(crate) stop: String,
}

/// A tool call.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
}

/// Reads what an SDK made of the answer to `job`. Fails the test if the SDK refused it.
pub(crate) fn said(job: &Job, result: &Value) -> Said {
    let answer = &result["final"];
    assert!(answer["error"].is_null() && answer.is_object(), "{}: the SDK refused the answer: {result}", job.name);
    match job.dialect {
        Dialect::Messages => messages(answer),
        Dialect::Chat => chat(&answer["choices"][0]),
        Dialect::Responses => responses(answer),
    }
}

/// Where in an answer, as an SDK has put it together, the model's own words are, refusals included: JSON pointers, in order.
pub(crate) fn text_places(dialect: Dialect, answer: &Value) -> Vec<String> {
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let places: Vec<String> = match dialect {
        Dialect::Messages => (0..count(&answer["content"])).map(|n| format!("/content/{n}/text")).collect(),
        Dialect::Chat => {
            let both = |n: usize| ["content", "refusal"].map(|key| format!("/choices/{n}/message/{key}"));
            (0..count(&answer["choices"])).flat_map(both).collect()
        }
        Dialect::Responses => {
            let items = (0..count(&answer["output"])).filter(|n| answer["output"][n]["type"] == "message");
            let parts = items.flat_map(|n| (0..count(&answer["output"][n]["content"])).map(move |part| (n, part)));
            let both = |(n, part)| ["text", "refusal"].map(|key| format!("/output/{n}/content/{part}/{key}"));
            // The TypeScript SDK adds the whole text.
            parts.flat_map(both).chain(["/output_text".to_owned()]).collect()
        }
    };
    places.into_iter().filter(|place| answer.pointer(place).is_some_and(Value::is_string)).collect()
}

fn messages(message: &Value) -> Said {
    let blocks = message["content"].as_array().expect("content blocks");
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    Said {
        text: blocks.iter().map(|block| string(&block["text"])).collect(),
        calls: calls
            .map(|call| Call { id: string(&call["id"]), name: string(&call["name"]), input: call["input"].clone() })
            .collect(),
        stop: string(&message["stop_reason"]),
    }
}

fn chat(choice: &Value) -> Said {
    let message = &choice["message"];
    let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    let call = |call: &Value| {
        let function = &call["function"];
        Call { id: string(&call["id"]), name: string(&function["name"]), input: arguments(&function["arguments"]) }
    };
    Said {
        text: string(&message["content"]),
        calls: calls.iter().map(call).collect(),
        stop: string(&choice["finish_reason"]),
    }
}

fn responses(response: &Value) -> Said {
    let items = response["output"].as_array().expect("output items");
    let parts = items.iter().filter_map(|item| item["content"].as_array()).flatten();
    let calls = items.iter().filter(|item| item["type"] == "function_call");
    let call = |call: &Value| Call {
        id: string(&call["call_id"]),
        name: string(&call["name"]),
        input: arguments(&call["arguments"]),
    };
    Said {
        text: parts.filter(|part| part["type"] == "output_text").map(|part| string(&part["text"])).collect(),
        calls: calls.map(call).collect(),
        stop: string(&response["status"]),
    }
}

fn arguments(text: &Value) -> Value {
    serde_json::from_str(&string(text)).expect("arguments in JSON")
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
