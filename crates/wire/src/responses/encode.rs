//! Writes the events of a Responses stream, keeping the upstream's bytes where only a number changed.
//!
//! What went out is remembered as far as later events repeat it: the number of the last event, the words of the items that
//! are open, and the items that are finished.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::frames::{is_refusal, item_of, kind_of, number, renumber, repeated, response_of};
use super::item::{Content, Item};
use super::own;
use crate::dialect::SoFar;
use crate::json::{self, Step};
use crate::sse::Frame;
use crate::stream::{Atom, EventRole, Kind, Part, Piece, What};
use crate::turn::{StopReason, ToolCall};

/// What has gone out, and what the gateway's own events repeat of the upstream's.
#[derive(Debug)]
pub struct Encoder {
    model: String,
    id: String,
    /// The upstream's first event, which holds the response as it begins.
    head: Option<Arc<Frame>>,
    /// The number of the last event, or the upstream's event that has it.
    last: Option<u64>,
    last_frame: Option<Arc<Frame>>,
    open: Vec<Open>,
    /// Finished items by their place, in the order in which they went out.
    sent: Vec<(u32, Sent)>,
}

/// An item that has begun and not ended.
#[derive(Debug)]
struct Open {
    at: u32,
    id: String,
    is_text: bool,
    start: Option<Arc<Frame>>,
    parts: Vec<Words>,
}

/// A content part of a message, as far as it has gone out.
#[derive(Debug)]
struct Words {
    content: u32,
    is_refusal: bool,
    text: String,
    /// It says something else than the upstream's.
    changed: bool,
    /// Its closing events went out with this text.
    closed: bool,
}

/// A finished item.
#[derive(Debug)]
enum Sent {
    /// The upstream's, in its closing event, and its place there.
    Upstream(Arc<Frame>, u32),
    /// The gateway's.
    Own(String),
}

