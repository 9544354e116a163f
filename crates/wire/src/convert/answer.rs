//! Answers: read into a neutral form, written in the client's dialect.
//!
//! A reader makes events of a vendor's frames or body (`read`), they are put in sequence (`order`), fitted to what the client
//! can hold (`fit`), and written (`write`): piece by piece for a stream, at once for a body (`build`). Where a client takes no
//! text behind a call, a stream's calls wait (`hold`).

mod build;
mod event;
mod fit;
mod free_text;
mod hold;
mod json_end;
mod logprobs;
mod order;
mod read;
mod thought;
mod usage;
mod write;

use bytes::{Bytes, BytesMut};

use super::AnswerContext;
use super::errors::{Class, Failure, envelope};
use crate::dialect::Dialect;
use crate::sse::{Frame, Splitter};
use crate::turn::Unreadable;
use build::Answer;
use event::{EACH, Event, Kind};
use fit::Fit;
use hold::{Hold, TooMuch};
use order::{Disorder, Order};
use read::Reader;
pub(crate) use usage::{ToldUsage, told_usage};
use write::Writer;
pub(super) use write::messages_text;

/// What an answer may say in all, as a multiple of the limit of one event: a client's dialect may have it all repeated.
const EVENTS_IN_ANSWER: usize = 8;

/// A whole answer in the client's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertedAnswer {
    /// The body for the client.
    pub body: Bytes,
    /// What the client's dialect has no place for, in order, as a type or path of the upstream's (`web_search_call`,
    /// `choices[1]`), with a few words in brackets where that does not say what stood there.
    pub dropped: Vec<String>,
    /// The upstream answered 200 with a failure inside (Responses `status: failed`, Chat `error`): the status with which
    /// `body`, then the client's error envelope, is to go out.
    pub failed: Option<u16>,
}

/// Converts a streamed answer: bytes of the upstream's events in, bytes of the client's events out.
#[derive(Debug)]
pub struct StreamConverter {
    splitter: Splitter,
    reader: Reader,
    order: Order,
    fit: Fit,
    /// For Messages clients, unless whoever reads on holds the calls.
    hold: Option<Hold>,
    writer: Writer,
    said: usize,
    limit: usize,
    ended: bool,
    trouble: Option<String>,
}

impl StreamConverter {
    /// A stream is about to come. Events of more than `limit` bytes are refused. A Messages client gets the calls when the
    /// answer has ended, since no text may follow them; up to `limit` bytes of them are held.
    pub fn new(context: AnswerContext, limit: usize) -> Self {
        Self {
            splitter: Splitter::new(limit),
            reader: Reader::new(context.from),
            order: Order::new(limit),
            fit: Fit::new(&context),
            hold: (context.to == Dialect::Messages).then(|| Hold::new(limit)),
            writer: Writer::new(context),
            said: 0,
            limit: limit.saturating_mul(EVENTS_IN_ANSWER),
            ended: false,
            trouble: None,
        }
    }

    /// The same, with up to `limit` bytes of calls held.
    #[must_use]
    pub fn holding_calls(mut self, limit: usize) -> Self {
        self.hold = self.hold.is_some().then(|| Hold::new(limit));
        self
    }

    /// The same, with blocks written where they come: whoever reads on holds the calls and puts texts in front of them.
    #[must_use]
    pub fn calls_held_elsewhere(mut self) -> Self {
        self.hold = None;
        self
    }

