//! In any order that the protocols allow (calls beside each other, pings anywhere), an answer says the same.

use luthien_wire::Dialect;
use luthien_wire::answer;
use luthien_wire::convert::StreamConverter;
use luthien_wire::turn::Block;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::answers::{context, streamed};
use crate::cuts::{cuts, pieces};
use crate::said::{object, words};

/// Events of one block in their order; blocks run beside each other.
type Channel = Vec<Value>;

/// Texts and calls in pieces, and in which order the pieces come.
#[derive(Clone, Debug)]
struct Score {
    text: Vec<String>,
    /// Each call's arguments, whole, and where they are cut.
    calls: Vec<(Value, Vec<Index>)>,
    order: Vec<Index>,
    /// What says nothing, and where it comes.
    noise: Vec<(Index, u8)>,
    /// Chat: events that come in one chunk with the one before.
    joined: Vec<bool>,
}

fn score() -> impl Strategy<Value = Score> {
    let calls = vec((object(), vec(any::<Index>(), 0..4)), 0..4);
    let noise = vec((any::<Index>(), any::<u8>()), 0..6);
    (vec(words(), 1..4), calls, vec(any::<Index>(), 1..40), noise, vec(any::<bool>(), 1..20))
        .prop_map(|(text, calls, order, noise, joined)| Score { text, calls, order, noise, joined })
}

/// Cuts a text between characters.
fn fragments(whole: &str, cuts: &[Index]) -> Vec<String> {
    let places: Vec<usize> = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).collect();
    let mut at: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places)).chain([0, whole.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| whole[pair[0]..pair[1]].to_owned()).collect()
}

impl Score {
    fn said(&self) -> (String, Vec<String>) {
        let calls = self.calls.iter().enumerate();
        (self.text.concat(), calls.map(|(at, (input, _))| format!("call_{at:04} tool_{at} {input}")).collect())
    }

    /// One event after the other: of the blocks that have begun, or the next block's first.
    fn in_order(&self, channels: Vec<Channel>) -> Vec<Value> {
        let mut channels: Vec<_> = channels.into_iter().map(std::collections::VecDeque::from).collect();
        let mut out: Vec<Value> = Vec::new();
        let mut order = self.order.iter().cycle();
        let mut begun = 0;
        while channels.iter().any(|channel| !channel.is_empty()) {
            let open: Vec<usize> = (0..channels.len()).filter(|at| *at <= begun && !channels[*at].is_empty()).collect();
            let Some(at) = order.next().map(|index| *index.get(&open)) else { break };
            out.extend(channels[at].pop_front());
            if at == begun {
                begun += 1;
            }
        }
        out
    }

    /// The frames with what says nothing between them.
    fn with_noise(&self, mut frames: Vec<String>, kinds: &[&str]) -> Vec<u8> {
        for (at, kind) in &self.noise {
            frames.insert(at.index(frames.len()), kinds[usize::from(*kind) % kinds.len()].to_owned());
        }
        frames.concat().into_bytes()
    }

