//! Puts blocks in sequence: whatever overlaps upstream, one block is open at a time.
//!
//! Text and reasoning can be broken off and go on as a block of their own, so that they are never kept. A call cannot: what
//! comes beside an open call waits until the call ends, or until its arguments are a whole JSON value; beside a search of
//! the vendor's, until what it found is told.

use std::collections::{HashMap, VecDeque};

use super::event::{Delta, Event, Key, Kind, Opaque};
use super::json_end::JsonEnd;
use crate::turn::Unreadable;

/// More blocks than any answer has.
const MAX_BLOCKS: usize = 10_000;

/// Why an answer cannot be put in sequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disorder {
    /// It contradicts itself.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It would have to be kept, and is too large for it.
    #[error("calls that run beside each other hold more than {0} bytes")]
    TooMuch(usize),
    /// Too many blocks.
    #[error("an answer of more than {MAX_BLOCKS} blocks")]
    TooMany,
}

/// The sequencer.
#[derive(Debug)]
pub(super) struct Order {
    open: Option<Open>,
    /// What waits, by its key, and in which sequence.
    waiting: HashMap<Key, Waiting>,
    queue: VecDeque<Key>,
    /// Blocks that have begun and may go on.
    known: HashMap<Key, Kind>,
    blocks: usize,
    kept: usize,
    limit: usize,
}

#[derive(Debug)]
struct Open {
    key: Key,
    is_one: bool,
    /// A call whose arguments are JSON.
    has_json: bool,
    json: JsonEnd,
}

impl Open {
    /// It can be closed for another block.
    fn may_end(&self) -> bool {
        !self.is_one || (self.has_json && self.json.ended())
    }
}

#[derive(Debug)]
struct Waiting {
    kind: Kind,
    deltas: Vec<Delta>,
    ended: bool,
}

impl Waiting {
    /// Fragments of a text become one, or their number would cost more than their letters.
    fn add(&mut self, delta: Delta) {
        let is_member = |delta: &Delta| matches!(delta, Delta::Opaque(Opaque::Member(_)));
        if is_member(&delta) && self.deltas.iter().any(is_member) {
            return;
        }
        match (self.deltas.last_mut(), delta) {
            (Some(Delta::Text(text)), Delta::Text(more)) | (Some(Delta::Arguments(text)), Delta::Arguments(more)) => {
                text.push_str(&more);
            }
            (_, delta) => self.deltas.push(delta),
        }
    }
}

impl Order {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            open: None,
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            known: HashMap::new(),
            blocks: 0,
            kept: 0,
            limit,
        }
    }

    /// Takes an event, adds what can go out to `out`. Text and reasoning begin with their first delta.
    pub(super) fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Disorder> {
        match event {
            // Nobody could run it, and no client takes it.
            Event::Start(_, Kind::Call { name, .. }) if name.is_empty() => {
                return Err(Unreadable::Contradiction.into());
            }
            Event::Start(key, kind) => {
                self.blocks += 1;
                if self.blocks > MAX_BLOCKS {
                    return Err(Disorder::TooMany);
                }
                self.known.insert(key, kind.clone());
                if kind.is_one() {
                    self.begin(key, kind, None, out)?;
                }
            }
            Event::Delta(key, delta) => self.delta(key, delta, out)?,
            Event::End(key) => self.end(key, out),
            Event::Stop(_) | Event::Done => {
                if matches!(&event, Event::Stop(stop) if stop.is_cut()) {
                    out.push(Event::Cut);
                }
                self.close_all(out);
                out.push(event);
            }
            other => out.push(other),
        }
        Ok(())
    }

    fn delta(&mut self, key: Key, delta: Delta, out: &mut Vec<Event>) -> Result<(), Disorder> {
        if let Some(open) = self.open.as_mut().filter(|open| open.key == key) {
            if let Delta::Arguments(fragment) = &delta {
                open.json.push(fragment);
            }
            out.push(Event::Delta(key, delta));
            return Ok(());
        }
        if let Some(waiting) = self.waiting.get_mut(&key) {
            self.kept += delta.weight();
            waiting.add(delta);
            return self.check();
        }
        match self.known.get(&key) {
            Some(Kind::Call { .. } | Kind::Search { .. }) => match &delta {
                Delta::Arguments(fragment) if fragment.trim().is_empty() => Ok(()),
                _ => Err(Unreadable::Contradiction.into()),
            },
            Some(_) if matches!(delta, Delta::Citation(_)) => {
                out.push(Event::Dropped("citation (its text has ended)".into()));
                Ok(())
            }
            Some(kind) => {
                let kind = kind.clone();
                self.blocks += 1;
                if self.blocks > MAX_BLOCKS {
                    return Err(Disorder::TooMany);
                }
                self.begin(key, kind, Some(delta), out)
            }
            None => Err(Unreadable::Contradiction.into()),
        }
    }

    /// A block's first sign: it opens, or waits behind an open call.
    fn begin(&mut self, key: Key, kind: Kind, delta: Option<Delta>, out: &mut Vec<Event>) -> Result<(), Disorder> {
        if self.open.as_ref().is_none_or(Open::may_end) {
            self.close(out);
            self.advance(out);
        }
        if self.open.as_ref().is_some_and(|open| !open.may_end()) {
            self.kept += delta.as_ref().map_or(0, Delta::weight);
            self.waiting.insert(key, Waiting { kind, deltas: delta.into_iter().collect(), ended: false });
            self.queue.push_back(key);
            return self.check();
        }
        self.close(out);
        self.open(key, kind, delta.into_iter().collect(), out);
        Ok(())
    }

    fn end(&mut self, key: Key, out: &mut Vec<Event>) {
        self.known.remove(&key);
        if self.open.as_ref().is_some_and(|open| open.key == key) {
            self.close(out);
            self.advance(out);
        } else if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.ended = true;
        }
    }

    /// Opens what has waited, until a block stays open.
    fn advance(&mut self, out: &mut Vec<Event>) {
        while self.open.is_none() {
            let Some(key) = self.queue.pop_front() else { return };
            let Some(next) = self.waiting.remove(&key) else { continue };
            self.kept -= next.deltas.iter().map(Delta::weight).sum::<usize>();
            self.open(key, next.kind, next.deltas, out);
            let more = !self.queue.is_empty();
            if next.ended || (more && self.open.as_ref().is_some_and(Open::may_end)) {
                self.close(out);
            }
        }
    }

    fn open(&mut self, key: Key, kind: Kind, deltas: Vec<Delta>, out: &mut Vec<Event>) {
        let has_json = matches!(kind, Kind::Call { free_text: false, .. });
        let mut open = Open { key, is_one: kind.is_one(), has_json, json: JsonEnd::default() };
        out.push(Event::Start(key, kind));
        for delta in deltas {
            if let Delta::Arguments(fragment) = &delta {
                open.json.push(fragment);
            }
            out.push(Event::Delta(key, delta));
        }
        self.open = Some(open);
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            out.push(Event::End(open.key));
        }
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        self.close(out);
        while !self.queue.is_empty() {
            self.advance(out);
            self.close(out);
        }
    }

    fn check(&self) -> Result<(), Disorder> {
        if self.kept > self.limit { Err(Disorder::TooMuch(self.limit)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
