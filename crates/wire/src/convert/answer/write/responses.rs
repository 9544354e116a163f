//! Writes OpenAI Responses.

use bytes::BytesMut;
use serde_json::{Map, Value, json};

use super::names::Names;
use super::responses_items::{Ids, Part, State, Status, call, message, reasoning, response, summary, tool};
use super::{put, put_text};
use crate::convert::AnswerContext;
use crate::convert::answer::build::Answer;
use crate::convert::answer::event::{Delta, Event, Head, Kind, Stop, Usage};
use crate::convert::answer::thought::Thought;
use crate::convert::citation::{Citation, characters};
use crate::convert::errors::Failure;
use crate::convert::search::{self, Found};
use crate::json::quote;

/// The writer of a stream.
#[derive(Debug)]
pub(in crate::convert::answer) struct Writer {
    context: AnswerContext,
    ids: Ids,
    names: Option<Names>,
    number: u64,
    /// The items that have ended.
    output: Vec<Value>,
    open: Open,
    /// What ends now has been cut off.
    cut: bool,
    usage: Usage,
    stop: Option<Stop>,
}

/// The open item.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// It stays open when its text ends, since another may follow.
    Message(Message),
    Reasoning {
        id: String,
        thought: Thought,
        /// The summary has begun.
        shown: bool,
    },
    Call {
        id: String,
        call_id: String,
        name: String,
        text: String,
        free_text: bool,
    },
    Search {
        id: String,
        input: String,
        found: Option<Found>,
    },
}

#[derive(Debug, Default)]
struct Message {
    id: String,
    /// Those that have ended.
    parts: Vec<Value>,
    part: Option<Part>,
    /// How long the part is and where in it the block began, in characters, and the sources that stand for all of it.
    length: u64,
    base: u64,
    sources: Vec<Citation>,
}