    fn messages(&self) -> Vec<u8> {
        let usage = json!({"input_tokens": 3, "output_tokens": 1});
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "usage": usage});
        let mut events = vec![json!({"type": "message_start", "message": message})];
        let mut block = |start: Value, deltas: Vec<Value>| {
            let index = events.iter().filter(|event| event["type"] == "content_block_start").count();
            events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
            events.extend(
                deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
            );
            events.push(json!({"type": "content_block_stop", "index": index}));
        };
        let texts = self.text.iter().map(|text| json!({"type": "text_delta", "text": text}));
        block(json!({"type": "text", "text": ""}), texts.collect());
        for (at, (input, cuts)) in self.calls.iter().enumerate() {
            let parts = fragments(&input.to_string(), cuts).into_iter();
            let parts = parts.map(|part| json!({"type": "input_json_delta", "partial_json": part}));
            let start =
                json!({"type": "tool_use", "id": format!("call_{at:04}"), "name": format!("tool_{at}"), "input": {}});
            block(start, parts.collect());
        }
        let reason = if self.calls.is_empty() { "end_turn" } else { "tool_use" };
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}));
        events.push(json!({"type": "message_stop"}));
        let noise = [
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            ": still here\n\n",
            "\n",
            "event: later\ndata: {\"type\": \"later\"}\n\n",
        ];
        self.with_noise(events.iter().map(named).collect(), &noise)
    }

    fn chat(&self) -> Vec<u8> {
        let mut channels: Vec<Channel> = vec![self.text.iter().map(|text| json!({"content": text})).collect()];
        for (at, (input, cuts)) in self.calls.iter().enumerate() {
            let function = json!({"name": format!("tool_{at}"), "arguments": ""});
            let begun = json!({"index": at, "id": format!("call_{at:04}"), "type": "function", "function": function});
            let parts = fragments(&input.to_string(), cuts).into_iter();
            let parts = parts.map(|part| json!({"index": at, "function": {"arguments": part}}));
            channels.push(std::iter::once(begun).chain(parts).map(|call| json!({"tool_calls": [call]})).collect());
        }
        let mut deltas: Vec<Value> = vec![json!({"role": "assistant", "content": ""})];
        for (delta, joins) in self.in_order(channels).into_iter().zip(self.joined.iter().cycle()) {
            // Chunks may carry several fragments, each of another call.
            let place = delta["tool_calls"][0]["index"].clone();
            let others = deltas.last().and_then(|last| last["tool_calls"].as_array().cloned()).unwrap_or_default();
            if *joins && !place.is_null() && !others.is_empty() && others.iter().all(|other| other["index"] != place) {
                let calls: Vec<Value> = others.into_iter().chain([delta["tool_calls"][0].clone()]).collect();
                deltas.pop();
                deltas.push(json!({"tool_calls": calls}));
            } else {
                deltas.push(delta);
            }
        }
        let chunk = |choices: Value| {
            let data =
                json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices});
            format!("data: {data}\n\n")
        };
        let reason = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        let mut frames: Vec<String> =
            deltas.iter().map(|delta| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]))).collect();
        frames.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": reason}])));
        frames.push("data: [DONE]\n\n".to_owned());
        let (empty, nothing) = (chunk(json!([])), chunk(json!([{"index": 0, "delta": {}, "finish_reason": null}])));
        self.with_noise(frames, &[": OPENROUTER PROCESSING\n\n", &empty, &nothing, "\n"])
    }

    fn responses(&self) -> Vec<u8> {
        let response = |status: &str, output: Value| json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output});
        let text = self.text.concat();
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let message = |status: &str, content: Value| json!({"id": "msg_0", "type": "message", "role": "assistant", "status": status, "content": content});
        let of = |kind: &str, rest: Value| {
            let mut event = json!({"type": kind, "item_id": "msg_0", "output_index": 0, "content_index": 0});
            rest.as_object().into_iter().flatten().for_each(|(name, value)| event[name] = value.clone());
            event
        };
        let mut first = vec![
            json!({"type": "response.output_item.added", "output_index": 0, "item": message("in_progress", json!([]))}),
            of("response.content_part.added", json!({"part": part("")})),
        ];
        first.extend(self.text.iter().map(|text| of("response.output_text.delta", json!({"delta": text}))));
        first.push(of("response.output_text.done", json!({"text": text})));
        first.push(of("response.content_part.done", json!({"part": part(&text)})));
        let mut output = vec![message("completed", json!([part(&text)]))];
        first.push(json!({"type": "response.output_item.done", "output_index": 0, "item": output[0]}));
        let mut channels = vec![first];
        for (at, (input, cuts)) in self.calls.iter().enumerate() {
            let (id, place, whole) = (format!("fc_{at}"), at + 1, input.to_string());
            let item = |status: &str, arguments: &str| json!({"id": id, "type": "function_call", "status": status, "call_id": format!("call_{at:04}"), "name": format!("tool_{at}"), "arguments": arguments});
            let mut events = vec![
                json!({"type": "response.output_item.added", "output_index": place, "item": item("in_progress", "")}),
            ];
            events.extend(fragments(&whole, cuts).into_iter().map(|delta| {
                json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": place, "delta": delta})
            }));
            events.push(json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": place, "arguments": whole}));
            output.push(item("completed", &whole));
            events.push(json!({"type": "response.output_item.done", "output_index": place, "item": output[place]}));
            channels.push(events);
        }
        let mut events = vec![json!({"type": "response.created", "response": response("in_progress", json!([]))})];
        events.extend(self.in_order(channels));
        events.push(json!({"type": "response.completed", "response": response("completed", json!(output))}));
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = number.into();
        }
        let noise = [
            "event: keepalive\ndata: {\"type\": \"keepalive\", \"sequence_number\": 1}\n\n",
            ": still here\n\n",
            "event: response.later\ndata: {\"type\": \"response.later\", \"sequence_number\": 1}\n\n",
            "\n",
        ];
        self.with_noise(events.iter().map(named).collect(), &noise)
    }

    fn stream(&self, dialect: Dialect) -> Vec<u8> {
        match dialect {
            Dialect::Messages => self.messages(),
            Dialect::Chat => self.chat(),
            Dialect::Responses => self.responses(),
        }
    }
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"))
}

