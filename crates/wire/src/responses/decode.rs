//! Reads the events of a Responses stream.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::item::{Content, Item};
use crate::sse::Frame;
use crate::stream::{Atom, EventRole, Kind, Part, Piece, What};
use crate::turn::{BlockId, StopReason, ToolForm, Unreadable};

/// Reads frames. Remembers what each item has said, to see whether the events that repeat it agree.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: bool,
    /// Items by their place in the output.
    items: BTreeMap<u32, Heard>,
    places: HashMap<String, u32>,
    next: u32,
    last: u32,
}

/// What an item has said so far.
#[derive(Debug)]
struct Heard {
    id: Option<String>,
    kind: Kind,
    /// The text of each content part, of a message.
    texts: BTreeMap<u32, String>,
    /// A call's arguments, as far as they came in pieces; and as the item had them when it began.
    pieces: String,
    given: String,
    streams_arguments: bool,
    /// Reasoning came in pieces.
    thought: bool,
    /// The finished item, where it is compared as a whole.
    whole: Option<String>,
    ended: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    output_index: Option<u32>,
    #[serde(borrow)]
    item_id: Option<Cow<'a, str>>,
    content_index: Option<u32>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    /// Read elsewhere; said twice, readers differ in which they take.
    #[serde(rename = "logprobs")]
    _logprobs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

/// An atom's meaning and its part of the frame.
type Read = Result<(What, Part), Unreadable>;

impl Decoder {
    /// Adds the atoms of a frame to `out`: two for one that ends the answer, the stop and the end.
    pub fn decode(&mut self, frame: Frame, out: &mut Vec<Atom>) {
        let (what, part) = self.read(&frame).unwrap_or_else(|why| (What::Unreadable(why), Part::Whole));
        let ends = matches!(what, What::Stop { .. });
        let of = if ends { 2 } else { 1 };
        let frame = Arc::new(frame);
        out.push(Atom { frame: Arc::clone(&frame), index: 0, of, part, what });
        if ends {
            out.push(Atom { frame, index: 1, of, part, what: What::Done });
        }
    }

    fn read(&mut self, frame: &Frame) -> Read {
        let loose = Ok((What::Loose, Part::Whole));
        let Some(data) = &frame.data else {
            return if frame.is_silent() { loose } else { Err(Unreadable::NotJson) };
        };
        if data.trim_ascii() == b"[DONE]" {
            return loose;
        }
        let text = std::str::from_utf8(data).map_err(|_| Unreadable::NotJson)?;
        let event: Event<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
        if !frame.event.is_empty() && frame.event != event.kind.as_bytes() {
            return Err(Unreadable::Contradiction);
        }
        match &*event.kind {
            "response.created" | "response.in_progress" | "response.queued" => self.head(&event),
            "response.output_item.added" => self.added(&event),
            "response.output_item.done" => self.done(&event),
            "response.completed" | "response.incomplete" | "response.failed" => self.terminal(&event),
            "error" => Ok((What::Failed, Part::Whole)),
            _ => self.within(&event, text),
        }
    }

    /// SDKs take over what a response holds at its start; it has to come as items, where it is looked at.
    fn head(&mut self, event: &Event<'_>) -> Read {
        let response = event.response.map(response).transpose()?;
        if response.and_then(|response| response.output).is_some_and(|output| !output.is_empty()) {
            return Err(Unreadable::Contradiction);
        }
        let what = if self.begun { What::Loose } else { What::Head };
        self.begun = true;
        Ok((what, Part::Whole))
    }

    fn added(&mut self, event: &Event<'_>) -> Read {
        let raw = event.item.ok_or(Unreadable::Contradiction)?.get();
        let (at, kind) = self.begin(event, raw)?;
        let item = Item::read(raw)?;
        let heard = self.items.get_mut(&at).ok_or(Unreadable::Contradiction)?;
        let piece = match &kind {
            Kind::Text => {
                let contents = item.contents()?;
                let said: String = contents.iter().map(Content::said).collect();
                for (part, content) in (0..).zip(&contents) {
                    heard.texts.insert(part, content.said().to_owned());
                }
                if said.is_empty() { Piece::None } else { Piece::Text(said) }
            }
            Kind::Call { form: ToolForm::Unknown, .. } => Piece::Input(raw.to_owned()),
            Kind::Call { .. } if heard.streams_arguments => {
                heard.given = item.arguments(raw)?;
                if heard.given.is_empty() { Piece::None } else { Piece::Arguments(heard.given.clone()) }
            }
            _ => Piece::None,
        };
        let what = What::Block { id: block(at), start: Some(kind), piece, end: false };
        Ok((what, Part::Event { role: EventRole::Start, content: 0, agrees: true }))
    }

