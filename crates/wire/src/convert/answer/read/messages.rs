//! Reads Anthropic Messages.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::messages_json::{ContentBlock, Data, DeltaRead, Message, StopRead};
use crate::convert::answer::event::{Delta, Event, Head, Key, Kind, MAX_CITATIONS, Opaque, Stop};
use crate::convert::answer::usage;
use crate::convert::citation::Citation;
use crate::convert::errors::Failure;
use crate::convert::search::Found;
use crate::dialect::Dialect;
use crate::turn::Unreadable;

/// The events that say something.
const EVENTS: [&[u8]; 7] = [
    b"message_start",
    b"content_block_start",
    b"content_block_delta",
    b"content_block_stop",
    b"message_delta",
    b"message_stop",
    b"error",
];

/// More blocks than any answer has open.
const MAX_OPEN: usize = 10_000;

/// The reader.
#[derive(Debug, Default)]
pub(in crate::convert::answer) struct Reader {
    next: Key,
    /// Open blocks by their index on the wire.
    blocks: HashMap<u64, Block>,
    /// Searches by their ids, until what they found is told.
    searches: HashMap<String, Key>,
    next_index: u64,
    last_index: u64,
    stop: Option<Box<StopRead>>,
    stopped: bool,
    done: bool,
}

#[derive(Debug)]
struct Block {
    /// `None` for a block that no other dialect has.
    key: Option<Key>,
    /// It has arguments.
    is_call: bool,
    /// What it gave comes in a block of its own.
    is_search: bool,
    /// The arguments in the block's start, used where no delta brings any.
    input: Option<String>,
    /// They come before the text that they belong to.
    citations: Vec<Citation>,
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|error| Unreadable::from(&error))
}