/// The texts, as one, and the calls.
fn said(dialect: Dialect, stream: &[u8]) -> (String, Vec<String>) {
    let (mut texts, mut calls) = (String::new(), Vec::new());
    for (_, block) in answer::blocks(dialect, true, stream) {
        match block {
            Block::Text(text) => texts += &text,
            Block::ToolCall(call) => {
                calls.push(format!("{} {} {}", call.id, call.name, call.arguments.expect("arguments")));
            }
            Block::Thinking(_) | Block::Opaque { .. } => {}
        }
    }
    (texts, calls)
}

proptest! {
    #[test]
    fn any_order_gives_the_same_blocks(score in score(), dialect in prop::sample::select(Dialect::ALL.to_vec())) {
        let stream = score.stream(dialect);
        prop_assert_eq!(said(dialect, &stream), score.said(), "{}", String::from_utf8_lossy(&stream));
    }

    #[test]
    fn any_order_means_the_same_in_another_dialect(score in score(), order in Just(Dialect::ALL).prop_shuffle(), cuts in cuts()) {
        let [from, to, _] = order;
        let stream = score.stream(from);
        let out = streamed(from, to, &pieces(&stream, &cuts));
        prop_assert_eq!(said(to, &out), score.said(), "{}\n{}", String::from_utf8_lossy(&stream), String::from_utf8_lossy(&out));
        let read = luthien_testkit::accumulate::accumulate(to, &out);
        prop_assert!(read.is_ok(), "{:?}\n{}", read, String::from_utf8_lossy(&out));
    }

    /// Where somebody else holds the calls, each block stands where it came: none is lost, and none waits.
    #[test]
    fn any_order_keeps_all_where_calls_are_held_elsewhere(score in score(), from_chat in any::<bool>(), cuts in cuts()) {
        let from = if from_chat { Dialect::Chat } else { Dialect::Responses };
        let stream = score.stream(from);
        let mut converter = StreamConverter::new(context(from, Dialect::Messages), 1 << 20).calls_held_elsewhere();
        let mut out: Vec<u8> = pieces(&stream, &cuts).iter().flat_map(|piece| converter.push(piece)).collect();
        out.extend_from_slice(&converter.finish());
        prop_assert_eq!(said(Dialect::Messages, &out), score.said(), "{}", String::from_utf8_lossy(&out));
    }
}
