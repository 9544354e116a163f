//! What the handle, the transactions in flight, the writer and the journal's thread share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::gather::{Gather, Kept};
use super::queue::{Item, Queue};
use super::registry::Registry;
use crate::journal::{AppendError, Journal, record};
use crate::model::{Decision, TransactionId};
use crate::redact::Redactor;

/// How long a finished transaction may wait for the database before it goes to the journal.
const PATIENCE: Duration = Duration::from_millis(200);

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// So many things from the queue are stored, spooled or dropped.
    pub(super) processed: u64,
    /// So many spooled things are stored.
    pub(super) replayed: u64,
    /// It has ended.
    pub(super) stopped: bool,
}

/// The shared state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) registry: Registry,
    pub(super) queue: Queue,
    pub(super) journal: Journal,
    pub(super) progress: watch::Sender<Progress>,
    /// How many things were ever spooled.
    pub(super) spooled: AtomicU64,
    /// Nothing that was begun may go unrecorded.
    pub(super) required: bool,
    /// Why the database takes nothing now.
    away: Mutex<Option<String>>,
    /// Why the journal has not all that is in flight.
    unkept: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(queue: usize, journal: Journal, required: bool, redactor: Redactor) -> Self {
        Self {
            registry: Registry::new(redactor),
            queue: Queue::new(queue),
            journal,
            progress: watch::Sender::new(Progress::default()),
            spooled: AtomicU64::new(0),
            required,
            away: Mutex::new(None),
            unkept: Mutex::new(None),
        }
    }

    /// A transaction has ended. When memory is full it goes to the journal here and now: a write to the page cache, after
    /// the client has its answer.
    pub(super) fn finished(&self, gather: &Arc<Gather>, size: usize) {
        if self.queue.push(Item::Transaction(Arc::clone(gather)), size).is_err() {
            self.spool(gather);
        }
    }

    /// A decision came after its transaction's end.
    pub(super) fn late(&self, key: [u8; 16], id: TransactionId, decision: Decision) {
        if let Err(Item::Late { key, id, decision }) =
            self.queue.push(Item::Late { key, id, decision: Box::new(decision) }, 0)
        {
            self.spool_late(key, id, &decision);
        }
    }

    /// Whether a finished transaction has to wait in memory: the journal does not take it, and there is room. What passes the
    /// journal's limit waits only where the record is required: few do, since no more are begun.
    pub(super) fn stays_in_memory(&self, gather: &Gather) -> bool {
        let room = !self.queue.is_closed() && !self.queue.is_full();
        room && match self.journal.keep(gather) {
            Ok(()) => false,
            Err(AppendError::Io(_)) => true,
            Err(AppendError::Full) => self.required,
        }
    }

    /// Moves a finished transaction from memory to the journal.
    pub(super) fn spool(&self, gather: &Arc<Gather>) {
        let spooled = self.journal.spool(gather);
        self.registry.remove([gather]);
        self.spooled.fetch_add(u64::from(spooled), Ordering::SeqCst);
    }

    pub(super) fn spool_late(&self, key: [u8; 16], id: TransactionId, decision: &Decision) {
        let mut records = Vec::new();
        record::write_late(&mut records, key, id, decision);
        let spooled = self.journal.spool_records(&records);
        self.spooled.fetch_add(u64::from(spooled), Ordering::SeqCst);
    }

    /// Brings the journal up to date with what is in flight, and with what has ended and waits too long.
    pub(super) fn keep_in_flight(&self, patience: Duration) {
        let mut left_out = 0;
        let mut unkept = None;
        for gather in self.registry.all() {
            let recent = gather.lock().finished.is_some_and(|finished| finished.elapsed() < patience);
            if recent {
                continue;
            }
            // What does not fit now is tried again, and is dropped only when it has ended and cannot stay in memory.
            match self.journal.keep(&gather) {
                Ok(()) => {}
                // A smaller one may fit.
                Err(error @ AppendError::Full) => {
                    left_out += 1;
                    unkept = Some(error.to_string());
                }
                Err(error @ AppendError::Io(_)) => {
                    tracing::warn!(%error, "what is in flight is not in the journal");
                    unkept = Some(error.to_string());
                    break;
                }
            }
        }
        *self.unkept_because() = unkept;
        if left_out > 0 {
            tracing::warn!(count = left_out, "the journal has reached its limit and has not all that is in flight");
        }
    }

    /// Some of what the journal had is lost: what is in flight goes there once more, whole.
    pub(super) fn keep_again(&self) {
        for gather in self.registry.all() {
            gather.lock().kept = Kept::default();
        }
    }

    /// One round of the journal's thread.
    pub(super) fn tick(&self) {
        self.keep_in_flight(PATIENCE);
    }

    /// Whether what is begun now can be recorded.
    pub(super) fn can_record(&self) -> bool {
        let memory = self.away_because().is_none() && !self.queue.is_full();
        !self.queue.is_closed() && (memory || !self.journal.failing())
    }

    pub(super) fn unkept_because(&self) -> MutexGuard<'_, Option<String>> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn away_because(&self) -> MutexGuard<'_, Option<String>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
