//! What an answer amounts to, whatever the dialect: as an SDK's accumulated result tells it.

use luthien_tests::clients::Job;
use luthien_wire::Dialect;
use serde_json::{Value, json};

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
    let blocks = list(&message["content"]);
    let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
    let call =
        |call: &Value| Call { id: string(&call["id"]), name: string(&call["name"]), input: call["input"].clone() };
    Said {
        text: blocks.iter().map(|block| string(&block["text"])).collect(),
        calls: calls.map(call).collect(),
        stop: string(&message["stop_reason"]),
    }
}

fn chat(choice: &Value) -> Said {
    let message = &choice["message"];
    let call = |call: &Value| Call {
        id: string(&call["id"]),
        ..called(if call["type"] == "custom" { &call["custom"] } else { &call["function"] })
    };
    let legacy = [&message["function_call"]].into_iter().filter(|call| call.is_object()).map(called);
    Said {
        text: string(&message["content"]) + &string(&message["refusal"]),
        calls: list(&message["tool_calls"]).iter().map(call).chain(legacy).collect(),
        stop: string(&choice["finish_reason"]),
    }
}

fn responses(response: &Value) -> Said {
    let items = list(&response["output"]);
    let parts = items.iter().filter(|item| item["type"] == "message").flat_map(|item| list(&item["content"]));
    let calls = items.iter().filter(|item| item["type"] == "function_call" || item["type"] == "custom_tool_call");
    Said {
        text: parts.map(|part| string(&part["text"]) + &string(&part["refusal"])).collect(),
        calls: calls.map(|call| Call { id: string(&call["call_id"]), ..called(call) }).collect(),
        stop: string(&response["status"]),
    }
}

/// A call as OpenAI writes it: with arguments, or with free text, which goes into a field of its own.
fn called(call: &Value) -> Call {
    let arguments = call["arguments"].as_str().map(|arguments| match serde_json::from_str(arguments) {
        Ok(arguments) => arguments,
        Err(_) if arguments.is_empty() => json!({}),
        Err(_) => call["arguments"].clone(),
    });
    let input = arguments.unwrap_or_else(|| json!({"input": call["input"]}));
    Call { id: String::new(), name: string(&call["name"]), input }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
