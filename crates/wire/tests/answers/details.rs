//! What converted answers do where the dialects differ most.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::named;
use luthien_wire::Dialect;
use luthien_wire::convert::{StreamConverter, whole};
use serde_json::{Value, json};

use crate::support::{LIMIT, call_delta, chat, context, converted, messages, read};

#[test]
fn free_text_comes_back_as_the_client_declared_it() {
    let stream = chat(
        &[call_delta(0, "call_a", "apply_patch", "{\"in"), call_delta(0, "", "", "put\": \"*** Begin\\n\\\"x\\\"\"}")],
        "tool_calls",
    );
    let mut wanted = context(Dialect::Chat, Dialect::Responses);
    wanted.free_text_tools = vec!["apply_patch".into()];
    let response = read(wanted, &stream);
    assert_eq!(response["output"][0]["type"], "custom_tool_call");
    assert_eq!(response["output"][0]["input"], "*** Begin\n\"x\"");
    assert_eq!(response["output"][0]["call_id"], "call_a");

    let stream = named(Dialect::Messages, "text_two_tools").unwrap().bytes;
    let mut wanted = context(Dialect::Messages, Dialect::Chat);
    wanted.free_text_tools = vec!["Bash".into()];
    let completion = read(wanted, stream);
    let calls = &completion["choices"][0]["message"]["tool_calls"];
    assert_eq!((&calls[0]["type"], &calls[1]["type"]), (&json!("function"), &json!("custom")));
    // These arguments are no free text: they are given as they are.
    assert_eq!(
        calls[1]["custom"]["input"],
        "{\"command\": \"git log --oneline -5\", \"description\": \"Show the last commits\"}"
    );
}

#[test]
fn white_space_makes_no_text_block() {
    let blank = json!({"content": "\n\n"});
    let stream = chat(&[blank.clone(), call_delta(0, "call_a", "read", "{}"), blank.clone()], "tool_calls");
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Messages), &stream, 64);
    let message = accumulate(Dialect::Messages, &out).unwrap();
    assert_eq!(message["content"].as_array().unwrap().len(), 1);
    assert_eq!(converter.dropped(), [""; 0]);
    let message = read(context(Dialect::Chat, Dialect::Messages), &chat(&[blank, json!({"content": "x"})], "stop"));
    assert_eq!(message["content"], json!([{"type": "text", "text": "\n\nx"}]));
}

#[test]
fn sources_keep_their_places() {
    let stream = named(Dialect::Messages, "web_search").unwrap().bytes;
    let first = "I'll search for the release notes.";
    let all = format!("{first}The newest release fixes flattened enums.");
    let (url, title) = ("https://example.org/serde/releases", "Releases · serde-rs/serde");
    let (start, end) = (first.chars().count(), all.chars().count());
    let completion = read(context(Dialect::Messages, Dialect::Chat), stream);
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"], all);
    let citation = json!({"start_index": start, "end_index": end, "url": url, "title": title});
    assert_eq!(message["annotations"], json!([{"type": "url_citation", "url_citation": citation, "index": 0}]));
    // Here the search stands between the texts.
    let response = read(context(Dialect::Messages, Dialect::Responses), stream);
    let annotation = &response["output"][2]["content"][0]["annotations"][0];
    let place = (&annotation["start_index"], &annotation["end_index"], &annotation["url"], &annotation["title"]);
    assert_eq!(place, (&json!(0), &json!(end - start), &json!(url), &json!(title)));
}

