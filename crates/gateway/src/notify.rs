//! Who is told: what happens goes to a web address of the operator's, off the way of requests.
//!
//! Telling is one attempt to put something into a bounded queue. One task owns what is sent from there.

mod deliver;
mod kinds;
mod payload;
mod post;
mod sign;
mod watch;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use luthien_record::model::{End, Evaluation, Status};
use luthien_record::recorder::Outline;
use serde_json::Value;
use tokio::sync::mpsc;

pub use kinds::{Kind, Wanted};
pub use post::{Post, PostConfig};

/// The most decisions that one notification names.
pub(crate) const DECISIONS: usize = 20;

/// What a notification is about.
#[derive(Clone, Debug)]
pub(crate) enum About {
    /// No transaction.
    Nothing,
    /// One that goes on, of which only names are known.
    Named { transaction_id: String, session_id: Option<String>, user_id: Option<String>, model: String },
    /// One that goes on.
    Open(Box<Outline>),
    /// One that has ended.
    Ended(Box<Outline>, End),
}

/// Something to be told.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) kind: Kind,
    pub(crate) at: Timestamp,
    /// In one line, for people.
    pub(crate) text: String,
    pub(crate) about: About,
    /// What belongs to this kind alone.
    pub(crate) data: Value,
}

/// How telling fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifierHealth {
    /// Notifications that wait or are under way.
    pub pending: usize,
    /// Delivered since the start.
    pub delivered: u64,
    /// Not taken because too many were waiting.
    pub dropped: u64,
    /// Given up after all tries.
    pub failed: u64,
}

/// The way to tell. Cloning shares it; the default tells nobody.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Notice>,
    wanted: Wanted,
    counts: Arc<Counts>,
    /// Where people reach the gateway, for links.
    base: Arc<OnceLock<String>>,
}

#[derive(Debug, Default)]
struct Counts {
    pending: AtomicUsize,
    delivered: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Notifier {
    /// Whether anybody wants to hear of transactions that end so. Cheap.
    pub(crate) fn wants_transaction(&self, status: Status, evaluation: Evaluation) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.wanted.transaction(status, evaluation))
    }

    /// Whether anybody wants to hear of this. Cheap.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.wanted.kind(kind))
    }

    /// Tells it. Never waits: what finds no room is dropped and counted.
    pub(crate) fn tell(&self, notice: Notice) {
        let Some(inner) = &self.0 else { return };
        let counts = &inner.counts;
        counts.pending.fetch_add(1, Ordering::Relaxed);
        if inner.queue.try_send(notice).is_err() {
            counts.pending.fetch_sub(1, Ordering::Relaxed);
            let dropped = counts.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            // Once for each power of two: a flood of drops must not become a flood of lines.
            if dropped.is_power_of_two() {
                tracing::warn!(
                    dropped,
                    "notifications are dropped: too many wait for the webhook (WEBHOOK_MAX_PENDING_TASKS)"
                );
            }
        }
    }

    /// Links lead here from now on, unless the settings say where.
    pub fn found_at(&self, base: &str) {
        if let Some(inner) = &self.0 {
            // What the settings say stands.
            let _ = inner.base.set(base.trim_end_matches('/').to_owned());
        }
    }

    /// How telling fares; none where nobody is told.
    pub fn health(&self) -> Option<NotifierHealth> {
        let counts = &self.0.as_ref()?.counts;
        Some(NotifierHealth {
            pending: counts.pending.load(Ordering::Relaxed),
            delivered: counts.delivered.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
        })
    }
}
