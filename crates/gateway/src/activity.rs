//! What happens, as it happens: bounded summaries for whoever watches, with a backlog for who comes late.
//!
//! Telling costs a short lock and no rendering: notes are kept as they are, in one ring, and each reader renders what it takes
//! from there. A reader that is slower than the ring turns misses what was overwritten, and is told how much.

pub(crate) mod bounds;
mod drops;
pub(crate) mod note;
pub(crate) mod teller;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use luthien_record::redact::Redactor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use self::note::{Note, What};

pub use self::drops::tell_of_drops;

/// How many events are kept for late readers, and how many a slow reader may be behind before it misses some.
const KEPT: u64 = 4096;

/// How many events a reader takes at once.
const TAKEN: usize = 64;

/// One thing that happened. A summary of at most 4 KiB: bodies are read from the record by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ActivityEvent {
    /// The transaction; `call_id` says the same to older readers. Empty where there is none.
    #[serde(default)]
    pub transaction_id: String,
    /// The same.
    pub call_id: String,
    /// What sort of thing, as in the record.
    pub event_type: String,
    /// When.
    pub timestamp: Timestamp,
    /// What is to be known at once.
    pub data: Value,
    /// The gateway where it happened.
    #[serde(default)]
    pub replica: String,
}

/// Where happenings are told. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Activity {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    replica: String,
    redactor: Redactor,
    ring: Mutex<Ring>,
    news: Notify,
    missed: AtomicU64,
}

/// The last events, numbered from the start on.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    /// The number of the next event.
    next: u64,
    /// How many of all so far happened here.
    here: u64,
    readers: usize,
}

#[derive(Debug)]
struct Entry {
    note: Note,
    /// How many happened here before it.
    here: u64,
}

impl Ring {
    fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// Gives back what is no longer kept, to be dropped without the lock.
    fn push(&mut self, note: Note) -> Option<Entry> {
        let old = if self.entries.len() as u64 == KEPT { self.entries.pop_front() } else { None };
        let here = self.here;
        self.here += u64::from(!note.is_from_elsewhere());
        self.entries.push_back(Entry { note, here });
        self.next += 1;
        old
    }

    /// The entries from this number on, the oldest kept one first.
    fn from(&self, number: u64) -> impl Iterator<Item = &Entry> {
        let skip = number.saturating_sub(self.first());
        self.entries.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// An event.
    Event(Arc<ActivityEvent>),
    /// It was too slow for so many.
    Dropped(u64),
}

/// How the stream fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ActivityHealth {
    /// How many read it now.
    pub readers: usize,
    /// How many events slow readers have missed since the start, each reader counted.
    pub missed: u64,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new("gateway")
    }
}

impl Activity {
    /// Nothing has happened yet. `replica` names this gateway among others.
    pub fn new(replica: &str) -> Self {
        Self::redacting(replica, Redactor::default())
    }

    /// The same, and nothing that `redactor` finds is told.
    pub fn redacting(replica: &str, redactor: Redactor) -> Self {
        let (ring, news, missed) = (Mutex::default(), Notify::new(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { replica: replica.to_owned(), redactor, ring, news, missed }) }
    }

    /// What takes out of texts what is not told, before they are cut.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.inner.redactor
    }

    /// The name of this gateway.
    pub fn replica(&self) -> &str {
        &self.inner.replica
    }

    /// Tells it. What of `data` is long is cut, visibly.
    pub fn tell(&self, transaction: &str, event_type: &str, timestamp: Timestamp, mut data: Value) {
        self.inner.redactor.value(&mut data);
        let event = ActivityEvent {
            transaction_id: transaction.to_owned(),
            call_id: transaction.to_owned(),
            event_type: bounds::short(event_type, bounds::NAME).into_owned(),
            timestamp,
            data: bounds::fitted(data),
            replica: self.inner.replica.clone(),
        };
        self.note([Note { at: timestamp, what: What::Rendered(Arc::new(event)) }]);
    }

    /// Passes on what happened at another gateway.
    pub(crate) fn pass_on(&self, event: ActivityEvent) {
        self.note([Note { at: event.timestamp, what: What::Elsewhere(Arc::new(event)) }]);
    }

    /// Takes notes, at once and in this order.
    pub(crate) fn note(&self, notes: impl IntoIterator<Item = Note>) {
        let mut old = [const { None }; 8];
        let readers = {
            let mut ring = self.inner.ring();
            for (index, note) in notes.into_iter().enumerate() {
                let gone = ring.push(note);
                if let Some(place) = old.get_mut(index) {
                    *place = gone;
                }
            }
            ring.readers
        };
        if readers > 0 {
            self.inner.news.notify_waiters();
        }
    }

    /// Somebody reads: what costs something to tell is worth it.
    pub(crate) fn is_watched(&self) -> bool {
        self.inner.ring().readers > 0
    }

    /// How the stream fares.
    pub fn health(&self) -> ActivityHealth {
        ActivityHealth { readers: self.inner.ring().readers, missed: self.inner.missed.load(Ordering::Relaxed) }
    }

    /// A reader from now on; with `since`, what was told after that first, as far as it is kept.
    pub fn watch(&self, since: Option<Timestamp>) -> Watcher {
        let mut ring = self.inner.ring();
        ring.readers += 1;
        let (next, here) = match since {
            Some(_) => (ring.first(), ring.entries.front().map_or(ring.here, |entry| entry.here)),
            None => (ring.next, ring.here),
        };
        Watcher { inner: Arc::clone(&self.inner), next, here, caught_up: ring.next, since, taken: VecDeque::new() }
    }
}