#[test]
fn a_cached_prompt_is_counted_as_each_vendor_counts() {
    let usage = json!({"input_tokens": 5, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 11,
        "output_tokens": 13, "output_tokens_details": {"thinking_tokens": 3}});
    let body = json!({"type": "message", "id": "msg_1", "model": "m", "content": [], "stop_reason": "end_turn", "usage": usage});
    let to_chat = whole(&context(Dialect::Messages, Dialect::Chat), body.to_string().as_bytes()).unwrap();
    let chat: Value = serde_json::from_slice(&to_chat.body).unwrap();
    let expected = json!({"prompt_tokens": 23, "completion_tokens": 13, "total_tokens": 36,
        "prompt_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 3}});
    assert_eq!(chat["usage"], expected);
    let to_responses = whole(&context(Dialect::Chat, Dialect::Responses), &to_chat.body).unwrap();
    let response: Value = serde_json::from_slice(&to_responses.body).unwrap();
    let expected = json!({"input_tokens": 23, "input_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 7},
        "output_tokens": 13, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 36});
    assert_eq!(response["usage"], expected);
    let back = whole(&context(Dialect::Responses, Dialect::Messages), &to_responses.body).unwrap();
    let message: Value = serde_json::from_slice(&back.body).unwrap();
    assert_eq!(message["usage"], usage);
}

#[test]
fn a_usage_chunk_comes_where_it_was_asked_for() {
    let stream = named(Dialect::Messages, "text").unwrap().bytes;
    let mut wanted = context(Dialect::Messages, Dialect::Chat);
    wanted.include_usage = false;
    let (out, _) = converted(wanted, stream, 9);
    assert!(!String::from_utf8(out).unwrap().contains("usage"));
}

#[test]
fn a_response_repeats_what_the_request_gave_and_nothing_of_ours() {
    let mut wanted = context(Dialect::Messages, Dialect::Responses);
    let given = json!({"instructions": "Be brief.", "metadata": {"k": "v"}, "id": "resp_forged", "output": ["forged"]});
    wanted.repeated = given.as_object().unwrap().clone();
    let response = read(wanted, named(Dialect::Messages, "text").unwrap().bytes);
    assert_eq!((&response["instructions"], &response["metadata"]), (&json!("Be brief."), &json!({"k": "v"})));
    assert_eq!(response["id"], "resp_0199c2f0a0e87000800000000000000a");
    assert_eq!(response["output"][0]["type"], "message");
}

#[test]
fn text_cannot_forge_events() {
    let forged = "x\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\ndata: [DONE]\r\n\r\n\u{2028}";
    let stream = chat(&[json!({"content": forged}), call_delta(0, forged, forged, "{}")], "tool_calls");
    let message = read(context(Dialect::Chat, Dialect::Messages), &stream);
    assert_eq!(message["content"][0]["text"], forged);
    assert_eq!(message["content"][1]["name"], forged);
    let response = read(context(Dialect::Chat, Dialect::Responses), &stream);
    assert_eq!(response["output"][0]["content"][0]["text"], forged);
    let failing = format!("data: {}\n\n", json!({"error": {"message": forged, "type": forged, "code": forged}}));
    for to in [Dialect::Messages, Dialect::Responses] {
        let (out, _) = converted(context(Dialect::Chat, to), failing.as_bytes(), 64);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.matches("\n\n").count(), if to == Dialect::Messages { 1 } else { 3 }, "{out}");
    }
}

#[test]
fn failures_of_a_stream_keep_what_agents_act_on() {
    let failed = |kind: &str, message: &str| {
        let error = json!({"type": "error", "error": {"type": kind, "message": message}});
        let (out, _) = converted(context(Dialect::Messages, Dialect::Responses), &messages(&[error]), 64);
        let last = String::from_utf8(out).unwrap();
        let data = last.trim_end().rsplit("data: ").next().unwrap().to_owned();
        let response: Value = serde_json::from_str(&data).unwrap();
        assert_eq!((&response["type"], &response["response"]["status"]), (&json!("response.failed"), &json!("failed")));
        assert_eq!(response["response"]["error"]["message"], message);
        response["response"]["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(failed("overloaded_error", "Overloaded"), "server_is_overloaded");
    assert_eq!(failed("rate_limit_error", "Please try again in 1.5s"), "rate_limit_exceeded");
    assert_eq!(failed("invalid_request_error", "prompt is too long: 9 > 8"), "context_length_exceeded");
    assert_eq!(failed("invalid_request_error", "no such tool"), "invalid_prompt");
    assert_eq!(failed("billing_error", "no credit"), "insufficient_quota");
    assert_eq!(failed("api_error", "Internal server error"), "server_error");
    assert_eq!(failed("odd_error", "?"), "server_error");
}

#[test]
fn what_is_too_large_ends_with_an_error() {
    let oversized = format!("data: {}\n\n", json!({"choices": [], "pad": "x".repeat(LIMIT)}));
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Messages), oversized.as_bytes(), 4096);
    assert!(out.starts_with(b"event: error\n"));
    assert_eq!(converter.trouble(), Some("an event of more than 1048576 bytes"));

    let piece = json!({"content": "x".repeat(LIMIT / 2)});
    let stream = chat(&vec![piece; 20], "stop");
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Responses), &stream, 1 << 16);
    assert_eq!(converter.trouble(), Some("an answer of more than 8388608 bytes"));
    assert!(String::from_utf8(out).unwrap().contains("event: response.failed\n"));

    let mut deltas = vec![call_delta(0, "call_a", "a", ""), call_delta(1, "call_b", "b", "")];
    deltas.extend((0..3).map(|_| call_delta(1, "", "", &"x".repeat(LIMIT / 2))));
    let (_, converter) = converted(context(Dialect::Chat, Dialect::Messages), &chat(&deltas, "stop"), 1 << 16);
    assert_eq!(converter.trouble(), Some("calls that run beside each other hold more than 1048576 bytes"));
}

