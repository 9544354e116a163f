//! Web searches that a vendor ran, and the sources that its texts name, in the other dialects.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::named;
use luthien_wire::Dialect::{self, Chat, Messages, Responses};
use luthien_wire::convert::whole;
use luthien_wire::sse::Splitter;
use serde_json::{Value, json};

use crate::support::{context, converted, messages, read};

fn call(id: &str, query: &str) -> Value {
    json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}})
}

fn result(id: &str, content: &Value) -> Value {
    json!({"type": "web_search_tool_result", "tool_use_id": id, "content": content})
}

fn page(name: &str) -> Value {
    json!({"type": "web_search_result", "url": format!("https://{name}.test"), "title": name, "encrypted_content": "Eq",
           "page_age": null})
}

fn message(content: &Value) -> Vec<u8> {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
           "stop_reason": "end_turn", "stop_sequence": null,
           "usage": {"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 2}}})
    .to_string()
    .into_bytes()
}

/// A message as a stream: each block whole, in a start and a stop.
fn streamed(content: &[Value]) -> Vec<u8> {
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": {"input_tokens": 1},
    }})];
    for (index, block) in content.iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}));
    events.push(json!({"type": "message_stop"}));
    messages(&events)
}

fn response(output: &Value) -> Vec<u8> {
    json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt", "output": output})
        .to_string()
        .into_bytes()
}

fn body(from: Dialect, to: Dialect, given: &[u8]) -> (Value, Vec<String>) {
    let converted = whole(&context(from, to), given);
    assert!(converted.is_ok(), "{converted:?}");
    converted.map(|told| (serde_json::from_slice(&told.body).unwrap_or_default(), told.dropped)).unwrap_or_default()
}

#[test]
fn searches_that_run_beside_each_other_keep_their_findings() {
    let content = [
        call("srvtoolu_01A", "a"),
        call("srvtoolu_01B", "b"),
        result("srvtoolu_01A", &json!([page("a"), page("c")])),
        result("srvtoolu_01B", &json!([])),
        json!({"type": "text", "text": "So."}),
    ];
    let (told, dropped) = body(Messages, Responses, &message(&json!(content)));
    assert_eq!(dropped, [""; 0]);
    let shown = |item: &Value| (item["id"].clone(), item["status"].clone(), item["action"].clone());
    let source = |name: &str| json!({"type": "url", "url": format!("https://{name}.test"), "title": name});
    let expected = [
        (
            json!("ws_srvtoolu_01A"),
            json!("completed"),
            json!({"type": "search", "query": "a", "queries": ["a"], "sources": [source("a"), source("c")]}),
        ),
        (json!("ws_srvtoolu_01B"), json!("completed"), json!({"type": "search", "query": "b", "queries": ["b"]})),
    ];
    let output = told["output"].as_array().unwrap();
    assert_eq!(output[..2].iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(output[2]["content"][0]["text"], "So.");

    let there = read(context(Messages, Responses), &streamed(&content));
    assert_eq!(there["output"], told["output"]);
    let (back, _) = body(Responses, Messages, &response(&told["output"]));
    // One after the other, and as they were.
    let expected = json!([content[0], content[2], content[1], content[3], content[4]]);
    assert_eq!(back["content"], expected);
}

#[test]
fn a_search_is_told_while_it_runs() {
    let (out, _) = converted(context(Messages, Responses), named(Messages, "web_search").unwrap().bytes, 7);
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(&out);
    let mut names = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        names.push(String::from_utf8(frame.event.to_vec()).unwrap());
    }
    let stages: Vec<&String> =
        names.iter().filter(|name| name.contains("web_search") || name.contains("annot")).collect();
    let expected = [
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_text.annotation.added",
    ];
    assert_eq!(stages, expected);
}