impl Reader {
    pub(super) fn event(&mut self, name: &[u8], text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let data: Data<'_> = match read(text) {
            Ok(data) => data,
            // No client knows such an event.
            Err(_) if !name.is_empty() && !EVENTS.contains(&name) => return Ok(()),
            Err(error) => return Err(error),
        };
        if !name.is_empty() && name != data.kind.as_bytes() {
            return Err(Unreadable::Contradiction);
        }
        match &*data.kind {
            "message_start" => self.start(data.message.ok_or(Unreadable::Contradiction)?.get(), out)?,
            "content_block_start" => {
                let index = data.index.unwrap_or(self.next_index);
                self.block(index, data.content_block.ok_or(Unreadable::Contradiction)?.get(), out)?;
            }
            "content_block_delta" => {
                let index = data.index.unwrap_or(self.last_index);
                self.delta(index, &read(data.delta.ok_or(Unreadable::Contradiction)?.get())?, out)?;
            }
            "content_block_stop" => self.block_stop(data.index.unwrap_or(self.last_index), out),
            "message_delta" => {
                if let Some(usage) = &data.usage {
                    out.push(Event::Usage(usage::messages(usage)));
                }
                if let Some(delta) = data.delta {
                    self.stop(read(delta.get())?, out);
                }
            }
            "message_stop" => {
                self.done = true;
                out.push(Event::Done);
            }
            "error" => {
                let error = data.error.unwrap_or_default();
                out.push(Event::Failure(Failure::read(Dialect::Messages, &error, None)));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn whole(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let message: Message<'_> = read(text)?;
        if message.kind.as_deref() == Some("error") || (message.content.is_none() && message.error.is_some()) {
            let error = message.error.unwrap_or_default();
            out.push(Event::Failure(Failure::read(Dialect::Messages, &error, None)));
            return Ok(());
        }
        if message.content.is_none() {
            return Err(Unreadable::Contradiction);
        }
        self.start(text, out)?;
        let stop = StopRead {
            reason: message.stop_reason.map(Cow::into_owned),
            sequence: message.stop_sequence.map(Cow::into_owned),
            details: message.stop_details,
        };
        self.stop(stop, out);
        out.push(Event::Done);
        Ok(())
    }

    /// The stream ended without its last event: what came says whether the answer is complete (W-54).
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.stopped && !self.done {
            out.push(Event::Done);
        }
    }

    fn start(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let message: Message<'_> = read(text)?;
        out.push(Event::Head(Head {
            id: message.id.map(Cow::into_owned),
            model: message.model.map(Cow::into_owned),
            created: None,
            usage: message.usage.as_ref().map(usage::messages).unwrap_or_default(),
        }));
        for raw in message.content.unwrap_or_default() {
            let index = self.next_index;
            self.block(index, raw.get(), out)?;
            self.block_stop(index, out);
        }
        Ok(())
    }

    fn block(&mut self, index: u64, raw: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let block: ContentBlock<'_> = read(raw)?;
        if self.blocks.len() >= MAX_OPEN {
            return Err(Unreadable::Contradiction);
        }
        self.last_index = index;
        self.next_index = index.saturating_add(1);
        let kind = match &*block.kind {
            "text" => Kind::Text,
            "thinking" | "redacted_thinking" => Kind::Thinking,
            "tool_use" => Kind::Call {
                id: block.id.unwrap_or_default().into_owned(),
                name: block.name.unwrap_or_default().into_owned(),
                free_text: false,
            },
            "server_tool_use" if block.is_search() => {
                Kind::Search { id: block.id.as_deref().unwrap_or_default().to_owned() }
            }
            other => {
                if !self.found(&block, out) {
                    out.push(Event::Dropped(named(other, block.name.as_deref())));
                }
                let nothing = Block { key: None, is_call: false, is_search: false, input: None, citations: Vec::new() };
                self.blocks.insert(index, nothing);
                return Ok(());
            }
        };
        let key = self.next;
        self.next += 1;
        let input = block.input.filter(|_| kind.is_one()).map(|input| arguments(input.get()));
        let is_search = matches!(kind, Kind::Search { .. });
        if let Kind::Search { id } = &kind {
            self.searches.insert(id.clone(), key);
        }
        // A block of the same number has been left open: the new one takes its place.
        let mut citations = Vec::new();
        for citation in block.citations.iter().flatten() {
            cite(&mut citations, citation, out);
        }
        let block_now = Block { key: Some(key), is_call: kind.is_one(), is_search, input, citations };
        if let Some(Block { key: Some(old), .. }) = self.blocks.insert(index, block_now) {
            out.push(Event::End(old));
        }
        let is_text = kind == Kind::Text;
        out.push(Event::Start(key, kind));
        for text in [block.text.filter(|_| is_text), block.thinking].into_iter().flatten() {
            push_text(key, &text, out);
        }
        if let Some(signature) = block.signature.filter(|signature| !signature.is_empty()) {
            out.push(Event::Delta(key, Delta::Opaque(Opaque::Signature(signature.into_owned()))));
        }
        if let Some(data) = block.data {
            out.push(Event::Delta(key, Delta::Opaque(Opaque::Redacted(data.into_owned()))));
        }
        Ok(())
    }

    /// What a search gave ends it; `false` for any other block.
    fn found(&mut self, block: &ContentBlock<'_>, out: &mut Vec<Event>) -> bool {
        if block.kind != "web_search_tool_result" {
            return false;
        }
        let Some(key) = self.searches.remove(block.tool_use_id.as_deref().unwrap_or_default()) else { return false };
        let content = block.content.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default();
        out.push(Event::Delta(key, Delta::Found(Found::of_messages(&content))));
        out.push(Event::End(key));
        true
    }

    fn delta(&mut self, index: u64, delta: &DeltaRead<'_>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let block = self.blocks.get_mut(&index).ok_or(Unreadable::Contradiction)?;
        let Some(key) = block.key else { return Ok(()) };
        match &*delta.kind {
            "text_delta" | "thinking_delta" if block.is_call => return Err(Unreadable::Contradiction),
            "text_delta" => push_text(key, delta.text.as_deref().ok_or(Unreadable::Contradiction)?, out),
            "thinking_delta" => push_text(key, delta.thinking.as_deref().ok_or(Unreadable::Contradiction)?, out),
            "input_json_delta" if !block.is_call => return Err(Unreadable::Contradiction),
            "input_json_delta" => {
                let fragment = delta.partial_json.as_deref().ok_or(Unreadable::Contradiction)?;
                if !fragment.is_empty() {
                    match block.input.take() {
                        Some(input) if !is_empty_object(&input) => return Err(Unreadable::Contradiction),
                        _ => out.push(Event::Delta(key, Delta::Arguments(fragment.to_owned()))),
                    }
                }
            }
            "signature_delta" => {
                let signature = delta.signature.as_deref().unwrap_or_default().to_owned();
                out.push(Event::Delta(key, Delta::Opaque(Opaque::Signature(signature))));
            }
            "citations_delta" => {
                if let Some(citation) = &delta.citation {
                    cite(&mut block.citations, citation, out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, index: u64, out: &mut Vec<Event>) {
        // Servers without indices end blocks that have none left.
        let Some(Block { key: Some(key), is_search, input, citations, .. }) = self.blocks.remove(&index) else {
            return;
        };
        if let Some(input) = input.filter(|input| !is_empty_object(input)) {
            out.push(Event::Delta(key, Delta::Arguments(input)));
        }
        out.extend(citations.into_iter().map(|citation| Event::Delta(key, Delta::Citation(citation))));
        if !is_search {
            out.push(Event::End(key));
        }
    }

    fn stop(&mut self, more: StopRead, out: &mut Vec<Event>) {
        let stop = self.stop.get_or_insert_default();
        stop.reason = more.reason.or(stop.reason.take());
        stop.sequence = more.sequence.or(stop.sequence.take());
        stop.details = more.details.filter(|details| !details.is_null()).or(stop.details.take());
        if let Some(reason) = &stop.reason {
            self.stopped = true;
            out.push(Event::Stop(meaning(reason, stop)));
        }
    }
}

fn meaning(reason: &str, read: &StopRead) -> Stop {
    let detail = |name: &str| {
        let details = read.details.as_ref()?;
        details.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    match reason {
        "end_turn" => Stop::End,
        "tool_use" => Stop::ToolUse,
        "max_tokens" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::ContextFull,
        "stop_sequence" => Stop::Sequence(read.sequence.clone()),
        "refusal" => Stop::Refusal { category: detail("category"), explanation: detail("explanation") },
        "pause_turn" => Stop::Pause,
        other => Stop::Other(other.to_owned()),
    }
}

fn push_text(key: Key, text: &str, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta(key, Delta::Text(text.to_owned())));
    }
}

/// Only sources with an address have a counterpart elsewhere.
fn cite(into: &mut Vec<Citation>, citation: &Value, out: &mut Vec<Event>) {
    let text = |name: &str| citation.get(name).and_then(Value::as_str);
    match Citation::of_messages(citation) {
        Some(citation) if into.len() < MAX_CITATIONS => into.push(citation),
        _ => out.push(Event::Dropped(format!("citation ({})", text("type").unwrap_or_default()))),
    }
}

/// A call's input as arguments. What the model wrote where that is no JSON is a text, or marked as Anthropic asks for it.
fn arguments(input: &str) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Marked {
        #[serde(rename = "INVALID_JSON")]
        text: String,
    }
    match serde_json::from_str::<Marked>(input) {
        Ok(Marked { text }) if serde_json::from_str::<&RawValue>(&text).is_err() => text,
        _ => serde_json::from_str(input).unwrap_or_else(|_| input.to_owned()),
    }
}

fn named(kind: &str, name: Option<&str>) -> String {
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind} ({name})"))
}

fn is_empty_object(text: &str) -> bool {
    text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
        || text.trim() == "null"
}
