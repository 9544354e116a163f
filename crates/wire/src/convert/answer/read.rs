//! Readers: what a vendor's frames and bodies say, as lenient as the servers are that exist.

mod chat;
mod chat_calls;
mod chat_reasoning;
mod messages;
mod messages_json;
mod responses;
mod responses_items;
mod responses_json;

use super::event::Event;
use crate::dialect::Dialect;
use crate::sse::Frame;
use crate::turn::Unreadable;

/// A dialect's reader.
#[derive(Debug)]
pub(super) enum Reader {
    /// Messages.
    Messages(messages::Reader),
    /// Chat.
    Chat(Box<chat::Reader>),
    /// Responses.
    Responses(responses::Reader),
}

impl Reader {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(messages::Reader::default()),
            Dialect::Chat => Self::Chat(Box::default()),
            Dialect::Responses => Self::Responses(responses::Reader::default()),
        }
    }

    /// Adds what a frame says to `out`.
    pub(super) fn frame(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let Some(data) = &frame.data else {
            return if frame.is_silent() { Ok(()) } else { Err(Unreadable::NotJson) };
        };
        let text = std::str::from_utf8(data).map_err(|_| Unreadable::NotJson)?;
        // Some servers keep the connection alive so.
        if text.trim().is_empty() {
            return Ok(());
        }
        match self {
            Self::Messages(reader) => reader.event(&frame.event, text, out),
            Self::Chat(reader) => reader.chunk(text, out),
            Self::Responses(reader) => reader.event(&frame.event, text, out),
        }
    }

    /// The upstream's stream has ended: adds what that means to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        match self {
            Self::Messages(reader) => reader.finish(out),
            Self::Chat(reader) => reader.finish(out),
            Self::Responses(_) => {}
        }
    }

    /// Adds what a whole body says to `out`.
    pub(super) fn whole(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        match self {
            Self::Messages(reader) => reader.whole(text, out),
            Self::Chat(reader) => reader.whole(text, out),
            Self::Responses(reader) => reader.whole(text, out),
        }
    }
}
