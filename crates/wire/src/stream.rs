//! A streamed answer as atoms: the smallest parts of frames that can be held, dropped or released by themselves.
//!
//! On Messages a frame is one atom. A Chat chunk may carry several (two calls, or a last fragment together with the finish
//! reason); its atoms remember the frame, so that a frame whose atoms all go out unchanged goes out as it came.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::dialect::{Dialect, SoFar};
use crate::json::parse_strict;
use crate::sse::Frame;
use crate::turn::{Block, BlockId, StopReason, ToolCall, ToolForm, Unreadable};
use crate::{chat, messages, responses};

/// A part of a frame.
#[derive(Clone, Debug)]
pub struct Atom {
    /// The frame it is a part of.
    pub frame: Arc<Frame>,
    /// Its place among the frame's atoms.
    pub index: usize,
    /// How many atoms the frame has.
    pub of: usize,
    /// Which part of the frame it is, for the dialect's encoder.
    pub part: Part,
    /// What it means.
    pub what: What,
}

impl Atom {
    /// A frame that is one atom.
    pub fn whole(frame: Frame, what: What) -> Self {
        Self { frame: Arc::new(frame), index: 0, of: 1, part: Part::Whole, what }
    }

    /// The frame's data as text; empty where there is none or it is not UTF-8.
    pub fn data(&self) -> &str {
        self.frame.data.as_deref().and_then(|data| std::str::from_utf8(data).ok()).unwrap_or_default()
    }

    /// The bytes that holding this atom costs.
    pub fn weight(&self) -> usize {
        self.frame.raw.len() / self.of
    }
}

/// Which part of a frame an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// A field of a Chat choice's delta; the choice by its position in `choices`.
    Field {
        /// Position in `choices`.
        position: usize,
        /// The field.
        field: Field,
    },
    /// An event of a Responses stream.
    Event {
        /// What it is to its item.
        role: EventRole,
        /// The content part that it is about, 0 where it is about none.
        content: u32,
        /// What it repeats is what the stream had said before.
        agrees: bool,
    },
}

/// What an event of a Responses stream is to its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRole {
    /// The item begins.
    Start,
    /// A content part begins.
    PartAdded,
    /// More of its words or arguments.
    Delta,
    /// Repeats what a content part or a call's arguments have said.
    Closing,
    /// The item ends, repeated as a whole.
    End,
    /// The answer ends, repeated as a whole.
    Terminal,
    /// Anything else about the item.
    Other,
}

/// A part of a Chat choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `delta.content`, with `logprobs`.
    Content,
    /// `delta.refusal`.
    Refusal,
    /// One element of `delta.tool_calls`, by position.
    ToolCall(usize),
    /// `delta.function_call`.
    FunctionCall,
    /// The finish reason.
    Finish,
    /// Everything else: role, reasoning, unknown fields.
    Rest,
}

/// What an atom means.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The answer begins.
    Head,
    /// A part of a block.
    Block {
        /// The block.
        id: BlockId,
        /// Set where the block begins.
        start: Option<Kind>,
        /// What it adds.
        piece: Piece,
        /// The block ends.
        end: bool,
    },
    /// A choice ends, with all its blocks.
    Stop {
        /// The choice.
        choice: u32,
        /// Why.
        reason: StopReason,
    },
    /// The answer ends.
    Done,
    /// The upstream says that it failed.
    Failed,
    /// Nothing that policies look at: pings, comments, usage, unknown events.
    Loose,
    /// A frame that readers could read differently, or not at all.
    Unreadable(Unreadable),
}

/// What kind of block begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text for the user.
    Text,
    /// Reasoning.
    Thinking,
    /// A tool call.
    Call {
        /// Who runs it.
        form: ToolForm,
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments are free text, not JSON (Chat custom tools).
        free_text: bool,
    },
    /// What a call that the vendor ran has given; withheld together with it.
    Result {
        /// The call's id.
        call: String,
    },
    /// Any other known type.
    Opaque(String),
}

/// What an atom adds to its block.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Nothing.
    None,
    /// Text, of a text block.
    Text(String),
    /// Reasoning.
    Thinking(String),
    /// A fragment of a call's arguments.
    Arguments(String),
    /// A call's arguments all at once, in the block's start.
    Input(String),
    /// Something else, as raw JSON: signatures, citations, deltas of unknown types.
    Other(String),
    /// The call's id or name again, with another value.
    Contradiction,
}

/// Puts a block together from its atoms.
#[derive(Clone, Debug)]
pub struct BlockBuilder {
    kind: Kind,
    text: String,
    input: Option<String>,
    others: Vec<String>,
    contradiction: bool,
}

