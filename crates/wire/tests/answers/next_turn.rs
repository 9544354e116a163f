//! What a vendor gave comes back to it on the next turn as it gave it, through a client of another dialect.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::named;
use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use serde_json::{Value, json};

use crate::support::{call_delta, chat, context, converted};

/// The request that a client sends after it has run the answer's calls.
fn next_request(client: Dialect, answer: &Value) -> Value {
    match client {
        Dialect::Messages => {
            let content = answer["content"].as_array().cloned().unwrap_or_default();
            let results: Vec<Value> = content
                .iter()
                .filter(|block| block["type"] == "tool_use")
                .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"}))
                .collect();
            let messages = json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": content},
                {"role": "user", "content": results},
            ]);
            json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "adaptive"}, "messages": messages})
        }
        Dialect::Chat => {
            let message = &answer["choices"][0]["message"];
            let mut messages = vec![json!({"role": "user", "content": "go"}), message.clone()];
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "done"}));
            }
            json!({"model": "m", "reasoning_effort": "medium", "messages": messages})
        }
        Dialect::Responses => {
            let output = answer["output"].as_array().cloned().unwrap_or_default();
            let mut input = vec![json!({"type": "message", "role": "user", "content": "go"})];
            input.extend(output.iter().cloned());
            for call in output.iter().filter(|item| item["type"] == "function_call") {
                input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "done"}));
            }
            json!({"model": "m", "store": false, "reasoning": {"effort": "medium"}, "input": input})
        }
    }
}

/// The request that the vendor gets after its answer has been through a client of dialect `client`.
fn back_at_the_vendor(vendor: Dialect, client: Dialect, fixture: &str) -> Result<Value, String> {
    back(vendor, client, named(vendor, fixture).ok_or("no such fixture")?.bytes)
}

/// The same for any stream.
fn back(vendor: Dialect, client: Dialect, stream: &[u8]) -> Result<Value, String> {
    back_at_model(vendor, client, stream, "m")
}

fn back_at_model(vendor: Dialect, client: Dialect, stream: &[u8], model: &str) -> Result<Value, String> {
    let (out, _) = converted(context(vendor, client), stream, 50);
    sent(vendor, client, &accumulate(client, &out)?, model)
}

fn sent(vendor: Dialect, client: Dialect, answer: &Value, model: &str) -> Result<Value, String> {
    let body = next_request(client, answer).to_string();
    let request = Request::parse(client, RequestKind::Turn, body.into()).map_err(|error| format!("{error:?}"))?;
    let back = convert::request(&request, vendor, model).map_err(|refused| refused.to_string())?;
    serde_json::from_slice(&back.body).map_err(|error| error.to_string())
}