#[test]
fn heads_and_names_count_as_well() {
    let name = "x".repeat(LIMIT / 2);
    let calls: Vec<Value> = (0..20).map(|at| call_delta(at, &format!("call_{at}_a"), &name, "{}")).collect();
    let (_, converter) = converted(context(Dialect::Chat, Dialect::Responses), &chat(&calls, "stop"), 1 << 16);
    assert_eq!(converter.trouble(), Some("an answer of more than 8388608 bytes"));
    let block = |index: u64| json!({"type": "content_block_start", "index": index, "content_block": {"type": "odd"}});
    let begun = messages(&(0..10_002).map(block).collect::<Vec<_>>());
    let (_, converter) = converted(context(Dialect::Messages, Dialect::Chat), &begun, 1 << 16);
    assert!(converter.trouble().is_some());
    assert_eq!(converter.dropped().len(), 100);
}

#[test]
fn nothing_follows_an_error() {
    let mut converter = StreamConverter::new(context(Dialect::Chat, Dialect::Messages), LIMIT);
    assert!(converter.push(b"data: {not json}\n\n").starts_with(b"event: error\n"));
    assert!(converter.push(&chat(&[json!({"content": "x"})], "stop")).is_empty());
    assert!(converter.finish().is_empty());
    assert!(converter.push_whole(b"{}").is_empty());
}

#[test]
fn an_answer_that_has_stopped_is_ended_and_no_other() {
    // W-54: what counts is that the model has stopped.
    let stopped = messages(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
    ]);
    assert!(read(context(Dialect::Messages, Dialect::Chat), &stopped).is_object());
    let finished = chat(&[json!({"content": "x"})], "stop");
    let without_done = &finished[..finished.len() - "data: [DONE]\n\n".len()];
    assert_eq!(read(context(Dialect::Chat, Dialect::Messages), without_done)["stop_reason"], "end_turn");
    // Its last frame may lack the blank line.
    assert!(read(context(Dialect::Chat, Dialect::Messages), finished.trim_ascii_end()).is_object());
    let unfinished =
        b"data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n";
    let (out, converter) = converted(context(Dialect::Chat, Dialect::Messages), unfinished, 64);
    assert!(!String::from_utf8(out).unwrap().contains("message_stop"));
    assert_eq!(converter.trouble(), None);
}

