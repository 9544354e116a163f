//! What has been asked, and how each answer ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use luthien_wire::Dialect;
use tokio::sync::watch;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not.
    Playing,
    /// All of it was handed to the socket.
    Complete,
    /// The script broke it off.
    BrokenOff,
    /// The client went away before its end.
    ClientGone,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The path with its query, as sent.
    pub path: String,
    /// The headers in order, with the case of their names.
    pub headers: Vec<(String, String)>,
    /// The body, as sent.
    pub body: Bytes,
    /// The body without its content coding.
    pub plain: Bytes,
    /// The connection it came on, from 1.
    pub connection: u64,
    /// How its answer ended.
    pub ending: Ending,
}

impl Recorded {
    /// The first value of a header, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, its content coding undone; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.plain).unwrap_or_default()
    }

    /// Whether a model was asked for an answer.
    pub(super) fn is_turn(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.method == "POST" && Dialect::ALL.iter().any(|dialect| path.ends_with(dialect.path()))
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    entries: Mutex<Entries>,
    changed: watch::Sender<()>,
    connections: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    all: Vec<Recorded>,
    /// Goes up when the log is cleared, so that late endings do not hit newer entries.
    era: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { entries: Mutex::default(), changed: watch::Sender::new(()), connections: AtomicU64::new(0) }
    }
}

impl Log {
    pub(super) fn all(&self) -> Vec<Recorded> {
        self.with(|entries| entries.all.clone())
    }

    pub(super) fn clear(&self) {
        self.with(|entries| {
            entries.all.clear();
            entries.era += 1;
        });
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn connected(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until the entries are as wanted.
    pub(super) async fn wait(&self, wanted: impl Fn(&[Recorded]) -> bool) -> Vec<Recorded> {
        let mut changes = self.changed.subscribe();
        loop {
            let all = self.all();
            // The sender lives as long as the log: no error can come.
            if wanted(&all) || changes.changed().await.is_err() {
                return all;
            }
        }
    }

    /// Keeps a request; the guard tells how its answer ends.
    pub(super) fn enter(self: &Arc<Self>, request: Recorded) -> Guard {
        let place = self.with(|entries| {
            entries.all.push(request);
            (entries.era, entries.all.len() - 1)
        });
        self.changed.send_replace(());
        Guard { place: Some((self.clone(), place.0, place.1)) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Entries) -> T) -> T {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Follows one answer. Dropped without a word, it says that the client went away.
#[derive(Debug)]
pub(crate) struct Guard {
    place: Option<(Arc<Log>, u64, usize)>,
}

impl Guard {
    pub(super) fn end(&mut self, ending: Ending) {
        let Some((log, era, number)) = self.place.take() else { return };
        log.with(|entries| {
            if let Some(entry) = entries.all.get_mut(number).filter(|_| entries.era == era) {
                entry.ending = ending;
            }
        });
        log.changed.send_replace(());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(Ending::ClientGone);
    }
}
