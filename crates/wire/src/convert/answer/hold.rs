//! Holds the calls of an answer back until its texts are out, for a client that takes no text behind a call.
//!
//! Texts go out as they come. What is neither text nor call (reasoning) and comes behind a held call keeps its place among
//! the calls: what it seals may belong to the call that follows it.

use super::event::{Delta, Event, Kind};
use super::weight;

/// Fragments are joined up to this length: each costs beside its letters, and a client need not take events of any length.
const JOINED: usize = 16 << 10;

/// More had to be held than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls of more than {0} bytes, which wait until the answer's texts are out")]
pub(super) struct TooMuch(usize);

/// The holder. Events come in sequence, one block at a time.
#[derive(Debug)]
pub(super) struct Hold {
    events: Vec<Event>,
    /// The open block is held.
    open: bool,
    held: usize,
    limit: usize,
}

impl Hold {
    /// Holds at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { events: Vec::new(), open: false, held: 0, limit }
    }

    /// Takes an event, adds what goes out now to `out`. The end of the answer lets go of all that was held.
    pub(super) fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), TooMuch> {
        match &event {
            Event::Start(_, Kind::Text | Kind::Refusal) => self.open = false,
            Event::Start(_, kind) => self.open = kind.is_call() || !self.events.is_empty(),
            Event::Done => {
                out.append(&mut self.events);
                (self.open, self.held) = (false, 0);
            }
            _ => {}
        }
        if !self.open || !matches!(event, Event::Start(..) | Event::Delta(..) | Event::End(_)) {
            out.push(event);
            return Ok(());
        }
        self.open &= !matches!(event, Event::End(_));
        self.held += weight(&event);
        self.keep(event);
        if self.held > self.limit { Err(TooMuch(self.limit)) } else { Ok(()) }
    }

    fn keep(&mut self, event: Event) {
        if let (Some(Event::Delta(_, Delta::Arguments(text))), Event::Delta(_, Delta::Arguments(more)))
        | (Some(Event::Delta(_, Delta::Text(text))), Event::Delta(_, Delta::Text(more))) =
            (self.events.last_mut(), &event)
            && text.len() + more.len() <= JOINED
        {
            text.push_str(more);
            return;
        }
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests;