/// The values in a request that `wanted` picks, wherever they stand.
fn picked(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> Vec<Value> {
    let mut out = Vec::new();
    if wanted(value) {
        out.push(value.clone());
    }
    match value {
        Value::Array(values) => out.extend(values.iter().flat_map(|value| picked(value, wanted))),
        Value::Object(members) => out.extend(members.values().flat_map(|value| picked(value, wanted))),
        _ => {}
    }
    out
}

#[test]
fn anthropics_thinking_comes_back_with_its_signature() {
    for fixture in ["thinking_tool", "thinking_interleaved", "thinking_omitted", "thinking_redacted"] {
        let given = accumulate(Dialect::Messages, named(Dialect::Messages, fixture).unwrap().bytes).unwrap();
        let thinking = |value: &Value| value["type"] == "thinking" || value["type"] == "redacted_thinking";
        assert!(!picked(&given, &thinking).is_empty());
        for client in [Dialect::Chat, Dialect::Responses] {
            let back = back_at_the_vendor(Dialect::Messages, client, fixture).unwrap();
            let assistant: Vec<Value> = picked(&back["messages"], &|value| value["role"] == "assistant");
            assert_eq!(picked(&json!(assistant), &thinking), picked(&given, &thinking), "{fixture} through {client}");
            let calls = |value: &Value| value["type"] == "tool_use";
            let ids = |value: &Value| picked(value, &calls).iter().map(|call| call["id"].clone()).collect::<Vec<_>>();
            assert_eq!(ids(&back), ids(&given), "{fixture} through {client}");
        }
    }
}

#[test]
fn openais_reasoning_comes_back_encrypted() {
    for fixture in ["reasoning_encrypted", "reasoning_function_call", "reasoning_between_calls"] {
        let given = accumulate(Dialect::Responses, named(Dialect::Responses, fixture).unwrap().bytes).unwrap();
        let reasoning = |value: &Value| value["type"] == "reasoning";
        let sealed = |value: &Value| -> Vec<(Value, Value)> {
            picked(value, &reasoning)
                .iter()
                .map(|item| (item["encrypted_content"].clone(), item["summary"].clone()))
                .collect()
        };
        assert!(sealed(&given["output"]).iter().all(|(content, _)| content.is_string()));
        for client in [Dialect::Chat, Dialect::Messages] {
            let back = back_at_the_vendor(Dialect::Responses, client, fixture).unwrap();
            assert_eq!(sealed(&back["input"]), sealed(&given["output"]), "{fixture} through {client}");
        }
    }
}

#[test]
fn reasoning_of_chat_servers_comes_back_in_its_form() {
    for (fixture, member) in [
        ("reasoning_details", "reasoning_details"),
        ("thinking_blocks", "thinking_blocks"),
        ("reasoning_content", "reasoning_content"),
        ("reasoning_openrouter", "reasoning"),
    ] {
        let given = accumulate(Dialect::Chat, named(Dialect::Chat, fixture).unwrap().bytes).unwrap();
        let message = &given["choices"][0]["message"];
        assert!(!message[member].is_null());
        for client in [Dialect::Responses, Dialect::Messages] {
            let back = back_at_the_vendor(Dialect::Chat, client, fixture).unwrap();
            let assistants = picked(&back["messages"], &|value| value["role"] == "assistant");
            let (came, given) = (&assistants[0][member], &message[member]);
            assert_eq!(came.as_str(), given.as_str(), "{fixture} through {client}");
            // OpenAI's own models gave it not, and refuse it.
            let stream = named(Dialect::Chat, fixture).unwrap().bytes;
            let elsewhere = back_at_model(Dialect::Chat, client, stream, "gpt-5").unwrap();
            let members = |value: &Value| value.get("reasoning_content").or(value.get(member)).is_some();
            assert_eq!(picked(&elsewhere["messages"], &members), [Value::Null; 0], "through {client}");
            for name in ["text", "thinking", "signature"] {
                assert_eq!(joined(came, name), joined(given, name), "{fixture} through {client}");
            }
            let texts = ["reasoning_content", "reasoning"];
            let other = texts.iter().filter(|text| **text != member && message[**text].is_null());
            assert!(other.into_iter().all(|text| assistants[0][*text].is_null()), "{fixture} through {client}");
        }
    }
}

#[test]
fn geminis_signature_comes_back_with_its_call() {
    let call = |index: u64, signature: Option<&str>| {
        let mut call =
            json!({"index": index, "id": "", "type": "function", "function": {"name": "read", "arguments": "{}"}});
        if let Some(signature) = signature {
            call["extra_content"] = json!({"google": {"thought_signature": signature}});
        }
        json!({"tool_calls": [call]})
    };
    let given = [call(0, Some("c2lnbmVk")), call(1, None), call(2, Some("YWdhaW4="))];
    let stream = chat(&given, "tool_calls");
    for client in [Dialect::Messages, Dialect::Responses] {
        let request = back(Dialect::Chat, client, &stream).unwrap();
        let calls = request["messages"][1]["tool_calls"].as_array().unwrap();
        let signed: Vec<&Value> = calls.iter().map(|call| &call["extra_content"]).collect();
        let expected = [0, 1, 2].map(|at: usize| &given[at]["tool_calls"][0]["extra_content"]);
        assert_eq!(signed, expected, "through {client}");
        let message = request["messages"][1].as_object().unwrap();
        assert!(!message.contains_key("reasoning_details"), "{message:?}");
        // OpenAI refuses what it does not know.
        let elsewhere = back_at_model(Dialect::Chat, client, &stream, "gpt-5").unwrap();
        assert!(!elsewhere.to_string().contains("c2lnbmVk"), "{elsewhere}");
    }
}

#[test]
fn a_signature_that_comes_late_goes_to_its_own_call_again() {
    let signed = |index: u64, signature: &str| {
        let extra = json!({"google": {"thought_signature": signature}});
        json!({"tool_calls": [{"index": index, "extra_content": extra}]})
    };
    let given = [
        call_delta(0, "call_0", "read", "{\"a\""),
        signed(0, "Zmlyc3Q="),
        call_delta(0, "", "", ":1}"),
        call_delta(1, "call_unlike_any", "write", "{}"),
        json!({"content": "Both."}),
        call_delta(2, "call_2", "list", "{}"),
        signed(2, "dGhpcmQ="),
    ];
    let stream = chat(&given, "tool_calls");
    let signatures = |request: &Value| -> Vec<(Value, Value)> {
        let calls = request["messages"][1]["tool_calls"].as_array().unwrap().iter();
        let signature = |call: &Value| call["extra_content"]["google"]["thought_signature"].clone();
        calls.map(|call| (call["function"]["name"].clone(), signature(call))).collect()
    };
    for client in [Dialect::Messages, Dialect::Responses] {
        let (out, converter) = converted(context(Dialect::Chat, client), &stream, 50);
        assert_eq!(converter.dropped(), [""; 0]);
        let request = back(Dialect::Chat, client, &stream).unwrap();
        let expected = [("read", Some("Zmlyc3Q=")), ("write", None), ("list", Some("dGhpcmQ="))];
        assert_eq!(signatures(&request), expected.map(|(name, signature)| (json!(name), json!(signature))), "{client}");
        let elsewhere = back_at_model(Dialect::Chat, client, &stream, "gpt-5").unwrap();
        assert!(!elsewhere.to_string().contains("dGhpcmQ="), "{elsewhere}");

        // A call that was withheld takes its signature with it.
        let mut answer = accumulate(client, &out).unwrap();
        let list = if client == Dialect::Messages { "content" } else { "output" };
        answer[list].as_array_mut().unwrap().retain(|part| part["name"] != "read");
        let request = sent(Dialect::Chat, client, &answer, "m").unwrap();
        let expected = [("write", None), ("list", Some("dGhpcmQ="))];
        assert_eq!(signatures(&request), expected.map(|(name, signature)| (json!(name), json!(signature))), "{client}");
    }
}

/// The texts of a list's elements: a stream's fragments are the same as what they make.
fn joined(list: &Value, name: &str) -> String {
    list.as_array().into_iter().flatten().filter_map(|element| element[name].as_str()).collect()
}

#[test]
fn what_anthropic_found_comes_back_as_it_gave_it() {
    let given = accumulate(Dialect::Messages, named(Dialect::Messages, "web_search").unwrap().bytes).unwrap();
    let back = back_at_the_vendor(Dialect::Messages, Dialect::Responses, "web_search").unwrap();
    assert_eq!(back["messages"][1]["content"], given["content"]);
    // A client of Chat keeps the words alone.
    let back = back_at_the_vendor(Dialect::Messages, Dialect::Chat, "web_search").unwrap();
    let text = "I'll search for the release notes.The newest release fixes flattened enums.";
    assert_eq!(back["messages"][1]["content"], json!([{"type": "text", "text": text}]));
}

#[test]
fn what_a_client_of_anthropics_findings_forgets_is_left_out() {
    let (out, _) = converted(
        context(Dialect::Messages, Dialect::Responses),
        named(Dialect::Messages, "web_search").unwrap().bytes,
        50,
    );
    let mut body = next_request(Dialect::Responses, &accumulate(Dialect::Responses, &out).unwrap());
    // Codex keeps what it knows.
    let search =
        body["input"].as_array_mut().unwrap().iter_mut().find(|item| item["type"] == "web_search_call").unwrap();
    *search =
        json!({"type": "web_search_call", "status": search["status"], "action": {"type": "search", "query": "q"}});
    let request = Request::parse(Dialect::Responses, RequestKind::Turn, body.to_string().into()).unwrap();
    let sent = convert::request(&request, Dialect::Messages, "m").unwrap();
    let back: Value = serde_json::from_slice(&sent.body).unwrap();
    let kinds: Vec<&Value> =
        back["messages"][1]["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "text"]);
    assert!(sent.dropped.contains(&"input[2] (a tool that the vendor ran)".to_owned()), "{:?}", sent.dropped);
}

#[test]
fn what_openai_searched_comes_back_without_ids() {
    let given = accumulate(Dialect::Responses, named(Dialect::Responses, "web_search_call").unwrap().bytes).unwrap();
    let stream = named(Dialect::Responses, "web_search_call").unwrap().bytes;
    let back = back_at_model(Dialect::Responses, Dialect::Messages, stream, "gpt-5").unwrap();
    let (found, text) = (&given["output"][0], &given["output"][1]["content"][0]);
    let search = json!({"type": "web_search_call", "status": "completed", "action": found["action"]});
    let part = json!({"type": "output_text", "text": text["text"], "annotations": text["annotations"]});
    assert_eq!(back["input"][1], search);
    assert_eq!(back["input"][2]["content"], json!([part]));
    // Another's server is not told of it.
    let back = back_at_model(Dialect::Responses, Dialect::Messages, stream, "tiny").unwrap();
    assert_eq!(back["input"][1]["content"], json!([{"type": "output_text", "text": text["text"]}]));
}