    /// An item begins: where it stands, and what it is.
    fn begin(&mut self, event: &Event<'_>, raw: &str) -> Result<(u32, Kind), Unreadable> {
        let item = Item::read(raw)?;
        let at = event.output_index.unwrap_or(self.next);
        if self.items.get(&at).is_some_and(|heard| !heard.ended) {
            // Two items in one place: readers differ in which they keep.
            return Err(Unreadable::Contradiction);
        }
        let kind = item.block();
        self.next = self.next.max(at.saturating_add(1));
        self.last = at;
        if let Some(id) = &item.id {
            self.places.insert(id.clone().into_owned(), at);
        }
        let heard = Heard {
            id: item.id.as_deref().map(str::to_owned),
            kind: kind.clone(),
            texts: BTreeMap::new(),
            pieces: String::new(),
            given: String::new(),
            streams_arguments: item.streams_arguments(),
            thought: false,
            whole: None,
            ended: false,
        };
        self.items.insert(at, heard);
        Ok((at, kind))
    }

    /// The place of an event's item.
    fn place(&self, event: &Event<'_>, id: Option<&str>) -> Option<u32> {
        let named = || id.and_then(|id| self.places.get(id)).copied();
        event.output_index.or_else(named).or_else(|| (!self.items.is_empty()).then_some(self.last))
    }

    fn done(&mut self, event: &Event<'_>) -> Read {
        let raw = event.item.ok_or(Unreadable::Contradiction)?.get();
        let item = Item::read(raw)?;
        let open = self.place(event, item.id.as_deref());
        // Without a place, the end of another item than the open one is that of an item of its own.
        let same = |heard: &Heard| event.output_index.is_some() || heard.is_of(&item);
        let open = open.filter(|at| self.items.get(at).is_some_and(|heard| !heard.ended && same(heard)));
        let (at, start) = match open {
            Some(at) => (at, None),
            // Never announced; readers that take finished items alone need no more.
            None => self.begin(event, raw).map(|(at, kind)| (at, Some(kind)))?,
        };
        let heard = self.items.get_mut(&at).ok_or(Unreadable::Contradiction)?;
        heard.ended = true;
        let (mut piece, mut agrees) = (Piece::None, true);
        match &heard.kind {
            kind if start.is_none() && *kind != item.block() => {
                let calls = matches!((kind, item.block()), (Kind::Call { .. }, Kind::Call { .. }));
                piece = if calls { Piece::Contradiction } else { return Err(Unreadable::Contradiction) };
            }
            Kind::Text => {
                let contents = item.contents()?;
                let said: String = contents.iter().map(Content::said).collect();
                let before: String = heard.texts.values().map(String::as_str).collect();
                if before.is_empty() && !said.is_empty() {
                    piece = Piece::Text(said);
                } else {
                    agrees = said == before;
                }
            }
            Kind::Thinking if heard.thought => {}
            Kind::Thinking => piece = Piece::Thinking(item.thoughts()),
            Kind::Call { form: ToolForm::Unknown, .. } if start.is_none() => piece = Piece::Other(raw.to_owned()),
            Kind::Call { .. } if heard.streams_arguments => {
                let said = item.arguments(raw)?;
                let before = if heard.pieces.is_empty() { &heard.given } else { &heard.pieces };
                if !heard.pieces.is_empty() && !heard.given.is_empty() && heard.given != heard.pieces {
                    piece = Piece::Contradiction;
                } else if before.is_empty() {
                    piece = Piece::Arguments(said);
                } else if *before != said {
                    piece = Piece::Contradiction;
                }
            }
            Kind::Call { form: ToolForm::Client | ToolForm::Server, .. } => piece = Piece::Input(item.arguments(raw)?),
            Kind::Call { .. } | Kind::Result { .. } | Kind::Opaque(_) => piece = Piece::Input(raw.to_owned()),
        }
        if !matches!(heard.kind, Kind::Text | Kind::Thinking) && !heard.streams_arguments {
            heard.whole = Some(raw.to_owned());
        }
        let what = What::Block { id: block(at), start, piece, end: true };
        Ok((what, Part::Event { role: EventRole::End, content: 0, agrees }))
    }

