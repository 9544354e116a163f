//! An answer in OpenAI Responses.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::Frame;
use serde_json::{Map, Value, json};

use super::{Answer, Piece, deltas};
use crate::asked::Asked;
use crate::reply::Step;

/// When every answer says it was made.
const CREATED: u64 = 1_790_000_000;

/// The stream, a step for each frame.
pub(super) fn steps(answer: &Answer, asked: &Asked) -> Vec<Step> {
    let mut stream = Stream::new(answer, asked);
    let first =
        if asked.background() { &["created", "queued", "in_progress"][..] } else { &["created", "in_progress"] };
    for (number, kind) in first.iter().enumerate() {
        let last = number + 1 == first.len();
        let response = stream.response(if asked.background() && !last { "queued" } else { "in_progress" });
        stream.event(&format!("response.{kind}"), json!({"response": response}));
    }
    for piece in &answer.pieces {
        if !stream.piece(piece) {
            return stream.steps;
        }
    }
    stream.close(stream.status());
    let status = stream.status();
    let response = stream.response(status);
    stream.event(&format!("response.{status}"), json!({"response": response}));
    stream.steps
}

/// The unstreamed answer.
pub(super) fn whole(answer: &Answer, asked: &Asked) -> Value {
    let mut stream = Stream::new(answer, asked);
    for piece in &answer.pieces {
        if !stream.piece(piece) {
            break;
        }
    }
    stream.close(stream.status());
    stream.response(stream.status())
}

/// The response that an upstream gives at once where it is to work in the background.
pub(super) fn queued(answer: &Answer, asked: &Asked) -> Value {
    Stream::new(answer, asked).response("queued")
}

/// What is being said.
enum Open {
    Text { id: String, text: String },
    Call { item: Value, field: &'static str, text: String },
}

struct Stream<'a> {
    answer: &'a Answer,
    asked: &'a Asked,
    steps: Vec<Step>,
    /// The number of the next event.
    number: u64,
    /// The items that are finished.
    output: Vec<Value>,
    open: Option<Open>,
    calls: usize,
}

impl<'a> Stream<'a> {
    fn new(answer: &'a Answer, asked: &'a Asked) -> Self {
        Self { answer, asked, steps: Vec::new(), number: 0, output: Vec::new(), open: None, calls: 0 }
    }

