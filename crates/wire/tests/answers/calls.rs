//! Calls: each is told once, with an id of its own, and what is cut off does not look whole.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::named;
use luthien_wire::Dialect;
use luthien_wire::convert::whole;
use serde_json::{Value, json};

use crate::support::{call_delta, chat, context, converted, messages, read};

#[test]
fn calls_have_ids_and_each_its_own() {
    let stream = chat(
        &[call_delta(0, "", "a", "{}"), call_delta(1, "same", "b", "{}"), call_delta(2, "same", "c", "{}")],
        "tool_calls",
    );
    let message = read(context(Dialect::Chat, Dialect::Messages), &stream);
    let ids: Vec<&str> = (0..3).map(|at| message["content"][at]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["toolu_0199c2f0a0e87000800000000000000a_1", "same", "toolu_0199c2f0a0e87000800000000000000a_3"]);
}

#[test]
fn ids_are_good_for_the_whole_conversation() {
    let own =
        |to| format!("{}_0199c2f0a0e87000800000000000000a_1", if to == Dialect::Messages { "toolu" } else { "call" });
    let long = "x".repeat(65);
    let given = |to: Dialect, id: &str| {
        let from = if to == Dialect::Chat { Dialect::Messages } else { Dialect::Chat };
        let block = json!({"type": "tool_use", "id": id, "name": "read", "input": {}});
        let message =
            json!({"type": "message", "id": "msg_1", "model": "m", "content": [block], "stop_reason": "tool_use"});
        let call = json!({"id": id, "function": {"name": "read", "arguments": "{}"}});
        let chat = json!({"id": "c", "choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]});
        let body = if from == Dialect::Messages { message } else { chat };
        let answer = whole(&context(from, to), body.to_string().as_bytes()).unwrap();
        let read: Value = serde_json::from_slice(&answer.body).unwrap();
        let places = ["/content/0/id", "/choices/0/message/tool_calls/0/id", "/output/0/call_id"];
        places.iter().find_map(|place| read.pointer(place)?.as_str().map(str::to_owned)).unwrap()
    };
    for to in Dialect::ALL {
        // What the client's vendor would refuse, and what servers count anew in each answer.
        for id in ["", "functions.exec:0", "a b", &long, "call_0", "0", "call_12", "get_weather_1"] {
            assert_eq!(given(to, id), own(to), "{id}");
        }
        for id in ["toolu_01A7zQm4NqWn2LcVx9Kd3TyR", "call_kD8sW2mQxZ0vT5rYbN7pLc3J", "D681PevKs", "123456789"] {
            assert_eq!(given(to, id), id);
        }
    }
}

#[test]
fn calls_that_all_have_the_index_0_are_told_apart() {
    let stream = chat(
        &[call_delta(0, "call_a", "read", "{\"path\":\"a\"}"), call_delta(0, "call_b", "read", "{\"path\":\"b\"}")],
        "stop",
    );
    let message = read(context(Dialect::Chat, Dialect::Messages), &stream);
    assert_eq!(message["content"][1]["input"], json!({"path": "b"}));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn calls_without_ids_are_told_apart() {
    let names = |message: &Value| {
        let calls = message["content"].as_array().cloned().unwrap_or_default();
        calls.iter().map(|call| format!("{} {}", call["name"].as_str().unwrap(), call["input"])).collect::<Vec<_>>()
    };
    let expected = ["read {\"p\":1}", "read {\"p\":2}", "write {\"p\":3}"];
    let call = |name: &str, p: u8| json!({"id": "", "type": "function", "function": {"name": name, "arguments": format!("{{\"p\":{p}}}")}});
    let calls = [call("read", 1), call("read", 2), call("write", 3)];
    let body =
        json!({"id": "c", "choices": [{"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]});
    let answer = whole(&context(Dialect::Chat, Dialect::Messages), body.to_string().as_bytes()).unwrap();
    assert_eq!(names(&serde_json::from_slice(&answer.body).unwrap()), expected);
    // As fragments, without an index and with the same.
    let without = calls.map(|call| json!({"tool_calls": [call]}));
    let same = [("read", 1), ("read", 2), ("write", 3)];
    let same = same.map(|(name, p)| call_delta(0, "", name, &format!("{{\"p\":{p}}}")));
    for deltas in [without, same] {
        let message = read(context(Dialect::Chat, Dialect::Messages), &chat(&deltas, "tool_calls"));
        assert_eq!(names(&message), expected);
    }
    // A name that is repeated without arguments is no other call.
    let deltas = [call_delta(0, "", "read", "{}"), call_delta(0, "", "read", " ")];
    assert_eq!(names(&read(context(Dialect::Chat, Dialect::Messages), &chat(&deltas, "stop"))), ["read {}"]);
}

#[test]
fn every_element_of_a_body_is_a_call() {
    let call = json!({"index": 0, "id": "twin", "function": {"name": "read", "arguments": "{}"}});
    let body =
        json!({"id": "c", "choices": [{"message": {"tool_calls": [call, call]}, "finish_reason": "tool_calls"}]});
    let answer = whole(&context(Dialect::Chat, Dialect::Messages), body.to_string().as_bytes()).unwrap();
    let message: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(message["content"].as_array().map(Vec::len), Some(2));
    assert_ne!(message["content"][0]["id"], message["content"][1]["id"]);
}

#[test]
fn an_id_that_comes_late_or_changes_is_no_other_call() {
    let late = [call_delta(0, "", "read", "{\"p\""), call_delta(0, "call_late", "", ":1}")];
    let changing = [call_delta(0, "call_first", "read", "{\"p\""), call_delta(0, "call_other", "", ":1}")];
    for deltas in [late, changing] {
        let message = read(context(Dialect::Chat, Dialect::Messages), &chat(&deltas, "tool_calls"));
        assert_eq!(message["content"].as_array().map(Vec::len), Some(1));
        assert_eq!(message["content"][0]["input"], json!({"p": 1}));
    }
    // With a name it is another call's, and which arguments are whose is not known.
    let mixed = [call_delta(0, "call_first", "read", "{\"p\""), call_delta(0, "call_other", "read", ":1}")];
    let (_, converter) = converted(context(Dialect::Chat, Dialect::Messages), &chat(&mixed, "tool_calls"), 9);
    assert!(converter.trouble().is_some());
}

#[test]
fn a_call_cut_off_before_its_arguments_has_none() {
    let stream = chat(&[call_delta(0, "call_a", "read", "")], "length");
    let response = read(context(Dialect::Chat, Dialect::Responses), &stream);
    assert_eq!((&response["status"], &response["output"][0]["arguments"]), (&json!("incomplete"), &json!("")));
    let body = json!({"type": "message", "id": "msg_1", "model": "m", "stop_reason": "max_tokens",
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}]});
    let answer = whole(&context(Dialect::Messages, Dialect::Responses), body.to_string().as_bytes()).unwrap();
    let response: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&response["status"], &response["output"][0]["arguments"]), (&json!("incomplete"), &json!("")));
    let stream = chat(&[call_delta(0, "call_a", "read", "")], "tool_calls");
    let response = read(context(Dialect::Chat, Dialect::Responses), &stream);
    assert_eq!((&response["status"], &response["output"][0]["arguments"]), (&json!("completed"), &json!("{}")));
}

#[test]
fn a_call_that_is_cut_off_does_not_look_whole() {
    let script = "*** Begin Patch\n*** Delete File: a";
    let begun = &json!({"input": script}).to_string()[..20];
    let mut wanted = context(Dialect::Chat, Dialect::Responses);
    wanted.free_text_tools = vec!["apply_patch".into()];
    for finish in ["length", "content_filter"] {
        let stream = chat(&[json!({"content": "So."}), call_delta(0, "call_a", "apply_patch", begun)], finish);
        let response = read(wanted.clone(), &stream);
        let statuses = [0, 1].map(|at| response["output"][at]["status"].clone());
        assert_eq!(
            (&response["status"], &statuses),
            (&json!("incomplete"), &[json!("completed"), json!("incomplete")])
        );
    }
    // Anthropic ends the block before it says that it is cut off.
    let block = json!({"type": "tool_use", "id": "toolu_a", "name": "apply_patch", "input": {}});
    let cut = |reason: &str| {
        messages(&[
            json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": begun}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 1}}),
            json!({"type": "message_stop"}),
        ])
    };
    wanted.from = Dialect::Messages;
    for (reason, status) in [("max_tokens", "incomplete"), ("tool_use", "completed")] {
        let (out, _) = converted(wanted.clone(), &cut(reason), 9);
        let response = accumulate(Dialect::Responses, &out).unwrap();
        assert_eq!(response["output"][0]["status"], status, "{reason}");
        let done = String::from_utf8(out).unwrap();
        let done = done.split("\n\n").find(|frame| frame.starts_with("event: response.output_item.done")).unwrap();
        assert!(done.contains(&format!("\"status\":\"{status}\"")), "{done}");
    }
    // In a body, and text.
    let message = json!({"content": "So.", "tool_calls": [{"id": "call_a", "function": {"name": "apply_patch", "arguments": begun}}]});
    let body =
        |message: Value| json!({"id": "c", "choices": [{"message": message, "finish_reason": "length"}]}).to_string();
    for (message, expected) in
        [(message, vec!["completed", "incomplete"]), (json!({"content": "So"}), vec!["incomplete"])]
    {
        let answer = whole(&context(Dialect::Chat, Dialect::Responses), body(message).as_bytes()).unwrap();
        let response: Value = serde_json::from_slice(&answer.body).unwrap();
        let statuses: Vec<&Value> = response["output"].as_array().unwrap().iter().map(|item| &item["status"]).collect();
        assert_eq!(statuses, expected);
    }
    // Free text in JSON is not closed either.
    let item =
        json!({"type": "custom_tool_call", "id": "ctc_a", "call_id": "call_a", "name": "apply_patch", "input": script});
    let body = json!({"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [item]});
    let answer = whole(&context(Dialect::Responses, Dialect::Messages), body.to_string().as_bytes()).unwrap();
    let message: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        message["content"][0]["input"],
        json!({"INVALID_JSON": format!("{{\"input\":{}", json!(script).to_string().trim_end_matches('"'))})
    );
}

#[test]
fn the_old_form_of_calls_has_one() {
    let stream = named(Dialect::Messages, "text_two_tools").unwrap().bytes;
    let mut wanted = context(Dialect::Messages, Dialect::Chat);
    wanted.legacy_functions = true;
    let (out, converter) = converted(wanted.clone(), stream, 5);
    let choice = &accumulate(Dialect::Chat, &out).unwrap()["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    let expected = json!({"name": "Read", "arguments": "{\"file_path\": \"/work/src/main.rs\"}"});
    assert_eq!(choice["message"]["function_call"], expected);
    assert_eq!(converter.dropped(), ["a second function call"]);

    let body = named(Dialect::Messages, "body_two_tools").unwrap().bytes;
    let answer = whole(&wanted, body).unwrap();
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read["choices"][0]["message"]["function_call"]["name"], "Read");
    assert_eq!(answer.dropped, ["a second function call"]);
}