#[test]
fn pages_that_openai_opened_are_shown_as_it_says_them() {
    let open = json!({"type": "open_page", "url": "https://a.test"});
    let find = json!({"type": "find_in_page", "url": "https://a.test", "pattern": "x"});
    let search = json!({"type": "search", "query": "", "queries": ["p", "q"], "sources": [{"type": "url", "url": "https://b.test"}]});
    let item = |id: &str, action: &Value| json!({"type": "web_search_call", "id": id, "status": "completed", "action": action});
    let output = json!([item("ws_1", &open), item("ws_2", &find), item("ws_3", &search)]);
    let (told, dropped) = body(Responses, Messages, &response(&output));
    assert_eq!(dropped, [""; 0]);
    let found = told["content"].as_array().unwrap();
    let calls: Vec<&Value> = found.iter().filter(|block| block["type"] == "server_tool_use").collect();
    let inputs: Vec<&Value> = calls.iter().map(|call| &call["input"]).collect();
    assert_eq!(inputs, [&open, &find, &json!({"query": "p", "queries": ["p", "q"]})]);
    assert_eq!(calls[0]["id"], "srvtoolu_ws_1");
    assert_eq!(found[5]["content"][0]["url"], "https://b.test");
    assert_eq!(told["usage"]["server_tool_use"], json!({"web_search_requests": 1, "web_fetch_requests": 0}));
    assert_eq!(told["stop_reason"], "end_turn");

    let (back, _) = body(Messages, Responses, told.to_string().as_bytes());
    let actions: Vec<&Value> = back["output"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
    let search = json!({"type": "search", "query": "p", "queries": ["p", "q"], "sources": [{"type": "url", "url": "https://b.test"}]});
    assert_eq!(actions, [&open, &find, &search]);
    // Nothing of Anthropic's is in there.
    assert!(back["output"].as_array().unwrap().iter().all(|item| item.get("encrypted_content").is_none()));
    assert_eq!(back["output"][2]["id"], "ws_3");
}

#[test]
fn a_search_that_failed_says_so() {
    let failed = json!([{"type": "web_search_call", "id": "ws_1", "status": "failed", "action": {"type": "search", "query": "q"}}]);
    let (told, _) = body(Responses, Messages, &response(&failed));
    let error = json!({"type": "web_search_tool_result_error", "error_code": "unavailable"});
    assert_eq!(told["content"][1], result("srvtoolu_ws_1", &error));

    let error = json!({"type": "web_search_tool_result_error", "error_code": "query_too_long"});
    let content = json!([call("srvtoolu_01A", "a"), result("srvtoolu_01A", &error)]);
    let (there, _) = body(Messages, Responses, &message(&content));
    assert_eq!(there["output"][0]["status"], "failed");
    let (back, _) = body(Responses, Messages, there.to_string().as_bytes());
    assert_eq!(back["content"], content);
}

#[test]
fn a_pause_of_the_vendors_is_no_end() {
    let paused = named(Messages, "pause_turn").unwrap().bytes;
    let response = read(context(Messages, Responses), paused);
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["output"][1]["status"], "failed");
    let completion = read(context(Messages, Chat), paused);
    assert_eq!(completion["choices"][0]["finish_reason"], "length");
    for to in [Responses, Chat] {
        let (_, converter) = converted(context(Messages, to), paused, 9);
        assert!(converter.dropped().contains(&"stop reason pause_turn".to_owned()), "{:?}", converter.dropped());
    }
}

#[test]
fn the_text_that_a_source_stands_for_is_a_block_of_its_own() {
    let source = |start: u64, end: u64| json!({"type": "url_citation", "start_index": start, "end_index": end, "url": "https://a.test", "title": "A"});
    let text = |annotations: &Value| {
        json!([{"type": "message", "role": "assistant", "content": [
        {"type": "output_text", "text": "Été chaud, say all.", "annotations": annotations}]}])
    };
    let (told, dropped) = body(Responses, Messages, &response(&text(&json!([source(4, 9)]))));
    let texts: Vec<&Value> = told["content"].as_array().unwrap().iter().map(|block| &block["text"]).collect();
    assert_eq!(texts, ["Été ", "chaud", ", say all."]);
    assert_eq!(told["content"][1]["citations"][0]["url"], "https://a.test");
    assert_eq!(dropped, [""; 0]);
    let (back, _) = body(Messages, Responses, told.to_string().as_bytes());
    let part = &back["output"][0]["content"][0];
    assert_eq!((&part["text"], &part["annotations"]), (&json!("Été chaud, say all."), &json!([source(4, 9)])));

    // Chat has the same one level deeper; what has no address is named.
    let file = json!({"type": "file_citation", "file_id": "file_1", "index": 3});
    let (told, dropped) = body(Responses, Chat, &response(&text(&json!([file, source(4, 9)]))));
    let inside = json!({"start_index": 4, "end_index": 9, "url": "https://a.test", "title": "A"});
    let message = &told["choices"][0]["message"];
    assert_eq!(message["annotations"], json!([{"type": "url_citation", "url_citation": inside}]));
    assert_eq!(dropped, ["annotation (file_citation)"]);
    let (there, _) = body(Chat, Messages, told.to_string().as_bytes());
    assert_eq!(there["content"][1]["text"], "chaud");
}

#[test]
fn in_a_stream_a_source_is_on_the_text_that_is_open() {
    let stream = named(Responses, "web_search_call").unwrap().bytes;
    let (out, converter) = converted(context(Responses, Messages), stream, 5);
    let told = accumulate(Messages, &out).unwrap();
    assert_eq!(converter.dropped(), [""; 0]);
    let block = &told["content"][2];
    assert_eq!(block["text"], "The parser is ready as the manual says.");
    assert_eq!(block["citations"][0]["title"], "Parser manual");
    // Back in its dialect the range is as it was.
    let back = read(context(Messages, Responses), &out);
    let given = accumulate(Responses, stream).unwrap();
    assert_eq!(back["output"][1]["content"], given["output"][1]["content"]);
    assert_eq!(back["output"][0], given["output"][0]);
}
