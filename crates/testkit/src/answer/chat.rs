//! An answer in OpenAI Chat Completions.

use bytes::Bytes;
use luthien_wire::sse::Frame;
use luthien_wire::{Dialect, SoFar};
use serde_json::{Value, json};

use super::{Answer, Piece, deltas};
use crate::asked::Asked;
use crate::reply::Step;

/// When every answer says it was made.
const CREATED: u64 = 1_790_000_000;

/// The stream, a step for each frame.
pub(super) fn steps(answer: &Answer, asked: &Asked) -> Vec<Step> {
    let mut stream = Stream { steps: Vec::new(), asked, calls: 0, delta: answer.delta };
    stream.send(&json!({"role": "assistant", "content": "", "refusal": null}));
    for piece in &answer.pieces {
        if !stream.piece(piece) {
            return stream.steps;
        }
    }
    stream.chunk(&json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason(answer)}]), None);
    if asked.include_usage() {
        stream.chunk(&json!([]), Some(usage(answer, asked)));
    }
    stream.steps.push(Step::Send(Bytes::from_static(b"data: [DONE]\n\n")));
    stream.steps
}

/// The unstreamed answer.
pub(super) fn whole(answer: &Answer, asked: &Asked) -> Value {
    let mut content: Option<String> = None;
    let mut reasoning: Option<String> = None;
    let mut calls: Vec<Value> = Vec::new();
    for piece in &answer.pieces {
        match piece {
            Piece::Text(text) => content.get_or_insert_default().push_str(text),
            Piece::Thinking { text, .. } => reasoning.get_or_insert_default().push_str(text),
            Piece::Tool { id, name } => {
                let id = id.clone().unwrap_or_else(|| call_id(asked, calls.len()));
                calls.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}}));
            }
            Piece::Input(json) => {
                if let Some(Value::String(arguments)) = calls.last_mut().map(|call| &mut call["function"]["arguments"])
                {
                    arguments.push_str(json);
                }
            }
            Piece::Custom { id, name, input } => {
                let id = id.clone().unwrap_or_else(|| call_id(asked, calls.len()));
                calls.push(json!({"id": id, "type": "custom", "custom": {"name": name, "input": input}}));
            }
            _ => {}
        }
    }
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if let Some(reasoning) = reasoning {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": id(asked),
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model(),
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason(answer)}],
        "usage": usage(answer, asked),
        "service_tier": "default",
        "system_fingerprint": "fp_script",
    })
}

fn id(asked: &Asked) -> String {
    format!("chatcmpl-Script{}", asked.tag())
}

fn call_id(asked: &Asked, number: usize) -> String {
    format!("call_Script{}{number:02}", asked.tag())
}

fn reason(answer: &Answer) -> &str {
    match answer.reason() {
        "end_turn" | "stop_sequence" => "stop",
        "tool_use" => "tool_calls",
        "max_tokens" => "length",
        "refusal" => "content_filter",
        other => other,
    }
}

fn usage(answer: &Answer, asked: &Asked) -> Value {
    let (prompt, completion) = (asked.body.len() / 4, answer.tokens());
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

struct Stream<'a> {
    steps: Vec<Step>,
    asked: &'a Asked,
    calls: usize,
    delta: usize,
}

impl Stream<'_> {
    /// Plays one piece; `false` when the stream ends with it.
    fn piece(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Text(text) => {
                for content in deltas(text, self.delta) {
                    self.send(&json!({"content": content}));
                }
            }
            Piece::Thinking { text, .. } => {
                for thought in deltas(text, self.delta) {
                    self.send(&json!({"reasoning_content": thought}));
                }
            }
            Piece::Tool { id, name } => {
                let id = id.clone().unwrap_or_else(|| call_id(self.asked, self.calls));
                let function = json!({"name": name, "arguments": ""});
                self.send(&json!({
                    "tool_calls": [{"index": self.calls, "id": id, "type": "function", "function": function}],
                }));
                self.calls += 1;
            }
            Piece::Input(json) => {
                for arguments in deltas(json, self.delta) {
                    let index = self.calls.saturating_sub(1);
                    self.send(&json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}));
                }
            }
            Piece::Custom { id, name, input } => {
                let id = id.clone().unwrap_or_else(|| call_id(self.asked, self.calls));
                let (index, custom) = (self.calls, json!({"name": name, "input": ""}));
                self.send(&json!({"tool_calls": [{"index": index, "id": id, "type": "custom", "custom": custom}]}));
                self.calls += 1;
                for input in deltas(input, self.delta) {
                    self.send(&json!({"tool_calls": [{"index": index, "custom": {"input": input}}]}));
                }
            }
            Piece::Break => {}
            Piece::Ping => self.steps.push(Step::Send(Dialect::Chat.ping_frame(None))),
            Piece::Comment(text) => self.steps.push(Step::Send(format!(": {text}\n\n").into())),
            Piece::Raw(bytes) => self.steps.push(Step::Send(bytes.clone())),
            Piece::Hold(gate) => self.steps.push(Step::Wait(gate.clone())),
            Piece::Error { kind, message } => {
                let frame = Dialect::Chat.error_frame(kind, message, "req_scripted", SoFar::default());
                self.steps.push(Step::Send(frame));
                return false;
            }
            Piece::End(how) => {
                self.steps.extend(how.clone());
                return false;
            }
        }
        true
    }

    fn send(&mut self, delta: &Value) {
        self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]), None);
    }

    fn chunk(&mut self, choices: &Value, usage: Option<Value>) {
        let mut chunk = json!({
            "id": id(self.asked),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.asked.model(),
            "service_tier": "default",
            "system_fingerprint": "fp_script",
            "choices": choices,
        });
        if self.asked.include_usage() {
            chunk["usage"] = usage.unwrap_or_default();
        }
        self.steps.push(Step::Send(Frame::write("", &chunk.to_string())));
    }
}
