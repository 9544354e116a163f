//! Streamed answers of the usual shape, in each dialect: many small events, as vendors send them.

use std::fmt::Write;

use luthien_wire::Dialect;
use serde_json::{Value, json};

/// What an answer consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// One long text.
    Text,
    /// A sentence, then calls whose arguments come in fragments.
    Tools,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Text, Self::Tools];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Tools => "tools",
        }
    }
}

/// Tokens as models cut them; some need escapes.
const TOKENS: [&str; 12] = [
    "The",
    " quick",
    " brown",
    " fox",
    ",\n",
    " \"quoted\"",
    " caf\u{e9}",
    " jumps",
    " over",
    " the",
    " lazy",
    " dog.",
];

/// How many fragments a text has, how many calls an answer, and how many fragments each of them.
const TEXT: usize = 2000;
const CALLS: usize = 12;
const FRAGMENTS: usize = 160;

/// The answer's bytes: some hundred kilobytes.
pub(crate) fn answer(dialect: Dialect, shape: Shape) -> Vec<u8> {
    let mut out = String::new();
    let texts = match shape {
        Shape::Text => TEXT,
        Shape::Tools => 12,
    };
    let calls = match shape {
        Shape::Text => 0,
        Shape::Tools => CALLS,
    };
    let words = |count: usize| TOKENS.into_iter().cycle().take(count);
    match dialect {
        Dialect::Messages => messages(&mut out, &words(texts).collect::<Vec<_>>(), calls),
        Dialect::Chat => chat(&mut out, &words(texts).collect::<Vec<_>>(), calls),
        Dialect::Responses => responses(&mut out, &words(texts).collect::<Vec<_>>(), calls),
    }
    out.into_bytes()
}

/// A call's arguments in fragments.
fn arguments() -> Vec<String> {
    let inside = (0..FRAGMENTS).map(|at| format!("word{at} \\n"));
    std::iter::once("{\"content\":\"".to_owned()).chain(inside).chain(["\"}".to_owned()]).collect()
}

/// An event whose name is its data's type.
fn named(out: &mut String, data: &Value) {
    let _ = write!(out, "event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
}

fn messages(out: &mut String, texts: &[&str], calls: usize) {
    let usage = json!({"input_tokens": 2048, "cache_read_input_tokens": 1024, "output_tokens": 1});
    let message = json!({"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
    named(out, &json!({"type": "message_start", "message": message}));
    named(out, &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    named(out, &json!({"type": "ping"}));
    for text in texts {
        named(out, &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
    }
    named(out, &json!({"type": "content_block_stop", "index": 0}));
    for call in 1..=calls {
        let block = json!({"type": "tool_use", "id": format!("toolu_01T1x1fJ34qAmk2tNTrN7Up{call}"), "name": "Write", "input": {}});
        named(out, &json!({"type": "content_block_start", "index": call, "content_block": block}));
        for part in arguments() {
            named(
                out,
                &json!({"type": "content_block_delta", "index": call, "delta": {"type": "input_json_delta", "partial_json": part}}),
            );
        }
        named(out, &json!({"type": "content_block_stop", "index": call}));
    }
    let reason = if calls > 0 { "tool_use" } else { "end_turn" };
    named(
        out,
        &json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 2003}}),
    );
    named(out, &json!({"type": "message_stop"}));
}

fn chat(out: &mut String, texts: &[&str], calls: usize) {
    let mut chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        let data = json!({"id": "chatcmpl-CdR7vQ0mNxK2sYbT", "object": "chat.completion.chunk", "created": 1_790_412_077, "model": "gpt-5", "choices": choices});
        let _ = write!(out, "data: {data}\n\n");
    };
    chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    for text in texts {
        chunk(json!({"content": text}), Value::Null);
    }
    for call in 0..calls {
        let function = json!({"name": "write", "arguments": ""});
        let begun = json!({"index": call, "id": format!("call_kD8sW2mQxZ0vT5rYbN7pLc{call}"), "type": "function", "function": function});
        chunk(json!({"tool_calls": [begun]}), Value::Null);
        for part in arguments() {
            chunk(json!({"tool_calls": [{"index": call, "function": {"arguments": part}}]}), Value::Null);
        }
    }
    chunk(json!({}), if calls > 0 { "tool_calls" } else { "stop" }.into());
    out.push_str("data: [DONE]\n\n");
}

fn responses(out: &mut String, texts: &[&str], calls: usize) {
    let mut number = 0;
    let mut event = |mut data: Value| {
        data["sequence_number"] = number.into();
        number += 1;
        named(out, &data);
    };
    let response = |status: &str, output: &Value| json!({"id": "resp_0a1b2c3d4e5f", "object": "response", "created_at": 1_790_412_077, "model": "gpt-5-codex", "status": status, "output": output});
    event(json!({"type": "response.created", "response": response("in_progress", &json!([]))}));
    event(json!({"type": "response.in_progress", "response": response("in_progress", &json!([]))}));
    let id = "msg_0a1b2c3d4e5f";
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let message = |status: &str, content: Value| json!({"id": id, "type": "message", "role": "assistant", "status": status, "content": content});
    let whole = texts.concat();
    let at = json!({"item_id": id, "output_index": 0, "content_index": 0});
    let with = |kind: &str, more: &Value| {
        let mut data = json!({"type": kind});
        for members in [&at, more] {
            for (key, value) in members.as_object().into_iter().flatten() {
                data[key] = value.clone();
            }
        }
        data
    };
    event(json!({"type": "response.output_item.added", "output_index": 0, "item": message("in_progress", json!([]))}));
    event(with("response.content_part.added", &json!({"part": part("")})));
    for text in texts {
        event(with("response.output_text.delta", &json!({"delta": text})));
    }
    event(with("response.output_text.done", &json!({"text": whole})));
    event(with("response.content_part.done", &json!({"part": part(&whole)})));
    let mut output = vec![message("completed", json!([part(&whole)]))];
    event(json!({"type": "response.output_item.done", "output_index": 0, "item": output[0]}));
    for call in 1..=calls {
        let id = format!("fc_0a1b2c3d4e5f{call}");
        let item = |status: &str, arguments: &str| json!({"id": id, "type": "function_call", "status": status, "call_id": format!("call_kD8sW2mQ{call}"), "name": "write", "arguments": arguments});
        event(json!({"type": "response.output_item.added", "output_index": call, "item": item("in_progress", "")}));
        for part in arguments() {
            event(
                json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": call, "delta": part}),
            );
        }
        let whole = arguments().concat();
        event(
            json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": call, "arguments": whole}),
        );
        output.push(item("completed", &whole));
        event(json!({"type": "response.output_item.done", "output_index": call, "item": output[call]}));
    }
    event(json!({"type": "response.completed", "response": response("completed", &json!(output))}));
}