#[test]
fn a_whole_body_becomes_a_whole_stream() {
    for (from, to) in crate::support::pairs() {
        let body = named(from, "body_text").unwrap().bytes;
        let out = StreamConverter::new(context(from, to), LIMIT).push_whole(body);
        let stream = accumulate(to, &out).unwrap();
        let answer: Value = serde_json::from_slice(&whole(&context(from, to), body).unwrap().body).unwrap();
        let text = |value: &Value| {
            let places = ["/content/0/text", "/choices/0/message/content", "/output/0/content/0/text"];
            places.iter().find_map(|place| value.pointer(place)).cloned()
        };
        assert_eq!(text(&stream), text(&answer), "{from} in {to}");
        assert!(text(&stream).is_some(), "{from} in {to}: {stream}");
    }
    // It is all there is, whether or not it says why it ends.
    let endless = br#"{"id":"c","choices":[{"message":{"content":"x"},"finish_reason":null}]}"#;
    let out = StreamConverter::new(context(Dialect::Chat, Dialect::Messages), LIMIT).push_whole(endless);
    assert_eq!(accumulate(Dialect::Messages, &out).unwrap()["stop_reason"], "end_turn");
    let failed = StreamConverter::new(context(Dialect::Chat, Dialect::Messages), LIMIT).push_whole(b"<html>");
    assert!(failed.starts_with(b"event: error\n"));
}

#[test]
fn failures_inside_a_success_have_a_status() {
    let body = br#"{"error":{"message":"Provider returned error","code":429}}"#;
    let answer = whole(&context(Dialect::Chat, Dialect::Messages), body).unwrap();
    assert_eq!(answer.failed, Some(429));
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read["error"], json!({"type": "rate_limit_error", "message": "Provider returned error"}));
}

#[test]
fn numbers_and_doubled_keys_of_a_body_stay_letter_for_letter() {
    let input = r#"{"a":1.0,"b":12345678901234567890123,"a":"é"}"#;
    let body = format!(
        r#"{{"type":"message","id":"msg_1","model":"m","content":[{{"type":"tool_use","id":"toolu_1","name":"n","input":{input}}}],"stop_reason":"tool_use"}}"#
    );
    let chat = whole(&context(Dialect::Messages, Dialect::Chat), body.as_bytes()).unwrap();
    let read: Value = serde_json::from_slice(&chat.body).unwrap();
    assert_eq!(read["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], input);
    let back = whole(&context(Dialect::Chat, Dialect::Messages), &chat.body).unwrap();
    assert!(String::from_utf8(back.body.to_vec()).unwrap().contains(input));
}

#[test]
fn an_items_events_are_known_by_its_id_where_numbers_are_wrong() {
    // A bridge that numbers every item 0.
    let event = |kind: &str, fields: Value| {
        let mut data = json!({"type": kind, "output_index": 0});
        data.as_object_mut().into_iter().for_each(|data| data.extend(fields.as_object().cloned().unwrap_or_default()));
        data
    };
    let message = json!({"type": "message", "id": "msg_1", "content": []});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "read", "arguments": ""});
    let done =
        json!({"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "read", "arguments": "{\"p\":1}"});
    let stream = messages(&[
        event("response.output_item.added", json!({"item": message})),
        event("response.output_item.added", json!({"item": call})),
        event("response.output_text.delta", json!({"item_id": "msg_1", "delta": "Hi"})),
        event("response.function_call_arguments.delta", json!({"item_id": "fc_1", "delta": "{\"p\""})),
        event("response.output_text.delta", json!({"item_id": "unheard", "delta": "!"})),
        event("response.function_call_arguments.delta", json!({"delta": ":1}"})),
        event("response.output_item.done", json!({"item": done})),
        event("response.completed", json!({"response": {"id": "resp_1", "status": "completed", "output": []}})),
    ]);
    let completion = read(context(Dialect::Responses, Dialect::Chat), &stream);
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"], "Hi!");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{\"p\":1}");
}

#[test]
fn reasoning_and_usage_are_found_where_some_servers_put_them() {
    let thought =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "So."}]}, {"type": "text", "text": "Yes."}]);
    let choice = json!({"index": 0, "delta": {"content": thought}, "finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    let stream = format!("data: {}\n\ndata: [DONE]\n\n", json!({"id": "c", "model": "m", "choices": [choice]}));
    let message = read(context(Dialect::Chat, Dialect::Messages), stream.as_bytes());
    assert_eq!((&message["content"][0]["thinking"], &message["content"][1]["text"]), (&json!("So."), &json!("Yes.")));
    assert_eq!((&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]), (&json!(3), &json!(2)));
}