impl Writer {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self {
            ids: Ids::new(&context),
            context,
            names: None,
            number: 0,
            output: Vec::new(),
            open: Open::Nothing,
            cut: false,
            usage: Usage::default(),
            stop: None,
        }
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut) {
        match event {
            Event::Head(head) => self.head(&head, out),
            Event::Start(_, kind) => self.start(kind, out),
            Event::Delta(_, delta) => self.delta(delta, out),
            Event::End(_) => self.end(out),
            Event::Usage(usage) => self.usage.add(usage),
            Event::Stop(stop) => self.stop = Some(stop),
            Event::Done => self.done(out),
            Event::Cut => self.cut = true,
            Event::Failure(_) | Event::Dropped(_) => {}
        }
    }

    pub(super) fn failure(&mut self, failure: &Failure, out: &mut BytesMut) {
        let error = json!({"code": failure.response_code(), "message": failure.message});
        self.terminal(&Status::Failed(error), out);
    }

    fn head(&mut self, head: &Head, out: &mut BytesMut) {
        if self.names.is_some() {
            return;
        }
        self.usage.add(head.usage);
        let names = Names::new(&self.context, head);
        let response = response(&self.context, &names, &Status::InProgress, &[], self.usage);
        self.names = Some(names);
        self.put("response.created", json!({"response": response}), out);
        self.put("response.in_progress", json!({"response": response}), out);
    }

    /// An event, numbered.
    fn put(&mut self, name: &str, fields: Value, out: &mut BytesMut) {
        let mut data = Map::new();
        data.insert("type".into(), name.into());
        data.insert("sequence_number".into(), self.number.into());
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        self.number += 1;
        put(out, name, &Value::Object(data).to_string());
    }

    /// An event of the open item, numbered.
    fn put_of(&mut self, name: &str, id: &str, fields: Value, out: &mut BytesMut) {
        let mut data = json!({"item_id": id, "output_index": self.output.len()});
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        self.put(name, data, out);
    }

    /// A delta of the open item, numbered. `place` is the part it belongs to (`"content_index":0,`, or nothing).
    fn put_delta(&mut self, name: &str, id: &str, place: &str, delta: &str, after: &str, out: &mut BytesMut) {
        let (number, id, index) = (self.number, quote(id), self.output.len());
        let before = format!(
            "{{\"type\":\"{name}\",\"sequence_number\":{number},\"item_id\":{id},\"output_index\":{index},{place}\"delta\":"
        );
        put_text(out, name, &before, delta, after);
        self.number += 1;
    }

    fn added(&mut self, item: &Value, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        let index = self.output.len();
        self.put("response.output_item.added", json!({"output_index": index, "item": item}), out);
    }

    fn ended(&mut self, item: Value, out: &mut BytesMut) {
        let index = self.output.len();
        self.put("response.output_item.done", json!({"output_index": index, "item": item}), out);
        self.output.push(item);
    }

    fn start(&mut self, kind: Kind, out: &mut BytesMut) {
        match kind {
            Kind::Text | Kind::Refusal => self.start_part(kind == Kind::Refusal, out),
            Kind::Thinking => {
                self.close_message(out);
                let id = self.ids.reasoning(self.output.len());
                self.added(&reasoning(&id, "", None), out);
                self.open = Open::Reasoning { id, thought: Thought::default(), shown: false };
            }
            Kind::Call { id: call_id, name, free_text } => {
                self.close_message(out);
                let id = self.ids.call(self.output.len(), free_text);
                self.added(&call(&id, &call_id, tool(&self.context, &name), "", free_text, State::InProgress), out);
                self.open = Open::Call { id, call_id, name, text: String::new(), free_text };
            }
            Kind::Search { id } => {
                self.close_message(out);
                self.added(&search::begun(&id), out);
                for stage in ["in_progress", "searching"] {
                    self.put_of(&format!("response.web_search_call.{stage}"), &id, json!({}), out);
                }
                self.open = Open::Search { id, input: String::new(), found: None };
            }
        }
    }

    /// Text goes on in the open part, or begins a new one.
    fn start_part(&mut self, refusal: bool, out: &mut BytesMut) {
        let mut open = if let Open::Message(open) = std::mem::take(&mut self.open) {
            open
        } else {
            let id = self.ids.message(self.output.len());
            self.added(&message(&id, &[], State::InProgress), out);
            Message { id, ..Message::default() }
        };
        if open.part.as_ref().is_some_and(|part| part.refusal != refusal) {
            self.end_part(&mut open, out);
        }
        if open.part.is_none() {
            let part = Part { refusal, ..Part::default() };
            let fields = json!({"content_index": open.parts.len(), "part": part.value()});
            self.put_of("response.content_part.added", &open.id, fields, out);
            open.part = Some(part);
            open.length = 0;
        }
        open.base = open.length;
        self.open = Open::Message(open);
    }

    fn delta(&mut self, delta: Delta, out: &mut BytesMut) {
        let mut open = std::mem::take(&mut self.open);
        match (&mut open, delta) {
            (Open::Message(message), Delta::Text(more)) => self.words(message, &more, Vec::new(), out),
            (Open::Message(message), Delta::Spelt(more, tokens)) => self.words(message, &more, tokens, out),
            (Open::Message(message), Delta::Citation(citation)) => message.sources.push(citation),
            (Open::Reasoning { id, thought, shown }, delta) => {
                thought.add(&delta);
                if let Delta::Text(more) = delta {
                    if !std::mem::replace(shown, true) {
                        let fields = json!({"summary_index": 0, "part": summary("")});
                        self.put_of("response.reasoning_summary_part.added", id, fields, out);
                    }
                    let name = "response.reasoning_summary_text.delta";
                    self.put_delta(name, id, "\"summary_index\":0,", &more, "}", out);
                }
            }
            (Open::Call { id, text, free_text, .. }, Delta::Arguments(more)) => {
                text.push_str(&more);
                let name = match free_text {
                    true => "response.custom_tool_call_input.delta",
                    false => "response.function_call_arguments.delta",
                };
                self.put_delta(name, id, "", &more, "}", out);
            }
            (Open::Search { input, .. }, Delta::Arguments(more)) => input.push_str(&more),
            (Open::Search { found, .. }, Delta::Found(told)) => *found = Some(told),
            _ => {}
        }
        self.open = open;
    }

    /// More of a message, with the log probabilities of its tokens.
    fn words(&mut self, message: &mut Message, more: &str, tokens: Vec<Value>, out: &mut BytesMut) {
        let place = format!("\"content_index\":{},", message.parts.len());
        let Some(part) = &mut message.part else { return };
        part.text.push_str(more);
        message.length += characters(more);
        if part.refusal {
            return self.put_delta("response.refusal.delta", &message.id, &place, more, "}", out);
        }
        let spelt = (!tokens.is_empty()).then(|| format!(",\"logprobs\":{}}}", Value::from(tokens.as_slice())));
        part.logprobs.extend(tokens);
        let after = spelt.as_deref().unwrap_or(",\"logprobs\":[]}");
        self.put_delta("response.output_text.delta", &message.id, &place, more, after, out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Search { id, input, found } => self.searched(&id, &input, found.as_ref(), out),
            Open::Message(mut message) => {
                self.cite(&mut message, out);
                self.open = Open::Message(message);
            }
            Open::Reasoning { id, thought, shown } => {
                if shown {
                    let text = &thought.text;
                    let fields = json!({"summary_index": 0, "text": text});
                    self.put_of("response.reasoning_summary_text.done", &id, fields, out);
                    let fields = json!({"summary_index": 0, "part": summary(text)});
                    self.put_of("response.reasoning_summary_part.done", &id, fields, out);
                }
                let sealed = thought.sealed(self.context.from);
                self.ended(reasoning(&id, &thought.text, Some(&sealed)), out);
            }
            Open::Call { id, call_id, name, text, free_text } => {
                let (event, fields) = if free_text {
                    ("response.custom_tool_call_input.done", json!({"input": text}))
                } else {
                    (
                        "response.function_call_arguments.done",
                        json!({"name": tool(&self.context, &name).name, "arguments": text}),
                    )
                };
                self.put_of(event, &id, fields, out);
                let state = State::ended(self.cut);
                self.ended(call(&id, &call_id, tool(&self.context, &name), &text, free_text, state), out);
            }
        }
    }

    /// A search has ended, with what it found or without.
    fn searched(&mut self, id: &str, input: &str, found: Option<&Found>, out: &mut BytesMut) {
        if matches!(found, Some(Found::Sources(_))) {
            self.put_of("response.web_search_call.completed", id, json!({}), out);
        }
        self.ended(searched(id, input, found), out);
    }

    /// The sources of the text block that ends.
    fn cite(&mut self, open: &mut Message, out: &mut BytesMut) {
        let Some(part) = open.part.as_mut().filter(|part| !part.refusal) else { return };
        let length = open.length - open.base;
        for source in open.sources.drain(..) {
            let annotation = source.as_responses(open.base, length);
            let fields = json!({
                "content_index": open.parts.len(), "annotation_index": part.annotations.len(), "annotation": annotation,
            });
            self.put_of("response.output_text.annotation.added", &open.id, fields, out);
            part.annotations.push(annotation);
        }
    }

    fn end_part(&mut self, open: &mut Message, out: &mut BytesMut) {
        let Some(part) = open.part.take() else { return };
        let index = open.parts.len();
        let (name, fields) = if part.refusal {
            ("response.refusal.done", json!({"content_index": index, "refusal": part.text}))
        } else {
            ("response.output_text.done", json!({"content_index": index, "text": part.text, "logprobs": part.logprobs}))
        };
        self.put_of(name, &open.id, fields, out);
        let value = part.value();
        self.put_of("response.content_part.done", &open.id, json!({"content_index": index, "part": value}), out);
        open.parts.push(value);
    }

    fn close_message(&mut self, out: &mut BytesMut) {
        if let Open::Message(mut open) = std::mem::take(&mut self.open) {
            self.end_part(&mut open, out);
            self.ended(message(&open.id, &open.parts, State::ended(self.cut)), out);
        }
    }

    fn done(&mut self, out: &mut BytesMut) {
        self.close_message(out);
        let stop = self.stop.take().unwrap_or(Stop::End);
        self.terminal(&Status::Ended(stop), out);
    }

    fn terminal(&mut self, status: &Status, out: &mut BytesMut) {
        self.head(&Head::default(), out);
        let Some(names) = &self.names else { return };
        let response = response(&self.context, names, status, &self.output, self.usage);
        let name = format!("response.{}", status.name());
        self.put(&name, json!({"response": response}), out);
    }
}