impl BlockBuilder {
    /// A block that begins.
    pub fn new(kind: Kind) -> Self {
        Self { kind, text: String::new(), input: None, others: Vec::new(), contradiction: false }
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &Piece) {
        match piece {
            Piece::None => {}
            Piece::Text(more) | Piece::Thinking(more) | Piece::Arguments(more) => self.text.push_str(more),
            Piece::Input(input) => self.input = Some(input.clone()),
            Piece::Other(raw) => self.others.push(raw.clone()),
            Piece::Contradiction => self.contradiction = true,
        }
    }

    /// It has arguments or text so far.
    pub fn has_text(&self) -> bool {
        !self.text.trim().is_empty() || self.input.as_deref().is_some_and(|input| !is_empty_object(input))
    }

    /// The block, ended. `cut_off`: the answer ended before the block did.
    pub fn finish(self, cut_off: bool) -> Block {
        match self.kind {
            Kind::Text => Block::Text(self.text),
            Kind::Thinking => Block::Thinking(self.text),
            Kind::Result { .. } => Block::Opaque { kind: "tool_result".into(), raw: self.input.unwrap_or_default() },
            Kind::Opaque(kind) => Block::Opaque { kind, raw: self.input.unwrap_or_default() },
            Kind::Call { form, id, name, free_text } => {
                let both = self.input.as_deref().is_some_and(|input| !is_empty_object(input)) && !self.text.is_empty();
                let raw = match (self.input, self.text.is_empty()) {
                    (Some(input), true) => input,
                    (_, _) => self.text,
                };
                let raw = match form {
                    ToolForm::Unknown if !self.others.is_empty() => format!("[{raw},{}]", self.others.join(",")),
                    _ => raw,
                };
                let arguments = if self.contradiction || both {
                    Err(Unreadable::Contradiction)
                } else if free_text {
                    Ok(Value::String(raw.clone()))
                } else if cut_off && (raw.trim().is_empty() || is_empty_object(&raw)) {
                    // The arguments may never have begun.
                    Err(Unreadable::CutOff)
                } else if raw.trim().is_empty() {
                    Ok(Value::Object(serde_json::Map::new()))
                } else {
                    parse_strict(&raw)
                };
                let arguments = if cut_off && arguments.is_err() { Err(Unreadable::CutOff) } else { arguments };
                Block::ToolCall(ToolCall { id, name, form, raw, arguments })
            }
        }
    }
}

fn is_empty_object(text: &str) -> bool {
    text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inside| inside.trim().is_empty())
}

/// Reads a dialect's frames.
#[derive(Debug)]
pub enum Decoder {
    /// Messages.
    Messages(messages::Decoder),
    /// Chat.
    Chat(chat::Decoder),
    /// Responses.
    Responses(responses::Decoder),
}

impl Decoder {
    /// For a stream of `dialect`.
    pub fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(messages::Decoder::default()),
            Dialect::Chat => Self::Chat(chat::Decoder::default()),
            Dialect::Responses => Self::Responses(responses::Decoder::default()),
        }
    }

    /// Adds the atoms of a frame to `out`, in order; at least one.
    pub fn decode(&mut self, frame: Frame, out: &mut Vec<Atom>) {
        match self {
            Self::Messages(decoder) => out.push(decoder.decode(frame)),
            Self::Chat(decoder) => decoder.decode(frame, out),
            Self::Responses(decoder) => decoder.decode(frame, out),
        }
    }
}

/// Writes a dialect's frames, in this gateway's hand where they are not the upstream's.
#[derive(Debug)]
pub enum Encoder {
    /// Messages.
    Messages(messages::Encoder),
    /// Chat.
    Chat(chat::Encoder),
    /// Responses.
    Responses(responses::Encoder),
}

