//! Writes OpenAI Chat Completions.

use std::collections::HashMap;

use bytes::BytesMut;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::{put, put_text};
use crate::convert::AnswerContext;
use crate::convert::answer::build::Answer;
use crate::convert::answer::event::{Delta, Event, Head, Kind, Stop, Usage};
use crate::convert::answer::thought::Thought;
use crate::convert::answer::usage::as_chat;
use crate::convert::citation::{Citation, characters};
use crate::convert::errors::Failure;
use crate::dialect::Dialect;
use crate::json::quote;

/// Stands between two stretches of reasoning.
const PARAGRAPH: &str = "\n\n";

/// The writer of a stream.
#[derive(Debug)]
pub(in crate::convert::answer) struct Writer {
    context: AnswerContext,
    names: Option<Names>,
    /// What stands in every chunk before the delta, and behind it.
    around: (String, &'static str),
    open: Open,
    calls: u64,
    /// There has been reasoning before.
    thought: bool,
    /// The characters of content so far.
    written: u64,
    /// How many elements of each list have gone out: readers put lists together by their numbers.
    listed: HashMap<&'static str, u64>,
    usage: Usage,
    stop: Option<Stop>,
}

#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// Since how many characters of the content, with the sources that stand for all of it.
    Text(u64, Vec<Citation>),
    Refusal,
    Thinking(Thought),
    /// By its index; `None` for the old form.
    Call(Option<u64>, bool),
    /// A call that the old form has no place for.
    Surplus,
}

impl Writer {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self {
            context,
            names: None,
            around: (String::new(), ""),
            open: Open::Nothing,
            calls: 0,
            thought: false,
            written: 0,
            listed: HashMap::new(),
            usage: Usage::default(),
            stop: None,
        }
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut, dropped: &mut Vec<&'static str>) {
        match event {
            Event::Head(head) => self.head(&head, out),
            Event::Start(_, kind) => self.start(kind, out, dropped),
            Event::Delta(_, delta) => self.delta(delta, out),
            Event::End(_) => self.end(out),
            Event::Usage(usage) => self.usage.add(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Done => self.done(out),
            Event::Failure(_) | Event::Cut | Event::Dropped(_) => {}
        }
    }