    /// Plays one piece; `false` when the stream ends with it.
    fn piece(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Text(text) => self.text(text),
            Piece::Thinking { text, signature } => self.reasoning(text, signature),
            Piece::Tool { id, name } => {
                self.call(id.as_deref(), "function_call", "fc", name, "arguments");
            }
            Piece::Input(json) => self.input(json),
            Piece::Custom { id, name, input } => {
                self.call(id.as_deref(), "custom_tool_call", "ctc", name, "input");
                self.input(input);
                self.close("completed");
            }
            Piece::Break => self.close("completed"),
            Piece::Ping => self.bytes(Dialect::Responses.ping_frame(self.number.checked_sub(1))),
            Piece::Comment(text) => self.bytes(format!(": {text}\n\n").into()),
            Piece::Raw(bytes) => self.bytes(bytes.clone()),
            Piece::Hold(gate) => self.steps.push(Step::Wait(gate.clone())),
            Piece::Error { kind, message } => {
                let mut response = self.response("failed");
                response["error"] = json!({"code": kind, "message": message});
                self.event("response.failed", json!({"response": response}));
                return false;
            }
            Piece::End(how) => {
                self.steps.extend(how.clone());
                return false;
            }
        }
        true
    }

    fn text(&mut self, text: &str) {
        if !matches!(self.open, Some(Open::Text { .. })) {
            self.close("completed");
            let id = self.id("msg");
            self.added(&message(&id, &[], "in_progress"));
            self.part("response.content_part.added", &id, "");
            self.open = Some(Open::Text { id, text: String::new() });
        }
        let Some(Open::Text { id, text: said }) = &mut self.open else { return };
        said.push_str(text);
        let id = id.clone();
        for delta in deltas(text, self.answer.delta) {
            let at = self.output.len();
            self.event(
                "response.output_text.delta",
                json!({"item_id": id, "output_index": at, "content_index": 0, "delta": delta, "logprobs": []}),
            );
        }
    }

    fn reasoning(&mut self, text: &str, signature: &str) {
        self.close("completed");
        let (id, at) = (self.id("rs"), self.output.len());
        let mut item = json!({"id": id, "type": "reasoning", "summary": []});
        if self.asked.includes("reasoning.encrypted_content") {
            item["encrypted_content"] = signature.into();
        }
        self.added(&item);
        if !text.is_empty() {
            let place = |more: Value| with(json!({"item_id": id, "output_index": at, "summary_index": 0}), more);
            let part = |text: &str| json!({"type": "summary_text", "text": text});
            self.event("response.reasoning_summary_part.added", place(json!({"part": part("")})));
            for delta in deltas(text, self.answer.delta) {
                self.event("response.reasoning_summary_text.delta", place(json!({"delta": delta})));
            }
            self.event("response.reasoning_summary_text.done", place(json!({"text": text})));
            self.event("response.reasoning_summary_part.done", place(json!({"part": part(text)})));
            item["summary"] = json!([part(text)]);
        }
        self.done(item);
    }

    fn call(&mut self, call_id: Option<&str>, kind: &str, prefix: &str, name: &str, field: &'static str) {
        self.close("completed");
        let call_id =
            call_id.map_or_else(|| format!("call_Script{}{:02}", self.asked.tag(), self.calls), str::to_owned);
        self.calls += 1;
        let mut item =
            json!({"id": self.id(prefix), "type": kind, "status": "in_progress", "call_id": call_id, "name": name});
        item[field] = "".into();
        self.added(&item);
        self.open = Some(Open::Call { item, field, text: String::new() });
    }

    fn input(&mut self, input: &str) {
        let Some(Open::Call { item, field, text }) = &mut self.open else { return };
        text.push_str(input);
        let (id, kind) = (item["id"].clone(), event_of(field));
        for delta in deltas(input, self.answer.delta) {
            let at = self.output.len();
            self.event(&format!("{kind}.delta"), json!({"item_id": id, "output_index": at, "delta": delta}));
        }
    }

    /// Finishes what is being said.
    fn close(&mut self, status: &str) {
        match self.open.take() {
            None => {}
            Some(Open::Text { id, text }) => {
                let at = self.output.len();
                self.event(
                    "response.output_text.done",
                    json!({"item_id": id, "output_index": at, "content_index": 0, "text": text, "logprobs": []}),
                );
                self.part("response.content_part.done", &id, &text);
                self.done(message(&id, &[text_part(&text)], status));
            }
            Some(Open::Call { mut item, field, text }) => {
                let mut done = json!({"item_id": item["id"], "output_index": self.output.len()});
                done[field] = text.as_str().into();
                self.event(&format!("{}.done", event_of(field)), done);
                item[field] = text.into();
                item["status"] = status.into();
                self.done(item);
            }
        }
    }

    fn added(&mut self, item: &Value) {
        let at = self.output.len();
        self.event("response.output_item.added", json!({"output_index": at, "item": item}));
    }

    fn done(&mut self, item: Value) {
        let at = self.output.len();
        self.event("response.output_item.done", json!({"output_index": at, "item": item}));
        self.output.push(item);
    }

    fn part(&mut self, kind: &str, id: &str, text: &str) {
        let at = self.output.len();
        let part = text_part(text);
        self.event(kind, json!({"item_id": id, "output_index": at, "content_index": 0, "part": part}));
    }

    fn event(&mut self, kind: &str, fields: Value) {
        let data = with(json!({"type": kind, "sequence_number": self.number}), fields);
        self.number += 1;
        self.bytes(Frame::write(kind, &data.to_string()));
    }

    fn bytes(&mut self, bytes: Bytes) {
        self.steps.push(Step::Send(bytes));
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_Script{}{:02}", self.asked.tag(), self.output.len())
    }

    fn incomplete(&self) -> Option<&'static str> {
        match self.answer.reason() {
            "max_tokens" | "model_context_window_exceeded" => Some("max_output_tokens"),
            "refusal" => Some("content_filter"),
            _ => None,
        }
    }

    fn status(&self) -> &'static str {
        if self.incomplete().is_some() { "incomplete" } else { "completed" }
    }

    fn response(&self, status: &str) -> Value {
        let asked = self.asked.value();
        let or = |field: &str, other: Value| match &asked[field] {
            Value::Null => other,
            value => value.clone(),
        };
        let ended = matches!(status, "completed" | "incomplete");
        json!({
            "id": self.asked.response_id(),
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": or("background", false.into()),
            "error": null,
            "incomplete_details": self.incomplete().filter(|_| ended).map(|reason| json!({"reason": reason})),
            "instructions": asked["instructions"],
            "max_output_tokens": asked["max_output_tokens"],
            "max_tool_calls": null,
            "model": self.asked.model(),
            "output": self.output,
            "parallel_tool_calls": or("parallel_tool_calls", true.into()),
            "previous_response_id": asked["previous_response_id"],
            "prompt_cache_key": asked["prompt_cache_key"],
            "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
            "safety_identifier": null,
            "service_tier": if ended { "default" } else { "auto" },
            "store": or("store", true.into()),
            "temperature": or("temperature", 1.0.into()),
            "text": or("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
            "tool_choice": or("tool_choice", "auto".into()),
            "tools": or("tools", json!([])),
            "top_logprobs": 0,
            "top_p": or("top_p", 1.0.into()),
            "truncation": "disabled",
            "usage": ended.then(|| self.usage()),
            "user": null,
            "metadata": or("metadata", json!({})),
        })
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.asked.body.len() / 4, self.answer.tokens());
        json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + output,
        })
    }
}

fn message(id: &str, content: &[Value], status: &str) -> Value {
    json!({"id": id, "type": "message", "status": status, "content": content, "role": "assistant"})
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

/// The events that carry the field in which a call keeps what it is called with.
fn event_of(field: &str) -> &'static str {
    match field {
        "arguments" => "response.function_call_arguments",
        _ => "response.custom_tool_call_input",
    }
}

/// `fields` with `more` behind them.
fn with(fields: Value, more: Value) -> Value {
    let object = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut all = object(fields);
    all.extend(object(more));
    Value::Object(all)
}
