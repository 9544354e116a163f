//! Web searches and the sources of texts say the same after they have been through another dialect.

use luthien_testkit::accumulate::accumulate;
use luthien_wire::Dialect::{self, Messages, Responses};
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::answers::{context, streamed};
use crate::cuts::{cuts, pieces};
use crate::said::words;

#[derive(Clone, Debug)]
enum Piece {
    Text {
        words: String,
        sources: usize,
    },
    /// `None`: it failed.
    Search {
        query: String,
        pages: Option<Vec<String>>,
    },
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        (words(), 0..3_usize).prop_map(|(words, sources)| Piece::Text { words, sources }),
        (words(), option::weighted(0.9, vec(words(), 0..3))).prop_map(|(query, pages)| Piece::Search { query, pages }),
    ]
}

/// The blocks of a Messages answer. `beside`: the results of searches come behind all their calls.
fn blocks(all: &[Piece], beside: bool) -> Vec<Value> {
    let (mut out, mut waiting): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for (at, piece) in all.iter().enumerate() {
        match piece {
            Piece::Text { words, sources } => {
                out.append(&mut waiting);
                let mut block = json!({"type": "text", "text": words});
                let source = |n| {
                    json!({"type": "web_search_result_location", "cited_text": format!("said {n}"),
                    "url": format!("https://{at}.test/{n}"), "title": words, "encrypted_index": format!("Eo{at}{n}")})
                };
                if *sources > 0 {
                    block["citations"] = (0..*sources).map(source).collect();
                }
                out.push(block);
            }
            Piece::Search { query, pages } => {
                let id = format!("srvtoolu_01{at}");
                let page = |(n, title): (usize, &String)| {
                    json!({"type": "web_search_result", "url": format!("https://{n}.test"),
                    "title": title, "encrypted_content": format!("Eq{at}{n}"), "page_age": (n > 0).then_some("2 days")})
                };
                let failed = json!({"type": "web_search_tool_result_error", "error_code": "too_many_requests"});
                let found = pages.as_ref().map(|pages| pages.iter().enumerate().map(page).collect::<Value>());
                out.push(json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}}));
                waiting.push(
                    json!({"type": "web_search_tool_result", "tool_use_id": id, "content": found.unwrap_or(failed)}),
                );
                if !beside {
                    out.append(&mut waiting);
                }
            }
        }
    }
    out.append(&mut waiting);
    out
}

/// The same with texts that no source divides as one.
fn joined(blocks: &[Value]) -> Vec<Value> {
    let is_plain = |block: &Value| block["type"] == "text" && block.get("citations").is_none();
    let mut out: Vec<Value> = Vec::new();
    for block in blocks {
        match out.last_mut().filter(|last| is_plain(last) && is_plain(block)) {
            Some(last) => {
                let words = [&last["text"], &block["text"]].map(|text| text.as_str().unwrap_or_default()).concat();
                last["text"] = words.into();
            }
            None => out.push(block.clone()),
        }
    }
    out
}

fn message(content: &[Value]) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
           "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}})
}

/// The message as a stream, its sources as deltas.
fn stream(content: &[Value]) -> Vec<u8> {
    let mut events = vec![json!({"type": "message_start", "message": message(&[])})];
    for (index, block) in content.iter().enumerate() {
        let mut start = block.clone();
        let sources = start.as_object_mut().and_then(|start| start.remove("citations"));
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for source in sources.iter().filter_map(Value::as_array).flatten() {
            let delta = json!({"type": "citations_delta", "citation": source});
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}));
    events.push(json!({"type": "message_stop"}));
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    events.iter().map(event).collect::<String>().into_bytes()
}

fn whole(from: Dialect, to: Dialect, body: &Value) -> Value {
    let converted = convert::whole(&context(from, to), body.to_string().as_bytes()).expect("an answer");
    assert_eq!(converted.dropped, [""; 0]);
    serde_json::from_slice(&converted.body).expect("json")
}

fn asked(from: Dialect, to: Dialect, model: &str, body: &Value) -> Value {
    let request = Request::parse(from, RequestKind::Turn, body.to_string().into()).expect("a request");
    let converted = convert::request(&request, to, model).expect("a request");
    assert_eq!(converted.dropped, [""; 0]);
    serde_json::from_slice(&converted.body).expect("json")
}