    fn head(&mut self, head: &Head, out: &mut BytesMut) {
        if self.names.is_some() {
            return;
        }
        self.usage.add(head.usage);
        let names = Names::new(&self.context, head);
        self.around.0 = format!(
            "{{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},\"choices\":[{{\"index\":0,\"delta\":",
            quote(&names.id),
            names.created,
            quote(&names.model)
        );
        self.around.1 = if self.context.include_usage {
            ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}"
        } else {
            ",\"logprobs\":null,\"finish_reason\":null}]}"
        };
        self.names = Some(names);
        self.piece(&json!({"role": "assistant", "content": null}), out);
    }

    /// A chunk that says `delta`.
    fn piece(&mut self, delta: &Value, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        put(out, "", &[self.around.0.as_str(), &delta.to_string(), self.around.1].concat());
    }

    /// A chunk whose delta is `{before text after}`.
    fn text(&mut self, before: &str, text: &str, after: &str, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        let before = [self.around.0.as_str(), "{", before].concat();
        put_text(out, "", &before, text, &[after, "}", self.around.1].concat());
    }

    fn chunk(&mut self, choices: &Value, usage: Option<Value>, out: &mut BytesMut) {
        let Some(names) = &self.names else {
            self.head(&Head::default(), out);
            return self.chunk(choices, usage, out);
        };
        let mut chunk = json!({
            "id": names.id, "object": "chat.completion.chunk", "created": names.created, "model": names.model,
            "choices": choices,
        });
        if self.context.include_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        put(out, "", &chunk.to_string());
    }

    fn start(&mut self, kind: Kind, out: &mut BytesMut, dropped: &mut Vec<&'static str>) {
        self.open = match kind {
            Kind::Text => Open::Text(self.written, Vec::new()),
            Kind::Refusal => Open::Refusal,
            // The fitter has left it out.
            Kind::Search { .. } => Open::Nothing,
            Kind::Thinking => Open::Thinking(Thought::default()),
            Kind::Call { .. } if self.context.legacy_functions && self.calls > 0 => {
                dropped.push("a second function call");
                Open::Surplus
            }
            Kind::Call { name, .. } if self.context.legacy_functions => {
                self.calls += 1;
                self.piece(&json!({"function_call": {"name": name, "arguments": ""}}), out);
                Open::Call(None, false)
            }
            Kind::Call { id, name, free_text } => {
                let index = self.calls;
                self.calls += 1;
                let mut call = call(&id, &name, "", free_text);
                call.shift_insert(0, "index".into(), index.into());
                self.piece(&json!({"tool_calls": [call]}), out);
                Open::Call(Some(index), free_text)
            }
        };
    }

    fn delta(&mut self, delta: Delta, out: &mut BytesMut) {
        match (&mut self.open, delta) {
            (Open::Text(..), Delta::Text(more)) => {
                self.written += characters(&more);
                self.text("\"content\":", &more, "", out);
            }
            (Open::Text(..), Delta::Spelt(more, tokens)) => {
                self.written += characters(&more);
                self.head(&Head::default(), out);
                let logprobs = format!("\"logprobs\":{}", spelt(tokens));
                let before = [self.around.0.as_str(), "{\"content\":"].concat();
                let after = ["}", &self.around.1.replacen("\"logprobs\":null", &logprobs, 1)].concat();
                put_text(out, "", &before, &more, &after);
            }
            (Open::Text(_, sources), Delta::Citation(citation)) => sources.push(citation),
            (Open::Refusal, Delta::Text(more)) => self.text("\"refusal\":", &more, "", out),
            (Open::Thinking(thought), delta) => {
                thought.add(&delta);
                if let Delta::Text(more) = delta {
                    let first = thought.text.len() == more.len();
                    let gap = if first && self.thought { PARAGRAPH } else { "" };
                    self.text("\"reasoning_content\":", &format!("{gap}{more}"), "", out);
                    self.thought = true;
                }
            }
            (Open::Call(None, _), Delta::Arguments(more)) => {
                self.text("\"function_call\":{\"arguments\":", &more, "}", out);
            }
            (Open::Call(Some(index), free_text), Delta::Arguments(more)) => {
                let (kind, member) = if *free_text { ("custom", "input") } else { ("function", "arguments") };
                let before = format!("\"tool_calls\":[{{\"index\":{index},\"{kind}\":{{\"{member}\":");
                self.text(&before, &more, "}}]", out);
            }
            _ => {}
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        match std::mem::take(&mut self.open) {
            Open::Text(base, sources) if !sources.is_empty() => {
                let length = self.written - base;
                let all: Vec<Value> = sources.iter().map(|source| source.as_chat(base, length)).collect();
                self.elements("annotations", all, out);
            }
            Open::Thinking(thought) if thought.is_signed() => {
                let (name, element) = kept(&thought, self.context.from);
                self.elements(name, vec![element], out);
            }
            _ => {}
        }
    }

    /// Adds these elements to a list of the message.
    fn elements(&mut self, list: &'static str, mut elements: Vec<Value>, out: &mut BytesMut) {
        let next = self.listed.entry(list).or_default();
        for element in &mut elements {
            element["index"] = (*next).into();
            *next += 1;
        }
        let delta = Map::from_iter([(list.to_owned(), Value::Array(elements))]);
        self.piece(&Value::Object(delta), out);
    }

    fn done(&mut self, out: &mut BytesMut) {
        let stop = self.stop.take().unwrap_or(Stop::End);
        let reason = finish_reason(&stop, self.calls > 0, self.context.legacy_functions);
        self.chunk(&json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]), None, out);
        if let Some(usage) = as_chat(self.usage).filter(|_| self.context.include_usage) {
            self.chunk(&json!([]), Some(usage), out);
        }
        put(out, "", "[DONE]");
    }
}

