//! Log probabilities spell the text once more: those of a text that does not leave do not leave either.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::turn::{Block, BlockId};
use rstest::rstest;
use serde_json::{Value, json};

use super::numbered::Stream;
use super::support::*;
use crate::contract::*;

const TOKENS: [&str; 4] = ["The", " sec", "ret", " is"];

fn logprobs(tokens: &[&str]) -> Value {
    let one = |token: &&str| {
        let top = json!([{"token": token, "logprob": -0.5, "bytes": token.as_bytes()}]);
        json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes(), "top_logprobs": top})
    };
    tokens.iter().map(one).collect()
}

fn content(tokens: &[&str]) -> Value {
    json!({"content": logprobs(tokens), "refusal": null})
}

fn named((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

fn chunk(delta: Value, logprobs: Value, finish: Value) -> String {
    let mut choice = json!({"index": 0});
    choice
        .as_object_mut()
        .unwrap()
        .extend([("delta", delta), ("logprobs", logprobs), ("finish_reason", finish)].map(named));
    format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}))
}

/// Each token with its own.
fn chat_stream() -> String {
    let words: String = TOKENS.map(|token| chunk(json!({"content": token}), content(&[token]), Value::Null)).concat();
    let head = chunk(json!({"role": "assistant", "content": ""}), Value::Null, Value::Null);
    head + &words + &chunk(json!({}), Value::Null, "stop".into()) + "data: [DONE]\n\n"
}

/// They run ahead of the text, and the last chunks have the rest.
fn chat_stream_ahead() -> String {
    let head = chunk(json!({"role": "assistant", "content": ""}), content(&TOKENS[..3]), Value::Null);
    let words = chunk(json!({"content": "The sec"}), content(&["The", " sec", "ret"]), Value::Null)
        + &chunk(json!({"content": ""}), content(&["ret"]), Value::Null)
        + &chunk(json!({"content": "ret is"}), content(&["ret", " is"]), Value::Null);
    head + &words + &chunk(json!({}), content(&["ret"]), "stop".into()) + "data: [DONE]\n\n"
}

fn chat_whole() -> String {
    let message = json!({"role": "assistant", "content": TOKENS.concat()});
    let choice = json!({"index": 0, "message": message, "logprobs": content(&TOKENS), "finish_reason": "stop"});
    json!({"id": "c", "choices": [choice]}).to_string()
}

fn refusal_whole() -> String {
    let message = json!({"role": "assistant", "content": null, "refusal": TOKENS.concat()});
    let logprobs = json!({"content": null, "refusal": logprobs(&TOKENS)});
    let choice = json!({"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"});
    json!({"id": "c", "choices": [choice]}).to_string()
}

fn refusal_stream() -> String {
    let both = |token: &str| {
        let all = json!({"content": logprobs(&["ok"]), "refusal": logprobs(&[token])});
        chunk(json!({"content": "ok", "refusal": token}), all, Value::Null)
    };
    TOKENS.map(both).concat() + &chunk(json!({}), Value::Null, "stop".into()) + "data: [DONE]\n\n"
}

fn part(text: &str, tokens: &[&str]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs(tokens)})
}

fn message(content: &Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "content": content})
}

fn responses_stream() -> String {
    let place = |key: &str, value: Value, tokens: &[&str]| {
        let mut members = json!({"item_id": "msg_1", "content_index": 0, "logprobs": logprobs(tokens)});
        members[key] = value;
        members
    };
    let bare = |part: Value| json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part});
    let text = TOKENS.concat();
    let mut events = vec![("response.content_part.added", bare(part("", &[])))];
    events.extend(TOKENS.map(|token| ("response.output_text.delta", place("delta", token.into(), &[token]))));
    events.push(("response.output_text.done", place("text", text.clone().into(), &TOKENS)));
    events.push(("response.content_part.done", bare(part(&text, &TOKENS))));
    Stream::new().item(message(&json!([])), events, message(&json!([part(&text, &TOKENS)]))).done()
}

/// The closing events alone have them, with more than the text.
fn responses_stream_ahead() -> String {
    let text = "The is";
    let place = |key: &str, value: Value, tokens: &[&str]| {
        let mut members = json!({"item_id": "msg_1", "content_index": 0, "logprobs": logprobs(tokens)});
        members[key] = value;
        members
    };
    let bare = |part: Value| json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part});
    let events = vec![
        ("response.content_part.added", bare(part("", &TOKENS))),
        ("response.output_text.delta", place("delta", "The".into(), &TOKENS)),
        ("response.output_text.delta", place("delta", "".into(), &TOKENS[1..])),
        ("response.output_text.delta", place("delta", " is".into(), &TOKENS[1..])),
        ("response.output_text.done", place("text", text.into(), &TOKENS)),
        ("response.content_part.done", bare(part(text, &TOKENS))),
    ];
    Stream::new().item(message(&json!([part("", &TOKENS)])), events, message(&json!([part(text, &TOKENS)]))).done()
}

fn responses_whole() -> String {
    let output = json!([message(&json!([part(&TOKENS.concat(), &TOKENS)]))]);
    json!({"id": "resp_1", "status": "completed", "output": output}).to_string()
}

/// Lets go of words only when the next one has come, and says the secret otherwise.
#[derive(Default)]
struct Hides(Mutex<String>);

