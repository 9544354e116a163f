//! Reads the events of a Messages stream.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{kind_of, stop_reason};
use crate::json;
use crate::sse::Frame;
use crate::stream::{Atom, Kind, Piece, What};
use crate::turn::{BlockId, ToolForm, Unreadable};

/// The events that clients know.
const EVENTS: [&[u8]; 8] = [
    b"message_start",
    b"content_block_start",
    b"content_block_delta",
    b"content_block_stop",
    b"message_delta",
    b"message_stop",
    b"ping",
    b"error",
];

/// Reads frames. Remembers which block is open, for upstreams that leave out indices.
#[derive(Debug, Default)]
pub struct Decoder {
    next: u32,
    last: u32,
    /// The blocks that are no calls: arguments of theirs would be looked at by nobody.
    others: HashSet<u32>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// The message that a stream begins with.
#[derive(Deserialize)]
struct Start {
    content: Option<Vec<IgnoredAny>>,
}

/// The delta of a block, or of the message.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

/// A content block, as far as policies have to know it.
#[derive(Deserialize)]
pub(super) struct ContentBlock<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

impl ContentBlock<'_> {
    pub(super) fn kind(&self) -> Kind {
        kind_of(&self.kind, self.id.as_deref(), self.name.as_deref(), self.tool_use_id.as_deref())
    }

    /// What the block has at its start. `raw` is its JSON.
    pub(super) fn piece(&self, kind: &Kind, raw: &str) -> Piece {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        match kind {
            Kind::Text => text(&self.text).map_or(Piece::None, Piece::Text),
            Kind::Thinking => text(&self.thinking).map_or(Piece::None, Piece::Thinking),
            Kind::Call { form: ToolForm::Unknown, .. } | Kind::Opaque(_) | Kind::Result { .. } => {
                Piece::Input(raw.into())
            }
            Kind::Call { .. } => self.input.map_or(Piece::None, |input| Piece::Input(input.get().into())),
        }
    }
}

impl Decoder {
    /// The atom of a frame.
    pub fn decode(&mut self, frame: Frame) -> Atom {
        let what = self.read(&frame);
        Atom::whole(frame, what)
    }

    fn read(&mut self, frame: &Frame) -> What {
        let Some(data) = &frame.data else {
            return if frame.is_silent() { What::Loose } else { What::Unreadable(Unreadable::NotJson) };
        };
        let Ok(text) = std::str::from_utf8(data) else { return What::Unreadable(Unreadable::NotJson) };
        let read: Data<'_> = match serde_json::from_str(text) {
            Ok(read) => read,
            // No client knows such an event, so that what it carries means nothing to any.
            Err(_) if !frame.event.is_empty() && !EVENTS.contains(&&*frame.event) && !is_known(text) => {
                return What::Loose;
            }
            Err(error) => return What::Unreadable(Unreadable::from(&error)),
        };
        if !frame.event.is_empty() && frame.event != read.kind.as_bytes() {
            return What::Unreadable(Unreadable::Contradiction);
        }
        self.event(read, text).unwrap_or(What::Unreadable(Unreadable::Contradiction))
    }

    /// `None` where a part has another form than the protocol gives it.
    fn event(&mut self, data: Data<'_>, text: &str) -> Option<What> {
        Some(match &*data.kind {
            "message_start" => {
                // SDKs take over what the message holds at its start; it has to come as blocks, where it is looked at.
                let start: Option<Start> = data.message.map(|raw| serde_json::from_str(raw.get())).transpose().ok()?;
                let content = start.and_then(|start| start.content).unwrap_or_default();
                content.is_empty().then_some(What::Head)?
            }
            "content_block_start" => {
                let raw = data.content_block?.get();
                let block: ContentBlock<'_> = serde_json::from_str(raw).ok()?;
                let index = data.index.unwrap_or(self.next);
                self.last = index;
                self.next = index.saturating_add(1);
                let kind = block.kind();
                if matches!(kind, Kind::Call { .. }) {
                    self.others.remove(&index);
                } else {
                    self.others.insert(index);
                }
                let piece = block.piece(&kind, raw);
                What::Block { id: block_id(index), start: Some(kind), piece, end: false }
            }
            "content_block_delta" => {
                let delta = data.delta?;
                let index = data.index.unwrap_or(self.last);
                let piece = match &*delta.kind? {
                    "text_delta" => Piece::Text(delta.text?.into_owned()),
                    "thinking_delta" => Piece::Thinking(delta.thinking?.into_owned()),
                    "input_json_delta" if self.others.contains(&index) => return None,
                    "input_json_delta" => Piece::Arguments(delta.partial_json?.into_owned()),
                    _ => Piece::Other(text[json::member(text, "delta")?].to_owned()),
                };
                What::Block { id: block_id(index), start: None, piece, end: false }
            }
            "content_block_stop" => What::Block {
                id: block_id(data.index.unwrap_or(self.last)),
                start: None,
                piece: Piece::None,
                end: true,
            },
            "message_delta" => match data.delta?.stop_reason {
                Some(reason) => What::Stop { choice: 0, reason: stop_reason(&reason) },
                None => What::Loose,
            },
            "message_stop" => What::Done,
            "error" => What::Failed,
            _ => What::Loose,
        })
    }
}

/// The data calls itself an event that clients know, whatever else is wrong with it.
fn is_known(data: &str) -> bool {
    let read: Option<serde_json::Value> = serde_json::from_str(data).ok();
    let kind = read.as_ref().and_then(|data| data.get("type")).and_then(serde_json::Value::as_str);
    kind.is_some_and(|kind| EVENTS.contains(&kind.as_bytes()))
}

fn block_id(block: u32) -> BlockId {
    BlockId { choice: 0, block }
}
