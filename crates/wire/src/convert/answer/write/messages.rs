//! Writes Anthropic Messages.

use bytes::BytesMut;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::names::Names;
use super::{messages_text, put, put_text};
use crate::convert::AnswerContext;
use crate::convert::answer::build::{Answer, Block};
use crate::convert::answer::event::{Delta, Event, Head, Kind, Stop, Usage};
use crate::convert::answer::thought::Thought;
use crate::convert::answer::usage::as_messages;
use crate::convert::errors::Failure;
use crate::convert::search::{self, Found};

/// White space before a text is kept up to here, in case a text follows.
const MAX_BLANK: usize = 64 << 10;

/// The writer of a stream.
#[derive(Debug)]
pub(in crate::convert::answer) struct Writer {
    context: AnswerContext,
    headed: bool,
    index: u64,
    open: Open,
    called: bool,
    refused: bool,
    usage: Usage,
    stop: Option<Stop>,
}

#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// A text that has said nothing yet: no block is opened for white space.
    Blank(String),
    Text,
    Thinking(Thought),
    Call,
    /// A search that the vendor runs, by its id.
    Search(String, Option<Found>),
}

impl Writer {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self {
            context,
            headed: false,
            index: 0,
            open: Open::Nothing,
            called: false,
            refused: false,
            usage: Usage::default(),
            stop: None,
        }
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut) {
        match event {
            Event::Head(head) => self.head(&head, out),
            Event::Start(_, kind) => self.start(kind, out),
            Event::Delta(_, delta) => self.delta(&delta, out),
            Event::End(_) => self.end(out),
            Event::Usage(usage) => self.usage.add(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Done => self.done(out),
            Event::Failure(_) | Event::Cut | Event::Dropped(_) => {}
        }
    }

    pub(super) fn failure(&mut self, failure: &Failure, out: &mut BytesMut) {
        let data = json!({"type": "error", "error": failure.messages(), "request_id": self.context.id});
        put(out, "error", &data.to_string());
    }

    fn head(&mut self, head: &Head, out: &mut BytesMut) {
        if std::mem::replace(&mut self.headed, true) {
            return;
        }
        self.usage.add(head.usage);
        let names = Names::new(&self.context, head);
        let message = json!({
            "id": names.id, "type": "message", "role": "assistant", "model": names.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": as_messages(self.usage),
        });
        put(out, "message_start", &json!({"type": "message_start", "message": message}).to_string());
    }

    fn start(&mut self, kind: Kind, out: &mut BytesMut) {
        self.refused |= kind == Kind::Refusal;
        match kind {
            Kind::Text | Kind::Refusal => self.open = Open::Blank(String::new()),
            Kind::Thinking => {
                self.block(&json!({"type": "thinking", "thinking": "", "signature": ""}), out);
                self.open = Open::Thinking(Thought::default());
            }
            Kind::Search { id } => {
                self.block(&search::call(&id, &json!({})), out);
                self.open = Open::Search(id, None);
            }
            Kind::Call { id, name, .. } => {
                self.block(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
                self.called = true;
                self.open = Open::Call;
            }
        }
    }

    fn block(&mut self, block: &Value, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        let data = json!({"type": "content_block_start", "index": self.index, "content_block": block});
        put(out, "content_block_start", &data.to_string());
    }

    /// A delta of type `kind` whose member `name` is `text`.
    fn text(&self, kind: &str, name: &str, text: &str, out: &mut BytesMut) {
        let index = self.index;
        let before =
            format!("{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{name}\":");
        put_text(out, "content_block_delta", &before, text, "}}");
    }

    fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match (&mut self.open, delta) {
            (Open::Blank(blank), Delta::Text(more)) => {
                blank.push_str(more);
                if more.trim().is_empty() && blank.len() < MAX_BLANK {
                    return;
                }
                let text = std::mem::take(blank);
                self.block(&json!({"type": "text", "text": ""}), out);
                self.open = Open::Text;
                self.text("text_delta", "text", &text, out);
            }
            (Open::Text, Delta::Text(more)) => self.text("text_delta", "text", more, out),
            (Open::Thinking(thought), delta) => {
                thought.add(delta);
                if let Delta::Text(more) = delta {
                    self.text("thinking_delta", "thinking", more, out);
                }
            }
            (Open::Text, Delta::Citation(source)) => {
                let delta = json!({"type": "citations_delta", "citation": source.as_messages(0)});
                let data = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
                put(out, "content_block_delta", &data.to_string());
            }
            (Open::Call | Open::Search(..), Delta::Arguments(more)) => {
                self.text("input_json_delta", "partial_json", more, out);
            }
            (Open::Search(_, found), Delta::Found(told)) => *found = Some(told.clone()),
            _ => {}
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        match std::mem::take(&mut self.open) {
            Open::Nothing | Open::Blank(_) => return,
            Open::Thinking(thought) => {
                let signature = thought.sealed(self.context.from);
                self.text("signature_delta", "signature", &signature, out);
            }
            Open::Search(id, found) => {
                self.stop_block(out);
                self.block(&result(&id, found.as_ref()), out);
            }
            Open::Text | Open::Call => {}
        }
        self.stop_block(out);
    }

    fn stop_block(&mut self, out: &mut BytesMut) {
        put(out, "content_block_stop", &json!({"type": "content_block_stop", "index": self.index}).to_string());
        self.index += 1;
    }

    fn done(&mut self, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        let stop = stopped(self.stop.take().unwrap_or(Stop::End), self.called, self.refused);
        let data = json!({"type": "message_delta", "delta": stop, "usage": as_messages(self.usage)});
        put(out, "message_delta", &data.to_string());
        put(out, "message_stop", r#"{"type":"message_stop"}"#);
    }
}

/// `stop_reason` and what belongs to it.
fn stopped(stop: Stop, called: bool, refused: bool) -> Value {
    let reason = match &stop {
        Stop::MaxTokens => "max_tokens",
        Stop::ContextFull => "model_context_window_exceeded",
        Stop::Refusal { .. } => "refusal",
        Stop::Pause => "pause_turn",
        _ if called => "tool_use",
        Stop::Sequence(_) => "stop_sequence",
        Stop::End | Stop::ToolUse | Stop::Other(_) if refused => "refusal",
        Stop::End | Stop::ToolUse | Stop::Other(_) => "end_turn",
    };
    let mut out = json!({"stop_reason": reason, "stop_sequence": null});
    match stop {
        Stop::Sequence(sequence) if reason == "stop_sequence" => out["stop_sequence"] = sequence.into(),
        Stop::Refusal { category, explanation } => {
            out["stop_details"] = json!({"type": "refusal", "category": category, "explanation": explanation});
        }
        _ if reason == "refusal" => {
            out["stop_details"] = json!({"type": "refusal", "category": null, "explanation": null});
        }
        _ => {}
    }
    out
}

/// A whole message. Texts go in front of the first call: behind it no client takes them.
pub(super) fn whole(context: &AnswerContext, answer: Answer) -> String {
    let (called, refused) = (answer.called(), answer.refused());
    let names = Names::new(context, &answer.head);
    let first_call = answer.blocks.iter().position(|block| block.kind.is_call()).unwrap_or(answer.blocks.len());
    let is_text = |block: &Block| matches!(block.kind, Kind::Text | Kind::Refusal);
    let (before, after) = answer.blocks.split_at(first_call);
    let ordered =
        before.iter().chain(after.iter().filter(|block| is_text(block))).chain(after.iter().filter(|b| !is_text(b)));
    let content: Vec<String> = ordered.flat_map(|block| content_blocks(context, block)).collect();
    let mut message = json!({"id": names.id, "type": "message", "role": "assistant", "model": names.model});
    // Put in as text below, so that a call's input stays letter for letter.
    message["content"] = Value::Null;
    if let (Value::Object(message), Value::Object(stop)) =
        (&mut message, stopped(answer.stop.unwrap_or(Stop::End), called, refused))
    {
        message.extend(stop);
    }
    message["usage"] = as_messages(answer.usage);
    let text = message.to_string();
    let content = format!("[{}]", content.join(","));
    crate::json::replace(&text, &[crate::json::Step::Key("content")], &content).unwrap_or(text)
}

/// What a search gave; a search that told nothing failed.
fn result(id: &str, found: Option<&Found>) -> Value {
    found.unwrap_or(&Found::of_messages(&Value::Null)).block(id)
}

fn content_blocks(context: &AnswerContext, block: &Block) -> Vec<String> {
    match &block.kind {
        Kind::Text | Kind::Refusal if block.text.trim().is_empty() => Vec::new(),
        Kind::Text | Kind::Refusal => {
            messages_text::blocks(&block.text, &block.citations).iter().map(Value::to_string).collect()
        }
        Kind::Search { id } => {
            let input = serde_json::from_str(&block.text).unwrap_or_else(|_| json!({}));
            vec![search::call(id, &input).to_string(), result(id, block.found.as_ref()).to_string()]
        }
        Kind::Thinking => {
            let signature = block.thought.sealed(context.from);
            let thinking = &block.thought.text;
            vec![json!({"type": "thinking", "thinking": thinking, "signature": signature}).to_string()]
        }
        Kind::Call { id, name, .. } => {
            let head = json!({"type": "tool_use", "id": id, "name": name, "input": null}).to_string();
            let written = crate::json::replace(&head, &[crate::json::Step::Key("input")], &input(&block.text));
            written.into_iter().collect()
        }
    }
}

/// A call's arguments as an object: as they came, or where they are none, as Anthropic writes arguments that are no JSON.
fn input(arguments: &str) -> String {
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
        _ => json!({"INVALID_JSON": arguments}).to_string(),
    }
}
