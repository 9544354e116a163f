//! An answer in Anthropic Messages.

use bytes::Bytes;
use luthien_wire::sse::Frame;
use luthien_wire::{Dialect, SoFar};
use serde_json::{Map, Value, json};

use super::{Answer, Piece, deltas};
use crate::asked::Asked;
use crate::reply::Step;

/// The stream, a step for each frame.
pub(super) fn steps(answer: &Answer, asked: &Asked) -> Vec<Step> {
    let mut stream = Stream { steps: Vec::new(), open: None, next: 0, calls: 0, tag: asked.tag(), delta: answer.delta };
    stream.event(&json!({"type": "message_start", "message": message(asked, &[], None, &usage(asked, 1))}));
    for piece in &answer.pieces {
        if !stream.piece(piece) {
            return stream.steps;
        }
    }
    stream.close();
    stream.event(&json!({
        "type": "message_delta",
        "delta": {"stop_reason": answer.reason(), "stop_sequence": null},
        "usage": {"output_tokens": answer.tokens()},
    }));
    stream.event(&json!({"type": "message_stop"}));
    stream.steps
}

/// The unstreamed answer.
pub(super) fn whole(answer: &Answer, asked: &Asked) -> Value {
    let mut content: Vec<Value> = Vec::new();
    let mut inputs: Vec<(usize, String)> = Vec::new();
    let mut in_text = false;
    for piece in &answer.pieces {
        let was_text = std::mem::replace(&mut in_text, matches!(piece, Piece::Text(_)));
        match piece {
            Piece::Text(text) => match content.last_mut() {
                Some(last) if was_text => {
                    let text = format!("{}{text}", last["text"].as_str().unwrap_or_default());
                    last["text"] = text.into();
                }
                _ => content.push(json!({"type": "text", "text": text})),
            },
            Piece::Thinking { text, signature } => {
                content.push(json!({"type": "thinking", "thinking": text, "signature": signature}));
            }
            Piece::Tool { id, name } => {
                let id = id.clone().unwrap_or_else(|| call_id(&asked.tag(), inputs.len()));
                inputs.push((content.len(), String::new()));
                content.push(json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
            }
            Piece::Input(json) => {
                if let Some((_, input)) = inputs.last_mut() {
                    input.push_str(json);
                }
            }
            Piece::Custom { id, name, input } => {
                let id = id.clone().unwrap_or_else(|| call_id(&asked.tag(), inputs.len()));
                inputs.push((content.len(), json!({"input": input}).to_string()));
                content.push(json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
            }
            // What only a stream has does not part two texts.
            Piece::Ping | Piece::Comment(_) | Piece::Raw(_) | Piece::Hold(_) => in_text = was_text,
            Piece::Break | Piece::Error { .. } | Piece::End(_) => {}
        }
    }
    for (at, input) in inputs {
        content[at]["input"] = serde_json::from_str(&input).unwrap_or_else(|_| Value::Object(Map::new()));
    }
    message(asked, &content, Some(answer.reason()), &usage(asked, answer.tokens()))
}

fn message(asked: &Asked, content: &[Value], stop: Option<&str>, usage: &Value) -> Value {
    json!({
        "id": format!("msg_01Script{}", asked.tag()),
        "type": "message",
        "role": "assistant",
        "model": asked.model(),
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": usage,
    })
}

fn usage(asked: &Asked, output: usize) -> Value {
    json!({
        "input_tokens": asked.body.len() / 4,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn call_id(tag: &str, number: usize) -> String {
    format!("toolu_01Script{tag}{number:02}")
}

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Text,
    Tool,
}

struct Stream {
    steps: Vec<Step>,
    open: Option<Open>,
    next: usize,
    calls: usize,
    tag: String,
    delta: usize,
}

impl Stream {
    /// Plays one piece; `false` when the stream ends with it.
    fn piece(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Text(text) => {
                if self.open != Some(Open::Text) {
                    self.start(&json!({"type": "text", "text": ""}));
                    self.open = Some(Open::Text);
                }
                for text in deltas(text, self.delta) {
                    self.send(&json!({"type": "text_delta", "text": text}));
                }
            }
            Piece::Thinking { text, signature } => {
                self.start(&json!({"type": "thinking", "thinking": "", "signature": ""}));
                for thinking in deltas(text, self.delta) {
                    self.send(&json!({"type": "thinking_delta", "thinking": thinking}));
                }
                self.send(&json!({"type": "signature_delta", "signature": signature}));
                self.stop();
            }
            Piece::Tool { id, name } => self.call(id.clone(), name),
            Piece::Input(json) => self.input(json),
            Piece::Custom { id, name, input } => {
                self.call(id.clone(), name);
                self.input(&json!({"input": input}).to_string());
            }
            Piece::Break => self.close(),
            Piece::Ping => self.bytes(Dialect::Messages.ping_frame(None)),
            Piece::Comment(text) => self.bytes(format!(": {text}\n\n").into()),
            Piece::Raw(bytes) => self.bytes(bytes.clone()),
            Piece::Hold(gate) => self.steps.push(Step::Wait(gate.clone())),
            Piece::Error { kind, message } => {
                self.bytes(Dialect::Messages.error_frame(kind, message, "req_scripted", SoFar::default()));
                return false;
            }
            Piece::End(how) => {
                self.steps.extend(how.clone());
                return false;
            }
        }
        true
    }

    fn call(&mut self, id: Option<String>, name: &str) {
        let id = id.unwrap_or_else(|| call_id(&self.tag, self.calls));
        self.calls += 1;
        self.start(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
        self.open = Some(Open::Tool);
        self.send(&json!({"type": "input_json_delta", "partial_json": ""}));
    }

    fn input(&mut self, json: &str) {
        for part in deltas(json, self.delta) {
            self.send(&json!({"type": "input_json_delta", "partial_json": part}));
        }
    }

    fn start(&mut self, block: &Value) {
        self.close();
        self.event(&json!({"type": "content_block_start", "index": self.next, "content_block": block}));
        self.next += 1;
    }

    fn send(&mut self, delta: &Value) {
        self.event(&json!({"type": "content_block_delta", "index": self.next.saturating_sub(1), "delta": delta}));
    }

    fn stop(&mut self) {
        self.event(&json!({"type": "content_block_stop", "index": self.next.saturating_sub(1)}));
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.stop();
        }
    }

    fn event(&mut self, data: &Value) {
        self.bytes(Frame::write(data["type"].as_str().unwrap_or_default(), &data.to_string()));
    }

    fn bytes(&mut self, bytes: Bytes) {
        self.steps.push(Step::Send(bytes));
    }
}
