//! What an answer amounts to, whatever the dialect: as an SDK's accumulated result tells it.

use luthien_tests::clients::Job;
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
    if job.dialect == "messages" { messages(answer) } else { chat(&answer["choices"][0]) }
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
        let arguments = serde_json::from_str(&string(&call["function"]["arguments"])).expect("arguments in JSON");
        Call { id: string(&call["id"]), name: string(&call["function"]["name"]), input: arguments }
    };
    Said {
        text: string(&message["content"]),
        calls: calls.iter().map(call).collect(),
        stop: string(&choice["finish_reason"]),
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