/// A text with sources of any ranges, as OpenAI gives it.
fn cited() -> impl Strategy<Value = Value> {
    (vec(words(), 1..4), vec((any::<Index>(), any::<Index>()), 0..4)).prop_map(|(words, ranges)| {
        let text = words.join("  ");
        let length = text.chars().count();
        let source = |(at, (one, other)): (usize, &(Index, Index))| {
            let (one, other) = (one.index(length + 1), other.index(length + 1));
            json!({"type": "url_citation", "start_index": one.min(other), "end_index": one.max(other),
                   "url": format!("https://{at}.test"), "title": "t"})
        };
        let mut all: Vec<Value> = ranges.iter().enumerate().map(source).collect();
        all.sort_by_key(|source| source["start_index"].as_u64());
        json!({"type": "output_text", "text": text, "annotations": all, "logprobs": []})
    })
}

proptest! {
    #[test]
    fn what_anthropic_searched_is_the_same_after_a_client_of_responses(
        all in vec(piece(), 1..6), beside in any::<bool>(), cuts in cuts(),
    ) {
        let given = blocks(&all, beside);
        // Their calls and results stand together then.
        let expected = joined(&blocks(&all, false));
        let there = whole(Messages, Responses, &message(&given));
        prop_assert_eq!(joined(whole(Responses, Messages, &there)["content"].as_array().expect("blocks")), expected.clone());

        let stream = stream(&given);
        let told = accumulate(Responses, &streamed(Messages, Responses, &pieces(&stream, &cuts))).expect("a stream");
        prop_assert_eq!(&told["output"], &there["output"]);

        // And on the next turn.
        let mut input = vec![json!({"type": "message", "role": "user", "content": "go"})];
        input.extend(there["output"].as_array().into_iter().flatten().cloned());
        input.push(json!({"type": "message", "role": "user", "content": "on"}));
        let back = asked(Responses, Messages, "claude-opus-5-5", &json!({"model": "m", "input": input}));
        prop_assert_eq!(joined(back["messages"][1]["content"].as_array().expect("blocks")), expected);
    }

    #[test]
    fn sources_of_openais_texts_keep_their_places_in_a_message(part in cited()) {
        let output = json!([{"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}]);
        let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt", "output": output});
        let there = whole(Responses, Messages, &answer);
        let blocks = there["content"].as_array().expect("blocks");
        // No block is of white space alone.
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        prop_assert!(texts.iter().all(|text| !text.trim().is_empty()), "{:?}", texts);
        let mut back = whole(Messages, Responses, &there)["output"][0]["content"][0].clone();
        back["annotations"].as_array_mut().expect("sources").sort_by_key(|source| source["start_index"].as_u64());
        prop_assert_eq!(back, part.clone());

        // And on the next turn, for the vendor that gave it.
        let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": blocks},
                              {"role": "user", "content": "on"}]);
        let back = asked(Messages, Responses, "gpt-5", &json!({"model": "m", "max_tokens": 99, "messages": messages}));
        let mut text = back["input"][1]["content"][0].clone();
        if let Some(sources) = text.get_mut("annotations").and_then(Value::as_array_mut) {
            sources.sort_by_key(|source| source["start_index"].as_u64());
        }
        let annotations = part["annotations"].as_array().filter(|all| !all.is_empty()).cloned();
        prop_assert_eq!(&text["text"], &part["text"]);
        prop_assert_eq!(text.get("annotations").cloned(), annotations.map(Value::from));
    }

    #[test]
    fn a_search_that_both_can_ask_for_is_asked_for_the_same(
        uses in option::of(1..9_u64), domains in vec("[a-z]{1,5}\\.test", 0..3), city in option::of(words()),
    ) {
        let mut tool = json!({"type": "web_search_20250305", "name": "web_search"});
        if let Some(uses) = uses {
            tool["max_uses"] = uses.into();
        }
        if !domains.is_empty() {
            tool["allowed_domains"] = domains.into();
        }
        if let Some(city) = city {
            tool["user_location"] = json!({"type": "approximate", "city": city});
        }
        let messages = json!([{"role": "user", "content": "go"}]);
        let body = json!({"model": "m", "max_tokens": 99, "messages": messages, "tools": [tool],
                          "tool_choice": {"type": "tool", "name": "web_search"}});
        let mut there = asked(Messages, Responses, "gpt-5", &body);
        // It is the gateway that asks not to store.
        there.as_object_mut().expect("a request").remove("store");
        let back = asked(Responses, Messages, "claude-opus-5-5", &there);
        prop_assert_eq!((&back["tools"], &back["tool_choice"]), (&body["tools"], &body["tool_choice"]));
    }
}