    /// Takes bytes of the upstream, divided in any way; gives the client's events that follow from them. What cannot be read
    /// becomes the client's error event, and nothing comes after it.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        if !self.ended {
            self.splitter.push(chunk);
        }
        while !self.ended {
            match self.splitter.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, &mut out),
                Ok(None) => break,
                Err(oversized) => self.fail(&oversized.to_string(), &mut out),
            }
        }
        out.freeze()
    }

    /// The upstream's body has ended, or broken off: what is still to be written. No terminal event is made up where the
    /// answer had none, so that the caller says that it is incomplete; but an answer that has stopped is ended (W-54).
    pub fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if self.ended {
            return out.freeze();
        }
        // A last frame without its blank line counts if it can be read.
        if let Some(frame) = self.splitter.finish() {
            let mut events = Vec::new();
            if self.reader.frame(&frame, &mut events).is_ok() {
                self.events(events, &mut out);
            }
        }
        if !self.ended {
            let mut events = Vec::new();
            self.reader.finish(&mut events);
            self.events(events, &mut out);
        }
        self.ended = true;
        out.freeze()
    }

    /// Instead of `push`: the upstream answered a streamed request with a whole body. Gives the client's whole stream.
    pub fn push_whole(&mut self, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        if self.ended {
            return out.freeze();
        }
        let mut events = Vec::new();
        let read = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson);
        match read.and_then(|text| self.reader.whole(text, &mut events)) {
            Ok(()) => self.events(events, &mut out),
            Err(error) => self.fail(&error.to_string(), &mut out),
        }
        self.ended = true;
        out.freeze()
    }

    /// What the client's dialect had no place for so far, as in [`ConvertedAnswer::dropped`]; complete after `finish`.
    pub fn dropped(&self) -> &[String] {
        &self.fit.dropped
    }

    /// Why the converter itself ended the stream with an error (a frame that cannot be read, or too large), for the record.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn frame(&mut self, frame: &Frame, out: &mut BytesMut) {
        let mut events = Vec::new();
        let read = self.reader.frame(frame, &mut events);
        self.events(events, out);
        if let Err(error) = read {
            self.fail(&error.to_string(), out);
        }
    }

    fn events(&mut self, events: Vec<Event>, out: &mut BytesMut) {
        let (mut ordered, mut fitted) = (Vec::new(), Vec::new());
        for event in events {
            if self.ended {
                return;
            }
            self.said = self.said.saturating_add(weight(&event));
            if self.said > self.limit {
                self.fail(&format!("an answer of more than {} bytes", self.limit), out);
                return;
            }
            if let Event::Failure(failure) = event {
                self.ended = true;
                self.writer.failure(&failure, out);
                return;
            }
            let done = event == Event::Done;
            let result = self.order.push(event, &mut ordered);
            for event in ordered.drain(..) {
                self.fit.push(event, &mut fitted);
            }
            let held = self.write(fitted.drain(..), out);
            if let Err(disorder) = result {
                self.fail(&disorder.to_string(), out);
            }
            if let Err(too_much) = held {
                self.fail(&too_much.to_string(), out);
            }
            self.ended |= done;
        }
    }

    /// Writes what need not wait.
    fn write(&mut self, events: impl Iterator<Item = Event>, out: &mut BytesMut) -> Result<(), TooMuch> {
        let (mut ready, mut unwritten) = (Vec::new(), Vec::new());
        let mut result = Ok(());
        for event in events {
            match &mut self.hold {
                Some(hold) => result = result.and(hold.push(event, &mut ready)),
                None => ready.push(event),
            }
            for event in ready.drain(..) {
                self.writer.event(event, out, &mut unwritten);
            }
        }
        for name in unwritten {
            self.fit.drop(name);
        }
        result
    }

    /// The gateway's own error, as the client's last event.
    fn fail(&mut self, why: &str, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.trouble = Some(why.to_owned());
        let message = format!("the upstream's answer cannot be read: {why}");
        self.writer.failure(&Failure::own(Class::Server, message), out);
    }
}

/// The bytes that an event may cost to keep.
fn weight(event: &Event) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match event {
        Event::Delta(_, delta) => delta.weight(),
        Event::Start(_, Kind::Call { id, name, .. }) => EACH + id.len() + name.len(),
        Event::Start(_, Kind::Search { id }) => EACH + id.len(),
        Event::Start(..) => EACH,
        Event::Head(head) => EACH + length(&head.id) + length(&head.model),
        Event::Dropped(name) => EACH + name.len(),
        _ => 0,
    }
}

/// Converts a whole answer.
pub fn whole(context: &AnswerContext, body: &[u8]) -> Result<ConvertedAnswer, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    let mut events = Vec::new();
    Reader::new(context.from).whole(text, &mut events)?;
    let (mut order, mut fit) = (Order::new(usize::MAX), Fit::new(context));
    let (mut ordered, mut fitted) = (Vec::new(), Vec::new());
    for event in events {
        order.push(event, &mut ordered).map_err(|disorder| match disorder {
            Disorder::Unreadable(unreadable) => unreadable,
            Disorder::TooMuch(_) | Disorder::TooMany => Unreadable::Contradiction,
        })?;
    }
    for event in ordered {
        fit.push(event, &mut fitted);
    }
    let mut answer = Answer::default();
    for event in fitted {
        answer.add(event);
    }
    if let Some(failure) = answer.failure {
        let body = envelope(&failure, context.to, &context.id);
        return Ok(ConvertedAnswer { body, dropped: fit.dropped, failed: Some(failure.status(context.to)) });
    }
    let mut unwritten = Vec::new();
    let body = write::whole(context, answer, &mut unwritten).into();
    for name in unwritten {
        fit.drop(name);
    }
    Ok(ConvertedAnswer { body, dropped: fit.dropped, failed: None })
}
