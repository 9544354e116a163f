//! Writers: the client's dialect, in the form that its strictest reader takes.

mod chat;
mod messages;
pub(in crate::convert) mod messages_text;
mod names;
mod responses;
mod responses_items;

use bytes::{BufMut, BytesMut};

use super::build::Answer;
use super::event::Event;
use crate::convert::AnswerContext;
use crate::convert::errors::Failure;
use crate::dialect::Dialect;
use crate::sse::Frame;

/// A dialect's writer of streams.
#[derive(Debug)]
pub(super) enum Writer {
    /// Messages.
    Messages(Box<messages::Writer>),
    /// Chat.
    Chat(Box<chat::Writer>),
    /// Responses.
    Responses(Box<responses::Writer>),
}

impl Writer {
    pub(super) fn new(context: AnswerContext) -> Self {
        match context.to {
            Dialect::Messages => Self::Messages(Box::new(messages::Writer::new(context))),
            Dialect::Chat => Self::Chat(Box::new(chat::Writer::new(context))),
            Dialect::Responses => Self::Responses(Box::new(responses::Writer::new(context))),
        }
    }

    /// Writes an event, of blocks that follow one another. What cannot be written is named in `dropped`.
    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut, dropped: &mut Vec<&'static str>) {
        match self {
            Self::Messages(writer) => writer.event(event, out),
            Self::Chat(writer) => writer.event(event, out, dropped),
            Self::Responses(writer) => writer.event(event, out),
        }
    }

    /// The answer has failed: the client's error event, after which nothing comes.
    pub(super) fn failure(&mut self, failure: &Failure, out: &mut BytesMut) {
        match self {
            Self::Messages(writer) => writer.failure(failure, out),
            Self::Chat(_) => chat::failure(failure, out),
            Self::Responses(writer) => writer.failure(failure, out),
        }
    }
}

/// A whole answer. What cannot be written is named in `dropped`.
pub(super) fn whole(context: &AnswerContext, answer: Answer, dropped: &mut Vec<&'static str>) -> String {
    match context.to {
        Dialect::Messages => messages::whole(context, answer),
        Dialect::Chat => chat::whole(context, answer, dropped),
        Dialect::Responses => responses::whole(context, answer),
    }
}

/// Adds a frame whose JSON is `before`, the text as a JSON string, and `after`: for the events that an answer consists of
/// almost entirely.
fn put_text(out: &mut BytesMut, event: &str, before: &str, text: &str, after: &str) {
    out.reserve(event.len() + before.len() + text.len() + after.len() + 24);
    if !event.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.as_bytes());
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(before.as_bytes());
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out.writer(), text);
    out.extend_from_slice(after.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Adds a frame with this JSON.
fn put(out: &mut BytesMut, event: &str, data: &str) {
    out.extend_from_slice(&Frame::write(event, data));
}