impl Inner {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader: first what it missed, then what comes.
#[derive(Debug)]
pub struct Watcher {
    inner: Arc<Inner>,
    /// The number of the next event to take.
    next: u64,
    /// How many of those before it happened here.
    here: u64,
    /// Up to here `since` counts: what was told before the reader came.
    caught_up: u64,
    since: Option<Timestamp>,
    taken: VecDeque<Note>,
}

/// What there was to take.
struct Taken {
    /// So many are gone.
    missed: u64,
    /// So many of those happened here.
    missed_here: u64,
    /// Something was there.
    more: bool,
}

impl Watcher {
    /// The next event, once there is one.
    pub async fn next(&mut self) -> Seen {
        let inner = Arc::clone(&self.inner);
        loop {
            let mut news = std::pin::pin!(inner.news.notified());
            // From here on no event is overlooked.
            news.as_mut().enable();
            if let Some(seen) = self.at_once(None) {
                return seen;
            }
            news.await;
        }
    }

    /// The next event of those that have been told before `end`, where that is given; none if there is none.
    pub(crate) fn at_once(&mut self, end: Option<u64>) -> Option<Seen> {
        loop {
            if let Some(note) = self.taken.pop_front() {
                return Some(Seen::Event(note.rendered(&self.inner.replica)));
            }
            let Taken { missed, more, .. } = self.take(end);
            if missed > 0 {
                self.inner.missed.fetch_add(missed, Ordering::Relaxed);
                return Some(Seen::Dropped(missed));
            }
            if !more {
                return None;
            }
        }
    }

    /// The number that the next event of all will have.
    pub(crate) fn end(&self) -> u64 {
        self.inner.ring().next
    }

    /// Some of what happened here since the last call, and how many such events were missed before them; none once there is
    /// nothing more to take. Not to be mixed with [`Watcher::next`].
    pub(crate) fn here(&mut self) -> Option<(Vec<Arc<ActivityEvent>>, u64)> {
        let Taken { missed_here, more, .. } = self.take(None);
        let notes = self.taken.drain(..).filter(|note| !note.is_from_elsewhere());
        let events = notes.map(|note| note.rendered(&self.inner.replica)).collect();
        more.then_some((events, missed_here))
    }

    /// Resolves when there may be something to take.
    pub(crate) async fn news(&self) {
        let mut news = std::pin::pin!(self.inner.news.notified());
        news.as_mut().enable();
        if self.next == self.end() {
            news.await;
        }
    }

    /// Takes some events out of the ring, unless what came before them is gone.
    fn take(&mut self, end: Option<u64>) -> Taken {
        let ring = self.inner.ring();
        let missed = ring.first().saturating_sub(self.next);
        self.next += missed;
        let here_now = ring.from(self.next).next().map_or(ring.here, |entry| entry.here);
        let missed_here = here_now.saturating_sub(self.here);
        let end = end.unwrap_or(ring.next).min(ring.next);
        let most = usize::try_from(end.saturating_sub(self.next)).unwrap_or(usize::MAX).min(TAKEN);
        let (since, caught_up) = (self.since, self.caught_up);
        for entry in ring.from(self.next).take(most) {
            let late = self.next < caught_up && since.is_some_and(|since| entry.note.at <= since);
            if !late {
                self.taken.push_back(entry.note.clone());
            }
            self.next += 1;
        }
        self.here = ring.from(self.next).next().map_or(ring.here, |entry| entry.here);
        Taken { missed, missed_here, more: most > 0 }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.inner.ring().readers -= 1;
    }
}

#[cfg(test)]
mod tests;