/// The item of a search whose input this is, as far as it came.
fn searched(id: &str, input: &str, found: Option<&Found>) -> Value {
    search::item(id, &serde_json::from_str(input).unwrap_or_default(), found)
}

/// A whole response.
pub(super) fn whole(context: &AnswerContext, answer: Answer) -> String {
    let names = Names::new(context, &answer.head);
    let ids = Ids::new(context);
    let mut output: Vec<Value> = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut cut = false;
    let close = |parts: &mut Vec<Part>, cut: bool, output: &mut Vec<Value>| {
        if !parts.is_empty() {
            let values: Vec<Value> = parts.drain(..).map(|part| part.value()).collect();
            output.push(message(&ids.message(output.len()), &values, State::ended(cut)));
        }
    };
    for block in answer.blocks {
        match block.kind {
            Kind::Text | Kind::Refusal => {
                let refusal = block.kind == Kind::Refusal;
                cut = block.cut;
                if parts.last().is_none_or(|part| part.refusal != refusal) {
                    parts.push(Part { refusal, ..Part::default() });
                }
                if let Some(part) = parts.last_mut() {
                    let (base, length) = (characters(&part.text), characters(&block.text));
                    part.annotations.extend(block.citations.iter().map(|source| source.as_responses(base, length)));
                    part.text.push_str(&block.text);
                    part.logprobs.extend(block.logprobs);
                }
            }
            Kind::Thinking => {
                close(&mut parts, cut, &mut output);
                let sealed = block.thought.sealed(context.from);
                output.push(reasoning(&ids.reasoning(output.len()), &block.thought.text, Some(&sealed)));
            }
            Kind::Search { id } => {
                close(&mut parts, cut, &mut output);
                output.push(searched(&id, &block.text, block.found.as_ref()));
            }
            Kind::Call { id, name, free_text } => {
                close(&mut parts, cut, &mut output);
                let item_id = ids.call(output.len(), free_text);
                let state = State::ended(block.cut);
                output.push(call(&item_id, &id, tool(context, &name), &block.text, free_text, state));
            }
        }
    }
    close(&mut parts, cut, &mut output);
    let status = Status::Ended(answer.stop.unwrap_or(Stop::End));
    response(context, &names, &status, &output, answer.usage).to_string()
}