impl Review for Hides {
    fn text_delta(&self, _: BlockId, text: &str) -> Option<String> {
        let mut held = self.0.lock().unwrap();
        held.push_str(text);
        let words = held.replace("secret", "[x]");
        let at = words.rfind(' ').unwrap_or(words.len());
        *held = words[at..].to_owned();
        Some(words[..at].to_owned())
    }
    fn text_end(&self, _: BlockId) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn streamed() -> Scripted {
    let watch = Watch { text: TextWatch::Streamed, ..Watch::default() };
    Scripted { watch, review: Some(|| Box::new(Hides::default())), ..block_tool("none") }
}

fn on_text(watch: TextWatch, answer: fn(&str) -> Answer) -> Scripted {
    let script: Script = Arc::new(move |block| match block {
        Block::Text(text) => (1, Ok(answer(text))),
        _ => (0, Ok(Answer::pass())),
    });
    Scripted { watch: Watch { text: watch, ..Watch::default() }, script, ..block_tool("none") }
}

fn replaced() -> Scripted {
    on_text(TextWatch::Whole, |text| {
        let new = Block::Text(text.replace(" secret", " [x]"));
        Answer { action: Action::Replace(vec![new]), ..Answer::pass() }
    })
}

fn blocked() -> Scripted {
    on_text(TextWatch::Whole, |_| Answer::block("[no]"))
}

fn removed() -> Scripted {
    on_text(TextWatch::Whole, |_| Answer::block(""))
}

fn turn_blocked() -> Scripted {
    let script: Script = Arc::new(|_| (1, Ok(Answer::block("[no]"))));
    Scripted { watch: Watch { turn: true, ..Watch::default() }, script, ..block_tool("none") }
}

async fn judged(policy: Scripted, input: &str) -> String {
    let dialect = if input.contains("\"choices\"") { Dialect::Chat } else { Dialect::Responses };
    let opened = open(dialect, vec![(policy, Mode::Enforce)]);
    if input.starts_with('{') {
        let out = opened.reviews.whole(Bytes::copy_from_slice(input.as_bytes())).await;
        return String::from_utf8(out.body.to_vec()).unwrap();
    }
    run(&opened.reviews, input).await
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn no_token_of_a_text_that_does_not_leave_leaves(
    #[values(streamed, replaced, blocked, removed, turn_blocked)] policy: fn() -> Scripted,
    #[values(chat_stream, chat_stream_ahead, refusal_stream, responses_stream, responses_stream_ahead)]
    input: fn() -> String,
) {
    let out = judged(policy(), &input()).await;
    for token in [" sec", "ret"] {
        let bytes = json!(token.as_bytes()).to_string();
        assert!(!out.contains(&json!(token).to_string()) && !out.contains(&bytes), "{token}: {out}");
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn nor_does_one_of_a_whole_answer(
    #[values(replaced, blocked, removed, turn_blocked)] policy: fn() -> Scripted,
    #[values(chat_whole, refusal_whole, responses_whole)] input: fn() -> String,
) {
    let out = judged(policy(), &input()).await;
    assert!(!out.contains("ret\"") && !out.contains("114,101,116"), "{out}");
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn those_of_a_text_that_is_allowed_leave_as_they_came(
    #[values(chat_stream, chat_whole, refusal_whole, responses_stream, responses_whole)] input: fn() -> String,
) {
    let input = input();
    let allowed = on_text(TextWatch::Whole, |_| Answer::pass());
    assert_eq!(judged(allowed, &input).await, input);
    assert_eq!(judged(block_tool("other"), &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn those_of_a_withheld_call_stay_behind() {
    let call = json!([{"index": 0, "id": "c", "type": "function", "function": {"name": "bad", "arguments": "{}"}}]);
    let input = chunk(json!({"content": "so"}), content(&["so", "bad"]), Value::Null)
        + &chunk(json!({"tool_calls": call}), content(&["bad", "{}"]), Value::Null)
        + &chunk(json!({}), content(&["bad"]), "tool_calls".into())
        + "data: [DONE]\n\n";
    let out = judged(calls(|_| Answer::block("[no]")), &input).await;
    assert!(out.contains("[no]") && !out.contains("\"bad\"") && !out.contains("\"{}\""), "{out}");
    let message = json!({"role": "assistant", "content": "so", "tool_calls": call});
    let choice = json!({"index": 0, "message": message, "logprobs": content(&["so", "bad"]), "finish_reason": "stop"});
    let whole = json!({"id": "c", "choices": [choice]}).to_string();
    let out = judged(calls(|_| Answer::block("")), &whole).await;
    assert!(out.contains("\"so\"") && !out.contains("bad"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn in_shadow_nothing_is_taken_out() {
    let input = chat_stream_ahead();
    let shadow = open(Dialect::Chat, vec![(blocked(), Mode::Shadow)]);
    assert_eq!(run(&shadow.reviews, &input).await, input);
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_passes_says_no_more_in_them_than_its_text() {
    let message = json!({"role": "assistant", "content": "so"});
    let choice = json!({"index": 0, "message": message, "logprobs": content(&["so", "bad"]), "finish_reason": "stop"});
    let whole = json!({"id": "c", "choices": [choice]}).to_string();
    let out = judged(on_text(TextWatch::Whole, |_| Answer::pass()), &whole).await;
    assert!(out.contains("\"so\"") && !out.contains("bad"), "{out}");
}