/// The chunk that tells of a failure.
pub(super) fn failure(failure: &Failure, out: &mut BytesMut) {
    put(out, "", &json!({"error": failure.openai()}).to_string());
}

fn call(id: &str, name: &str, arguments: &str, free_text: bool) -> Map<String, Value> {
    let call = if free_text {
        json!({"id": id, "type": "custom", "custom": {"name": name, "input": arguments}})
    } else {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    };
    match call {
        Value::Object(call) => call,
        _ => Map::new(),
    }
}

/// Where clients keep reasoning that they cannot read: the element, and the list it belongs to.
fn kept(thought: &Thought, from: Dialect) -> (&'static str, Value) {
    let envelope = thought.sealed(from);
    if from == Dialect::Messages && !thought.is_redacted() {
        return ("thinking_blocks", json!({"type": "thinking", "thinking": thought.text, "signature": envelope}));
    }
    ("reasoning_details", json!({"type": "reasoning.encrypted", "data": envelope}))
}

/// The log probabilities of a text.
fn spelt(tokens: Vec<Value>) -> Value {
    json!({"content": Value::Array(tokens), "refusal": null})
}

fn finish_reason(stop: &Stop, called: bool, legacy: bool) -> &'static str {
    match stop {
        Stop::MaxTokens | Stop::ContextFull => "length",
        Stop::Refusal { .. } => "content_filter",
        _ if called && legacy => "function_call",
        _ if called => "tool_calls",
        // A limit of the vendor's own: there would have been more.
        Stop::Pause => "length",
        _ => "stop",
    }
}

/// A whole completion.
pub(super) fn whole(context: &AnswerContext, answer: Answer, dropped: &mut Vec<&'static str>) -> String {
    let names = Names::new(context, &answer.head);
    let reason = finish_reason(answer.stop.as_ref().unwrap_or(&Stop::End), answer.called(), context.legacy_functions);
    let usage = as_chat(answer.usage);
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let (mut calls, mut annotations, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    for block in answer.blocks {
        match block.kind {
            Kind::Text => {
                let base = message["content"].as_str().map_or(0, characters);
                let length = characters(&block.text);
                annotations.extend(block.citations.iter().map(|source| source.as_chat(base, length)));
                append(&mut message["content"], &block.text, "");
                tokens.extend(block.logprobs);
            }
            Kind::Refusal => append(&mut message["refusal"], &block.text, ""),
            Kind::Search { .. } => {}
            Kind::Thinking => {
                if !block.thought.text.is_empty() {
                    append(&mut message["reasoning_content"], &block.thought.text, PARAGRAPH);
                }
                if block.thought.is_signed() {
                    let (name, element) = kept(&block.thought, context.from);
                    match &mut message[name] {
                        Value::Array(list) => list.push(element),
                        none => *none = json!([element]),
                    }
                }
            }
            Kind::Call { name, .. } if context.legacy_functions && message.get("function_call").is_none() => {
                message["function_call"] = json!({"name": name, "arguments": block.text});
            }
            Kind::Call { .. } if context.legacy_functions => dropped.push("a second function call"),
            Kind::Call { id, name, free_text } => calls.push(call(&id, &name, &block.text, free_text)),
        }
    }
    if !annotations.is_empty() {
        message["annotations"] = annotations.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into_iter().map(Value::Object).collect();
    }
    let logprobs = if tokens.is_empty() { Value::Null } else { spelt(tokens) };
    let choice = json!({"index": 0, "message": message, "logprobs": logprobs, "finish_reason": reason});
    let mut out = json!({
        "id": names.id, "object": "chat.completion", "created": names.created, "model": names.model,
        "choices": [choice],
    });
    if let Some(usage) = usage {
        out["usage"] = usage;
    }
    out.to_string()
}

fn append(into: &mut Value, more: &str, gap: &str) {
    match into {
        Value::String(text) => {
            text.push_str(gap);
            text.push_str(more);
        }
        none => *none = more.into(),
    }
}
