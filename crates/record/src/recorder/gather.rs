//! The pieces of a transaction, shared between the gateway, the journal and the writer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_wire::Dialect;

use super::redacting::Redacting;
use crate::model::{Decision, End, Evaluation, Event, Headers, RawHeads, Start};
use crate::redact::Redactor;

/// What was sent upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) upstream: String,
    pub(crate) method: String,
    pub(crate) url: String,
    /// `None`: the client's.
    pub(crate) dialect: Option<Dialect>,
    /// `None`: the client's own.
    pub(crate) body: Option<Bytes>,
    /// What the policies made of the request, in the client's dialect. `None`: the body, or the client's own where the upstream
    /// speaks another dialect.
    pub(crate) edited: Option<Bytes>,
}

impl Sent {
    /// Bytes of its bodies.
    fn size(&self) -> usize {
        [&self.body, &self.edited].into_iter().flatten().map(Bytes::len).sum()
    }
}

/// The pieces of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    pub(crate) start: Start,
    pub(crate) sent: Option<Sent>,
    pub(crate) response_status: Option<u16>,
    pub(crate) response_headers: Headers,
    pub(crate) response: Vec<u8>,
    /// `None`: the upstream's own.
    pub(crate) client: Option<Vec<u8>>,
    pub(crate) first_byte: Option<Timestamp>,
    /// The heads of the exchanges, where raw HTTP is logged.
    pub(crate) heads: Option<Box<RawHeads>>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) events: Vec<Event>,
    pub(crate) evaluation: Evaluation,
    pub(crate) http_status: Option<u16>,
    pub(crate) end: Option<End>,
    /// Something of it was damaged in the journal.
    pub(crate) incomplete: bool,
}

impl Pieces {
    /// Bytes of its bodies.
    pub(crate) fn size(&self) -> usize {
        let sent = self.sent.as_ref().map_or(0, Sent::size);
        self.start.request.len() + sent + self.response.len() + self.client.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            sent: None,
            response_status: None,
            response_headers: Headers::new(),
            response: Vec::new(),
            client: None,
            first_byte: None,
            heads: None,
            decisions: Vec::new(),
            events: Vec::new(),
            evaluation: Evaluation::NotEvaluated,
            http_status: None,
            end: None,
            incomplete: false,
        }
    }
}

/// The pieces, and how much of them is in the journal.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pieces: Pieces,
    pub(crate) kept: Kept,
    /// The journal's segments with records of this transaction.
    pub(crate) segments: Vec<u64>,
    /// It is stored or spooled, and no business of the journal any more.
    pub(crate) settled: bool,
    /// When it ended, by the clock that only goes forward.
    pub(crate) finished: Option<Instant>,
    pub(crate) redacting: Redacting,
}

impl State {
    /// Of pieces that may be stored as they are.
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self::redacted(pieces, Redactor::default())
    }

    /// Of pieces that are looked at before they are stored.
    pub(crate) fn redacted(pieces: Pieces, redactor: Redactor) -> Self {
        let redacting = Redacting::new(redactor);
        Self { pieces, kept: Kept::default(), segments: Vec::new(), settled: false, finished: None, redacting }
    }
}

/// What the journal has. `true`: as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) start: bool,
    pub(crate) sent: bool,
    pub(crate) facts: bool,
    pub(crate) heads: bool,
    pub(crate) response: usize,
    pub(crate) client: Option<usize>,
    pub(crate) end: bool,
}

impl Kept {
    /// What is kept if nothing could be added since `before`.
    pub(crate) fn back_to(self, before: Self) -> Self {
        Self {
            start: self.start && before.start,
            sent: self.sent && before.sent,
            facts: self.facts && before.facts,
            heads: self.heads && before.heads,
            response: self.response.min(before.response),
            client: self.client.and(before.client),
            end: self.end && before.end,
        }
    }
}

/// A transaction's pieces behind a lock that is hardly ever wanted twice.
#[derive(Debug)]
pub(crate) struct Gather {
    /// Its place in the registry.
    pub(crate) slot: usize,
    state: Mutex<State>,
    keeping: Mutex<()>,
}

impl Gather {
    pub(crate) fn new(start: Start, slot: usize, redactor: Redactor) -> Self {
        let state = State::redacted(Pieces::new(start), redactor);
        Self { slot, state: Mutex::new(state), keeping: Mutex::new(()) }
    }

    /// While this is held nobody else brings the journal up to date with this transaction.
    pub(crate) fn one_keeps(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