    /// An event about something within an item, or about nothing that this version knows.
    fn within(&mut self, event: &Event<'_>, text: &str) -> Read {
        // What stands in an event that is not known to have it is looked at by no reader, or by one that is not known.
        let output = event.response.and_then(|raw| response(raw).ok()).and_then(|response| response.output);
        let item = event.item.is_some() && event.kind.starts_with("response.");
        if item || !self.has_heard(&output.unwrap_or_default()) {
            return Err(Unreadable::Contradiction);
        }
        let says = [event.delta, event.part, event.text, event.refusal, event.arguments, event.input];
        let about_item = event.output_index.is_some() || event.item_id.is_some() || says.iter().any(Option::is_some);
        let at = self.place(event, event.item_id.as_deref()).filter(|_| about_item);
        let heard = at.and_then(|at| self.items.get_mut(&at).filter(|heard| !heard.ended).map(|heard| (at, heard)));
        let Some((at, heard)) = heard else {
            // Words that belong to no item. A status says nothing, nor does what names no item and is not known.
            let placed = event.output_index.is_some() || event.item_id.is_some();
            let says = carries(&event.kind) || (placed && !is_status(&event.kind));
            return if says { Err(Unreadable::Contradiction) } else { Ok((What::Loose, Part::Whole)) };
        };
        self.last = at;
        let content = event.content_index.unwrap_or(0);
        let (piece, role, agrees) = heard.piece(event, content, text)?;
        let what = What::Block { id: block(at), start: None, piece, end: false };
        Ok((what, Part::Event { role, content, agrees }))
    }

    fn terminal(&mut self, event: &Event<'_>) -> Read {
        let response = event.response.map(response).transpose()?;
        let output = response.as_ref().and_then(|response| response.output.as_deref()).unwrap_or_default();
        let agrees = self.has_heard(output);
        let part = Part::Event { role: EventRole::Terminal, content: 0, agrees };
        if event.kind == "response.failed" {
            return Ok((What::Failed, part));
        }
        let calls = self
            .items
            .values()
            .any(|heard| matches!(heard.kind, Kind::Call { form: ToolForm::Client | ToolForm::Unknown, .. }));
        let reason = match response.and_then(|response| response.incomplete_details).and_then(|why| why.reason) {
            Some(reason) if event.kind == "response.incomplete" && reason == "max_output_tokens" => {
                StopReason::MaxTokens
            }
            Some(reason) if event.kind == "response.incomplete" => StopReason::Other(reason.into_owned()),
            None if event.kind == "response.incomplete" => StopReason::Other("incomplete".into()),
            _ if calls => StopReason::ToolUse,
            _ => StopReason::End,
        };
        Ok((What::Stop { choice: 0, reason }, part))
    }

    /// Whether these items say nothing that the stream has not said, in its order.
    fn has_heard(&self, output: &[&RawValue]) -> bool {
        let mut heard = self.items.values();
        output.iter().all(|raw| {
            let Ok(item) = Item::read(raw.get()) else { return false };
            let kind = item.block();
            heard.any(|heard| heard.kind == kind && heard.is_said_by(&item, raw.get()))
        })
    }
}

impl Heard {
    /// The item may be this one: it has its id, and is of its kind.
    fn is_of(&self, item: &Item<'_>) -> bool {
        let another = self.id.as_deref().zip(item.id.as_deref()).is_some_and(|(one, other)| one != other);
        !another && std::mem::discriminant(&self.kind) == std::mem::discriminant(&item.block())
    }

