//! What happens, as it happens: bounded summaries for whoever watches, with a short backlog for who comes late.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

/// How many events are kept for late readers, and how many a slow reader may be behind before it misses some.
const BACKLOG: usize = 1000;

/// One thing that happened. A summary: bodies are read from the record by its id.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActivityEvent {
    /// The transaction; `call_id` says the same to older readers.
    pub transaction_id: String,
    /// The same.
    pub call_id: String,
    /// What sort of thing, as in the record.
    pub event_type: String,
    /// When.
    pub timestamp: Timestamp,
    /// What is to be known at once.
    pub data: Value,
}

/// Where happenings are told. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Activity {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recent: Mutex<VecDeque<Arc<ActivityEvent>>>,
    live: broadcast::Sender<Arc<ActivityEvent>>,
}

/// One reader: first what it missed, then what comes.
#[derive(Debug)]
pub struct Watcher {
    missed: VecDeque<Arc<ActivityEvent>>,
    live: broadcast::Receiver<Arc<ActivityEvent>>,
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// An event.
    Event(Arc<ActivityEvent>),
    /// It was too slow for so many.
    Dropped(u64),
    /// Nothing more will come.
    Over,
}

impl Default for Activity {
    fn default() -> Self {
        let (live, _) = broadcast::channel(BACKLOG);
        Self { inner: Arc::new(Inner { recent: Mutex::default(), live }) }
    }
}

impl Activity {
    /// Tells it.
    pub fn tell(&self, transaction: &str, event_type: &str, timestamp: Timestamp, data: Value) {
        let event = Arc::new(ActivityEvent {
            transaction_id: transaction.to_owned(),
            call_id: transaction.to_owned(),
            event_type: event_type.to_owned(),
            timestamp,
            data,
        });
        let mut recent = self.inner.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == BACKLOG {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&event));
        // Under the same lock, so that a new reader sees each event once. Nobody may be listening.
        let _ = self.inner.live.send(event);
    }

    /// A reader from now on; with `since`, what was told after that first, as far as it is kept.
    pub fn watch(&self, since: Option<Timestamp>) -> Watcher {
        let recent = self.inner.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.inner.live.subscribe();
        let missed = since.map(|since| recent.iter().filter(|event| event.timestamp > since).cloned().collect());
        Watcher { missed: missed.unwrap_or_default(), live }
    }
}

impl Watcher {
    /// The next event.
    pub async fn next(&mut self) -> Seen {
        if let Some(event) = self.missed.pop_front() {
            return Seen::Event(event);
        }
        match self.live.recv().await {
            Ok(event) => Seen::Event(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Seen::Dropped(missed),
            Err(broadcast::error::RecvError::Closed) => Seen::Over,
        }
    }
}

#[cfg(test)]
mod tests;