impl Encoder {
    /// `model` and `id` stand in a head that the upstream did not send.
    pub fn new(model: &str, id: &str) -> Self {
        Self {
            model: model.into(),
            id: id.replace('-', ""),
            head: None,
            last: None,
            last_frame: None,
            open: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn learn(&mut self, atom: &Atom) {
        if atom.what == What::Head {
            self.head = Some(Arc::clone(&atom.frame));
        }
    }

    /// What has gone out.
    pub fn so_far(&self) -> SoFar<'_> {
        SoFar { last: self.last_number(), begun: self.head.as_deref().and_then(response_of) }
    }

    fn last_number(&self) -> Option<u64> {
        self.last_frame.as_ref().and_then(number).or(self.last)
    }

    fn next_number(&mut self) -> u64 {
        let next = self.last_number().map_or(0, |last| last.saturating_add(1));
        (self.last, self.last_frame) = (Some(next), None);
        next
    }

    /// An atom has gone out as it came.
    pub(crate) fn passed(&mut self, atom: &Atom) {
        if atom.frame.data.is_some() {
            if self.last_frame.is_some() && atom.index == 0 {
                self.last = self.last.map_or(Some(0), |last| Some(last.saturating_add(1)));
            }
            self.last_frame = Some(Arc::clone(&atom.frame));
        }
        let (What::Block { id, start, piece, .. }, Part::Event { role, content, .. }) = (&atom.what, atom.part) else {
            return;
        };
        match role {
            EventRole::Start => self.begin(id.block, start.as_ref(), piece, atom),
            EventRole::End => self.end(id.block, Sent::Upstream(Arc::clone(&atom.frame), id.block)),
            EventRole::PartAdded | EventRole::Delta | EventRole::Closing => {
                if let Some(open) = self.open_at(id.block).filter(|open| open.is_text) {
                    open.heard(role, content, piece, is_refusal(atom));
                }
            }
            EventRole::Terminal | EventRole::Other => {}
        }
    }

    fn begin(&mut self, at: u32, kind: Option<&Kind>, piece: &Piece, atom: &Atom) {
        let item = item_of(&atom.frame).and_then(|raw| Item::read(raw).ok().and_then(|item| item.id.map(String::from)));
        let mut open = Open {
            at,
            id: item.unwrap_or_else(|| format!("item_{}_{at}", self.id)),
            is_text: kind == Some(&Kind::Text),
            start: Some(Arc::clone(&atom.frame)),
            parts: Vec::new(),
        };
        if let Piece::Text(text) = piece {
            open.words(0, false).text.push_str(text);
        }
        self.open.push(open);
    }

    fn end(&mut self, at: u32, sent: Sent) {
        self.open.retain(|open| open.at != at);
        self.sent.push((at, sent));
    }

    fn open_at(&mut self, at: u32) -> Option<&mut Open> {
        self.open.iter_mut().rev().find(|open| open.at == at)
    }

    /// An event in the gateway's own hand.
    fn event(&mut self, kind: &str, members: &Value) -> Bytes {
        let number = self.next_number();
        own::event(kind, number, members)
    }

    pub(crate) fn head(&mut self) -> Bytes {
        let response = self.response("in_progress", &Value::Array(Vec::new()));
        let created = self.event("response.created", &json!({"response": response}));
        [created, self.event("response.in_progress", &json!({"response": response}))].concat().into()
    }

    /// The response as the upstream began it, or the gateway's own.
    fn response(&self, status: &str, output: &Value) -> Value {
        let begun = self.head.as_deref().and_then(response_of).and_then(|raw| serde_json::from_str(raw).ok());
        let mut response: Map<String, Value> = begun.unwrap_or_else(|| own::response(&self.model, &self.id));
        response.insert("status".into(), status.into());
        response.insert("output".into(), output.clone());
        Value::Object(response)
    }

    /// A part of an item, standing at `at`, its text replaced by `text` if given.
    pub(crate) fn block_part(&mut self, atom: &Atom, at: u32, text: Option<&str>) -> Bytes {
        let (What::Block { start, piece, .. }, Part::Event { role, content, .. }) = (&atom.what, atom.part) else {
            return self.renumbered(atom, None);
        };
        match role {
            EventRole::Start => {
                self.begin(at, start.as_ref(), if text.is_some() { &Piece::None } else { piece }, atom);
                self.renumbered(atom, Some(at))
            }
            EventRole::End => self.end_part(atom, at, text),
            _ if !self.open_at(at).is_some_and(|open| open.is_text) => self.renumbered(atom, Some(at)),
            EventRole::PartAdded => {
                let added = self.part_added(at, content, is_refusal(atom));
                let words = text
                    .map(str::to_owned)
                    .or_else(|| if let Piece::Text(text) = piece { Some(text.clone()) } else { None });
                match words {
                    Some(words) => [added, self.words(at, content, &words, text.is_some())].concat().into(),
                    None => added,
                }
            }
            EventRole::Delta => self.delta(atom, at, content, text),
            EventRole::Closing => self.closing(atom, at, content, text),
            // An annotation points into words that did not go out.
            EventRole::Other if self.open_at(at).is_some_and(|open| open.words(content, false).changed) => Bytes::new(),
            EventRole::Terminal | EventRole::Other => self.renumbered(atom, Some(at)),
        }
    }

    fn delta(&mut self, atom: &Atom, at: u32, content: u32, text: Option<&str>) -> Bytes {
        let missing = self.open_at(at).is_some_and(|open| open.parts.iter().all(|part| part.content != content));
        let added = if missing { self.part_added(at, content, is_refusal(atom)) } else { Bytes::new() };
        let delta = if let Some(text) = text {
            self.words(at, content, text, true)
        } else {
            if let (Some(open), What::Block { piece, .. }) = (self.open_at(at), &atom.what) {
                open.heard(EventRole::Delta, content, piece, is_refusal(atom));
            }
            self.renumbered(atom, Some(at))
        };
        [added, delta].concat().into()
    }

    /// The upstream's repetition of a part, if it says what went out; else the gateway writes its own at the item's end.
    fn closing(&mut self, atom: &Atom, at: u32, content: u32, text: Option<&str>) -> Bytes {
        let What::Block { piece, .. } = &atom.what else { return Bytes::new() };
        let words = text.or(if let Piece::Text(text) = piece { Some(text) } else { None });
        let mut out = BytesMut::new();
        if let Some(words) = words {
            let missing = self.open_at(at).is_some_and(|open| open.parts.iter().all(|part| part.content != content));
            if missing {
                out.extend_from_slice(&self.part_added(at, content, is_refusal(atom)));
            }
            out.extend_from_slice(&self.words(at, content, words, text.is_some()));
        }
        let said = repeated(atom.data());
        let agrees = self.open_at(at).is_some_and(|open| {
            let words = open.words(content, false);
            words.closed = said.as_deref() == Some(&words.text);
            words.closed
        });
        if agrees {
            out.extend_from_slice(&self.renumbered(atom, Some(at)));
        }
        out.freeze()
    }

    /// The end of an item: the upstream's, if it says what went out.
    fn end_part(&mut self, atom: &Atom, at: u32, text: Option<&str>) -> Bytes {
        let What::Block { id, start, piece, .. } = &atom.what else { return Bytes::new() };
        let mut out = BytesMut::new();
        let raw = item_of(&atom.frame).unwrap_or("{}");
        if start.is_some() {
            out.extend_from_slice(&self.announced(atom, at, start.as_ref(), raw));
        }
        let is_text = self.open_at(at).is_some_and(|open| open.is_text);
        let words = text.or(if let Piece::Text(text) = piece { Some(text) } else { None });
        if let (true, Some(words)) = (is_text, words.filter(|words| !words.is_empty())) {
            out.extend_from_slice(&self.text_delta(at, words));
        }
        let said = || {
            Item::read(raw)
                .ok()
                .and_then(|item| item.contents().ok().map(|parts| parts.iter().map(Content::said).collect::<String>()))
        };
        let agrees = !is_text
            || self.open_at(at).is_some_and(|open| {
                open.parts.iter().all(|part| part.closed)
                    && said().is_some_and(|said| {
                        said == open.parts.iter().map(|part| part.text.as_str()).collect::<String>()
                    })
            });
        if agrees {
            out.extend_from_slice(&self.renumbered(atom, Some(at)));
            self.end(at, Sent::Upstream(Arc::clone(&atom.frame), id.block));
        } else {
            out.extend_from_slice(&self.end_as(at, Some(raw)));
        }
        out.freeze()
    }

    /// The beginning that an item lacks.
    fn announced(&mut self, atom: &Atom, at: u32, kind: Option<&Kind>, raw: &str) -> Bytes {
        self.begin(at, kind, &Piece::None, atom);
        let mut item: Map<String, Value> = serde_json::from_str(raw).unwrap_or_default();
        if kind == Some(&Kind::Text) {
            item.insert("content".into(), json!([]));
        }
        let arguments = own::begun(&mut item);
        let id = item.get("id").cloned().unwrap_or_default();
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let added = self.event("response.output_item.added", &json!({"output_index": at, "item": item}));
        let Some(arguments) = arguments.filter(|text| !text.is_empty()) else { return added };
        [added, self.arguments(at, &id, &kind, &arguments)].concat().into()
    }

    /// A call's arguments, and that they are all.
    fn arguments(&mut self, at: u32, item_id: &Value, kind: &str, arguments: &str) -> Bytes {
        let (name, whole) = own::argument_events(kind);
        let delta = json!({"item_id": item_id, "output_index": at, "delta": arguments});
        let done = json!({"item_id": item_id, "output_index": at, whole: arguments});
        [self.event(&format!("{name}.delta"), &delta), self.event(&format!("{name}.done"), &done)].concat().into()
    }

    fn part_added(&mut self, at: u32, content: u32, refusal: bool) -> Bytes {
        let before = self.closings(at);
        let Some(open) = self.open_at(at) else { return Bytes::new() };
        open.words(content, refusal);
        let members = json!({
            "item_id": open.id, "output_index": at, "content_index": content, "part": own::part(refusal, ""),
        });
        [before, self.event("response.content_part.added", &members)].concat().into()
    }

    /// The ends of an item's parts that have none yet, in the gateway's own hand.
    fn closings(&mut self, at: u32) -> Bytes {
        let Some(open) = self.open_at(at).filter(|open| open.is_text) else { return Bytes::new() };
        let id = open.id.clone();
        let closings: Vec<_> = open
            .parts
            .iter_mut()
            .filter_map(|part| (!std::mem::replace(&mut part.closed, true)).then_some(&*part))
            .flat_map(|part| own::closings(part.is_refusal, &id, at, part.content, &part.text))
            .collect();
        let events: Vec<Bytes> = closings.iter().map(|(kind, members)| self.event(kind, members)).collect();
        events.concat().into()
    }

    /// More words of an open part, in the gateway's own hand.
    fn words(&mut self, at: u32, content: u32, text: &str, changed: bool) -> Bytes {
        let Some(open) = self.open_at(at) else { return Bytes::new() };
        let id = open.id.clone();
        let part = open.words(content, false);
        part.changed |= changed;
        part.text.push_str(text);
        let (kind, members) = own::words(part.is_refusal, &id, at, content, text);
        self.event(kind, &members)
    }

    /// More text of an open message, in its last part.
    pub(crate) fn text_delta(&mut self, at: u32, text: &str) -> Bytes {
        let last = self.open_at(at).map(|open| open.parts.last().map(|part| part.content));
        match last {
            None => Bytes::new(),
            Some(Some(content)) => self.words(at, content, text, true),
            Some(None) => [self.part_added(at, 0, false), self.words(at, 0, text, true)].concat().into(),
        }
    }

    /// A message of the gateway's. Its id is none that the conversion of an answer gives, which begin with the transaction's too.
    pub(crate) fn text_block(&mut self, at: u32, text: &str) -> Bytes {
        let id = format!("msg_{}_own{at}", self.id);
        let item = json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
        let added = self.event("response.output_item.added", &json!({"output_index": at, "item": item}));
        self.open.push(Open { at, id, is_text: true, start: None, parts: Vec::new() });
        [added, self.text_delta(at, text), self.block_end(at)].concat().into()
    }

    /// The end of an open item, in the gateway's own hand.
    pub(crate) fn block_end(&mut self, at: u32) -> Bytes {
        self.end_as(at, None)
    }

    /// The end of an open item with the words that went out; what else it has is the upstream's finished item's, if given.
    fn end_as(&mut self, at: u32, finished: Option<&str>) -> Bytes {
        let closings = self.closings(at);
        let Some(position) = self.open.iter().rposition(|open| open.at == at) else { return Bytes::new() };
        let open = self.open.remove(position);
        let mut out = BytesMut::from(&closings[..]);
        let known = finished.or_else(|| open.start.as_deref().and_then(item_of));
        let known = known.and_then(|raw| serde_json::from_str(raw).ok());
        let mut item: Map<String, Value> = known.unwrap_or_else(|| own::message(&open.id));
        if open.is_text {
            let parts: Vec<Value> = open.parts.iter().map(|part| own::part(part.is_refusal, &part.text)).collect();
            item.insert("content".into(), Value::Array(parts));
            if finished.is_none() {
                item.insert("status".into(), "completed".into());
            }
        } else if item.contains_key("status") {
            item.insert("status".into(), "incomplete".into());
        }
        let item = Value::Object(item);
        out.extend_from_slice(&self.event("response.output_item.done", &json!({"output_index": at, "item": item})));
        self.sent.push((at, Sent::Own(item.to_string())));
        out.freeze()
    }

    /// A whole tool call.
    pub(crate) fn call_block(&mut self, at: u32, call: &ToolCall) -> Bytes {
        let id = format!("fc_{}_own{at}", self.id);
        let whole = own::call(&id, call);
        let mut begun = whole.clone();
        let arguments = own::begun(&mut begun).unwrap_or_default();
        let kind = whole.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let whole = Value::Object(whole);
        let added = self.event("response.output_item.added", &json!({"output_index": at, "item": begun}));
        let arguments = self.arguments(at, &id.into(), &kind, &arguments);
        let done = self.event("response.output_item.done", &json!({"output_index": at, "item": whole}));
        self.sent.push((at, Sent::Own(whole.to_string())));
        [added, arguments, done].concat().into()
    }

    /// All items that have gone out, as JSON.
    fn output(&self) -> String {
        let mut sent: Vec<&(u32, Sent)> = self.sent.iter().collect();
        sent.sort_by_key(|(at, _)| *at);
        let items: Vec<&str> = sent
            .into_iter()
            .filter_map(|(_, sent)| match sent {
                Sent::Upstream(frame, _) => item_of(frame),
                Sent::Own(item) => Some(item),
            })
            .collect();
        format!("[{}]", items.join(","))
    }

    /// The end of the answer as the upstream sent it, with the items that have gone out.
    pub(crate) fn stop(&mut self, atom: &Atom) -> Bytes {
        if let Some(raw) = self.unchanged(atom) {
            return raw;
        }
        let output = self.output();
        let path = [Step::Key("response"), Step::Key("output")];
        let mut data = atom.data().to_owned();
        data = json::set(&data, &path[..1], "output", &output).unwrap_or(data);
        if let Some(text) =
            json::find(&data, &[Step::Key("response"), Step::Key("output_text")]).map(|_| own::texts(&output))
        {
            data = json::set(&data, &path[..1], "output_text", &json::quote(&text)).unwrap_or(data);
        }
        let number = self.next_number();
        let data = renumber(&data, number, None).unwrap_or(data);
        Frame::write(&kind_of(&data), &data)
    }

    /// The end of the answer as it came, if all of it has gone out as it came.
    fn unchanged(&mut self, atom: &Atom) -> Option<Bytes> {
        let Part::Event { agrees: true, .. } = atom.part else { return None };
        let output = json::find(atom.data(), &[Step::Key("response"), Step::Key("output")])?;
        let items = json::elements(&atom.data()[output])?.len();
        let in_order = (0..)
            .zip(&self.sent)
            .all(|(at, (place, sent))| *place == at && matches!(sent, Sent::Upstream(_, from) if *from == at));
        (in_order && self.open.is_empty() && items == self.sent.len()).then(|| self.renumbered(atom, None))
    }

    /// The end of the answer in the gateway's own hand.
    pub(crate) fn own_stop(&mut self, reason: &StopReason) -> Bytes {
        let output: Value = serde_json::from_str(&self.output()).unwrap_or_default();
        let cut = *reason == StopReason::MaxTokens;
        let mut response = self.response(if cut { "incomplete" } else { "completed" }, &output);
        if cut {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        let kind = if cut { "response.incomplete" } else { "response.completed" };
        self.event(kind, &json!({"response": response}))
    }

    /// Any other atom, by itself, in a form that the strictest reader takes.
    pub(crate) fn part(&mut self, atom: &Atom) -> Bytes {
        match (&atom.what, atom.part) {
            // The other half of the frame says it.
            (What::Done, _) => Bytes::new(),
            (_, Part::Event { role: EventRole::Terminal, .. }) => self.stop(atom),
            (What::Block { id, .. }, _) => self.block_part(atom, id.block, None),
            _ => self.renumbered(atom, None),
        }
    }

    /// The event with its number, and its item's place if given; as it came where both are right.
    fn renumbered(&mut self, atom: &Atom, at: Option<u32>) -> Bytes {
        if !atom.data().trim_start().starts_with('{') {
            return atom.frame.raw.clone();
        }
        let number = self.next_number();
        match renumber(atom.data(), number, at) {
            None if !atom.frame.event.is_empty() => atom.frame.raw.clone(),
            None => Frame::write(&kind_of(atom.data()), atom.data()),
            Some(data) => Frame::write(&kind_of(&data), &data),
        }
    }
}

impl Open {
    fn words(&mut self, content: u32, is_refusal: bool) -> &mut Words {
        let position = self.parts.iter().position(|part| part.content == content).unwrap_or_else(|| {
            self.parts.push(Words { content, is_refusal, text: String::new(), changed: false, closed: false });
            self.parts.len() - 1
        });
        &mut self.parts[position]
    }

    fn heard(&mut self, role: EventRole, content: u32, piece: &Piece, is_refusal: bool) {
        let words = self.words(content, is_refusal);
        if let Piece::Text(text) = piece {
            words.text.push_str(text);
        }
        words.closed |= role == EventRole::Closing;
    }
}