impl Encoder {
    /// For a stream of `dialect`. `model` and `id` stand in a head that the upstream did not send.
    pub fn new(dialect: Dialect, model: &str, id: &str) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(messages::Encoder::new(model, id)),
            Dialect::Chat => Self::Chat(chat::Encoder::new(model, id)),
            Dialect::Responses => Self::Responses(responses::Encoder::new(model, id)),
        }
    }

    /// Blocks follow one another (Messages, Responses), or each is a channel of its own (Chat).
    pub fn sequential(&self) -> bool {
        matches!(self, Self::Messages(_) | Self::Responses(_))
    }

    /// Events are numbered, and the last one repeats the answer (Responses): once one event has been changed, none that
    /// follows goes out as it came.
    pub fn numbered(&self) -> bool {
        matches!(self, Self::Responses(_))
    }

    /// What has gone out, for an error that follows.
    pub fn so_far(&self) -> SoFar<'_> {
        match self {
            Self::Messages(_) | Self::Chat(_) => SoFar::default(),
            Self::Responses(encoder) => encoder.so_far(),
        }
    }

    /// Learns from a frame of the upstream what the gateway's own frames must repeat (id, model, usage).
    pub fn learn(&mut self, atom: &Atom) {
        match self {
            Self::Messages(encoder) => encoder.learn(atom),
            Self::Chat(encoder) => encoder.learn(atom),
            Self::Responses(encoder) => encoder.learn(atom),
        }
    }

    /// An atom has gone out as it came.
    pub fn passed(&mut self, atom: &Atom) {
        if let Self::Responses(encoder) = self {
            encoder.passed(atom);
        }
    }

    /// A head in the gateway's own hand.
    pub fn head(&mut self) -> Bytes {
        match self {
            Self::Messages(encoder) => encoder.head(),
            Self::Chat(encoder) => encoder.head(),
            Self::Responses(encoder) => encoder.head(),
        }
    }

    /// An atom of a block, standing at `at` (the block's index on Messages, the call's on Chat, the item's on Responses), its
    /// text replaced by `text` if given. `from` is where the upstream had it.
    pub fn block_part(&mut self, atom: &Atom, from: u32, at: u32, text: Option<&str>) -> Bytes {
        match self {
            Self::Messages(_) => messages::block_part(atom, from, at, text),
            Self::Chat(_) => chat::block_part(atom, from, at, text),
            Self::Responses(encoder) => encoder.block_part(atom, at, text),
        }
    }

    /// A whole text block.
    pub fn text_block(&mut self, choice: u32, at: u32, text: &str) -> Bytes {
        match self {
            Self::Messages(_) => messages::text_block(at, text),
            Self::Chat(encoder) => encoder.text(choice, text),
            Self::Responses(encoder) => encoder.text_block(at, text),
        }
    }

    /// More text of an open text block.
    pub fn text_delta(&mut self, choice: u32, at: u32, text: &str) -> Bytes {
        match self {
            Self::Messages(_) => messages::text_delta(at, text),
            Self::Chat(encoder) => encoder.text(choice, text),
            Self::Responses(encoder) => encoder.text_delta(at, text),
        }
    }

    /// The end of an open block, in the gateway's own hand.
    pub fn block_end(&mut self, at: u32) -> Bytes {
        match self {
            Self::Messages(_) => messages::block_end(at),
            Self::Chat(_) => Bytes::new(),
            Self::Responses(encoder) => encoder.block_end(at),
        }
    }

    /// A whole tool call.
    pub fn call_block(&mut self, choice: u32, at: u32, call: &ToolCall) -> Bytes {
        match self {
            Self::Messages(_) => messages::call_block(at, call),
            Self::Chat(encoder) => encoder.call(choice, at, call),
            Self::Responses(encoder) => encoder.call_block(at, call),
        }
    }

    /// The end of a choice as the upstream sent it, with another stop reason if given.
    pub fn stop(&mut self, atom: &Atom, reason: Option<&StopReason>) -> Bytes {
        match self {
            Self::Messages(_) => messages::stop(atom, reason),
            Self::Chat(_) => chat::stop(atom, reason),
            // Which calls remain is all that it says of the reason.
            Self::Responses(encoder) => encoder.stop(atom),
        }
    }

    /// The end of a choice in the gateway's own hand.
    pub fn own_stop(&mut self, choice: u32, reason: &StopReason) -> Bytes {
        match self {
            Self::Messages(encoder) => encoder.own_stop(reason),
            Self::Chat(encoder) => encoder.own_stop(choice, reason),
            Self::Responses(encoder) => encoder.own_stop(reason),
        }
    }

    /// The terminal frame, where it is one of its own.
    pub fn done(&self) -> Bytes {
        match self {
            Self::Messages(_) => messages::done(),
            Self::Chat(_) => chat::done(),
            Self::Responses(_) => Bytes::new(),
        }
    }

    /// Any other atom, by itself, in a form that the strictest reader takes.
    pub fn part(&mut self, atom: &Atom) -> Bytes {
        match self {
            Self::Messages(_) => messages::strict(atom),
            Self::Chat(_) => chat::part(atom),
            Self::Responses(encoder) => encoder.part(atom),
        }
    }
}

#[cfg(test)]
mod tests;