    /// What an event within the item adds, which part of the item's events it is, and whether it agrees with them.
    fn piece(&mut self, event: &Event<'_>, content: u32, text: &str) -> Result<(Piece, EventRole, bool), Unreadable> {
        let string = |raw: Option<&RawValue>| -> Result<String, Unreadable> {
            let raw = raw.ok_or(Unreadable::Contradiction)?;
            serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)
        };
        let is_text = self.kind == Kind::Text;
        Ok(match &*event.kind {
            "response.content_part.added" if is_text => {
                let said = said(event.part)?;
                self.texts.entry(content).or_default().push_str(&said);
                (if said.is_empty() { Piece::None } else { Piece::Text(said) }, EventRole::PartAdded, true)
            }
            "response.output_text.delta" | "response.refusal.delta" if is_text => {
                let more = string(event.delta)?;
                self.texts.entry(content).or_default().push_str(&more);
                (Piece::Text(more), EventRole::Delta, true)
            }
            "response.output_text.done" if is_text => self.repeated(content, string(event.text)?),
            "response.refusal.done" if is_text => self.repeated(content, string(event.refusal)?),
            "response.content_part.done" if is_text => self.repeated(content, said(event.part)?),
            "response.function_call_arguments.delta"
            | "response.mcp_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
                if self.streams_arguments =>
            {
                let more = string(event.delta)?;
                self.pieces.push_str(&more);
                // What the item had when it began is repeated by its pieces, or contradicts them: seen at its end.
                let piece = if self.given.is_empty() { Piece::Arguments(more) } else { Piece::None };
                (piece, EventRole::Delta, true)
            }
            "response.function_call_arguments.done"
            | "response.mcp_call_arguments.done"
            | "response.custom_tool_call_input.done"
                if self.streams_arguments =>
            {
                let whole = string(event.arguments.or(event.input))?;
                let before = if self.pieces.is_empty() { &self.given } else { &self.pieces };
                if before.is_empty() {
                    self.pieces.clone_from(&whole);
                    (Piece::Arguments(whole), EventRole::Closing, true)
                } else if *before == whole {
                    (Piece::None, EventRole::Closing, true)
                } else {
                    (Piece::Contradiction, EventRole::Closing, true)
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta"
                if self.kind == Kind::Thinking =>
            {
                self.thought = true;
                (Piece::Thinking(string(event.delta)?), EventRole::Other, true)
            }
            // Words of a message in an item of another type, or arguments in a message.
            kind if WORDS.contains(&kind) => return Err(Unreadable::Contradiction),
            _ => (Piece::Other(text.to_owned()), EventRole::Other, true),
        })
    }

    /// A part's text again, whole.
    fn repeated(&mut self, content: u32, whole: String) -> (Piece, EventRole, bool) {
        let heard = self.texts.entry(content).or_default();
        if heard.is_empty() && !whole.is_empty() {
            heard.clone_from(&whole);
            return (Piece::Text(whole), EventRole::Closing, true);
        }
        let agrees = *heard == whole;
        (Piece::None, EventRole::Closing, agrees)
    }

    /// The item says what this one has said.
    fn is_said_by(&self, item: &Item<'_>, raw: &str) -> bool {
        match &self.kind {
            Kind::Text => {
                let before: String = self.texts.values().map(String::as_str).collect();
                item.contents().is_ok_and(|contents| {
                    contents.iter().map(Content::said).collect::<String>() == before
                        || (before.is_empty() && self.ended)
                })
            }
            Kind::Call { form: ToolForm::Client | ToolForm::Server, .. } if self.streams_arguments => {
                let before = if self.pieces.is_empty() { &self.given } else { &self.pieces };
                item.arguments(raw).is_ok_and(|said| said == *before)
            }
            Kind::Thinking => self.ended,
            _ => self.whole.as_deref().is_some_and(|whole| whole == raw || alike(whole, raw)),
        }
    }
}

/// The same item, however it is written and however far it has come.
fn alike(one: &str, other: &str) -> bool {
    let read = |raw: &str| {
        let mut item: serde_json::Map<String, Value> = serde_json::from_str(raw).ok()?;
        item.remove("status");
        Some(item)
    };
    read(one).is_some_and(|one| read(other) == Some(one))
}

/// Events that only items of one form have.
const WORDS: [&str; 10] = [
    "response.output_text.delta",
    "response.output_text.done",
    "response.refusal.delta",
    "response.refusal.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
];

/// Events that only tell how far an item has come.
fn is_status(kind: &str) -> bool {
    [".in_progress", ".searching", ".interpreting", ".generating", ".completed", ".failed"]
        .iter()
        .any(|end| kind.ends_with(end))
}

/// Events that carry a part of an item's words, arguments, code or the like.
fn carries(kind: &str) -> bool {
    const OF_ITEMS: [&str; 9] = [
        "content_part",
        "output_text",
        "refusal",
        "function_call",
        "custom_tool_call",
        "mcp_call",
        "reasoning",
        "shell_call",
        "code_interpreter_call",
    ];
    let piece = [".delta", ".done", ".added"].iter().any(|end| kind.ends_with(end));
    let item = kind.strip_prefix("response.").is_some_and(|rest| OF_ITEMS.iter().any(|item| rest.starts_with(item)));
    piece && item
}

fn said(part: Option<&RawValue>) -> Result<String, Unreadable> {
    let raw = part.ok_or(Unreadable::Contradiction)?;
    let content: Content<'_> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
    if !matches!(&*content.kind, "output_text" | "refusal" | "text") {
        return Err(Unreadable::Contradiction);
    }
    Ok(content.said().to_owned())
}

fn response(raw: &RawValue) -> Result<Response<'_>, Unreadable> {
    serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)
}

fn block(at: u32) -> BlockId {
    BlockId { choice: 0, block: at }
}
