//! Who is told: what happens goes to a web address of the operator's, off the way of requests.
//!
//! Telling is one attempt to put something into a bounded queue. One task owns what is sent from there.

mod bounds;
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
use luthien_record::redact::Redactor;
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
    /// What takes out of texts what is not told, before they are cut.
    redactor: Redactor,
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

    /// Tells what `notice` makes. Never waits: where there is no room nothing is made, and that is counted. What waits is short.
    pub(crate) fn tell(&self, notice: impl FnOnce() -> Notice) {
        let Some(inner) = &self.0 else { return };
        let counts = &inner.counts;
        if let Ok(place) = inner.queue.try_reserve() {
            counts.pending.fetch_add(1, Ordering::Relaxed);
            place.send(bounds::bounded(notice(), &inner.redactor));
            return;
        }
        let dropped = counts.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // Once for each power of two: a flood of drops must not become a flood of lines.
        if dropped.is_power_of_two() {
            tracing::warn!(
                dropped,
                "notifications are dropped: too many wait for the webhook (WEBHOOK_MAX_PENDING_TASKS)"
            );
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

#[cfg(test)]
mod tests {
    use luthien_record::redact::Redactor;

    use super::*;

    fn notifier(redactor: Redactor) -> (Notifier, mpsc::Receiver<Notice>) {
        let (queue, waiting) = mpsc::channel(1);
        let (wanted, counts, base) = (Wanted::default(), Arc::default(), Arc::default());
        (Notifier(Some(Arc::new(Inner { queue, wanted, redactor, counts, base }))), waiting)
    }

    fn notice(name: &str) -> Notice {
        let (session_id, user_id) = (Some(name.to_owned()), Some(name.to_owned()));
        let about = About::Named { transaction_id: "t".to_owned(), session_id, user_id, model: name.to_owned() };
        Notice { kind: Kind::PolicyAsk, at: Timestamp::UNIX_EPOCH, text: name.to_owned(), about, data: Value::Null }
    }

    #[test]
    fn what_waits_is_short_and_what_finds_no_room_is_not_made() {
        let (notifier, mut waiting) = notifier(Redactor::default());
        notifier.tell(|| notice(&"x".repeat(1 << 20)));
        notifier.tell(|| unreachable!("there is no room"));
        let health = notifier.health().unwrap();
        assert_eq!((health.pending, health.dropped), (1, 1));
        let Notice { text, about: About::Named { session_id, user_id, model, .. }, .. } = waiting.try_recv().unwrap()
        else {
            panic!("it is about something else")
        };
        assert_eq!(text, format!("{}…", "x".repeat(500)));
        for name in [session_id.unwrap(), user_id.unwrap(), model] {
            assert_eq!(name, format!("{}…", "x".repeat(256)));
            assert!(name.capacity() < 1 << 10, "{}", name.capacity());
        }
    }

    #[test]
    fn a_secret_where_a_text_is_cut_is_not_told() {
        let redactor = Redactor::new([("key", "sk-[0-9]{20}")]).unwrap();
        let (notifier, mut waiting) = notifier(redactor);
        // The first 22 of its 23 characters would be left.
        notifier.tell(|| notice(&format!("{}sk-01234567890123456789", "x".repeat(234))));
        let Notice { about: About::Named { model, .. }, .. } = waiting.try_recv().unwrap() else {
            panic!("it is about something else")
        };
        assert_eq!(model, format!("{}[redacted]", "x".repeat(234)));
    }
}
