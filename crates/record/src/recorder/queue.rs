//! What is finished and waits for the writer: bounded by count and bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::gather::Gather;
use crate::model::{Decision, TransactionId};

/// At most so many are written together. Rows of many transactions share the pages of indexes, each of which is written once: the
/// more come at once, the less each costs.
pub(super) const BATCH: usize = 4096;

/// At most so many bytes of bodies are written together, unless one transaction has more.
pub(super) const BATCH_BYTES: usize = 64 << 20;

/// How many bytes of bodies may wait.
const BYTES: usize = 256 << 20;

/// One thing to store.
#[derive(Debug)]
pub(super) enum Item {
    /// A finished transaction.
    Transaction(Arc<Gather>),
    /// A late decision, with the key that tells it from others.
    Late { key: [u8; 16], id: TransactionId, decision: Box<Decision> },
}

impl Item {
    /// Bytes of its bodies.
    fn size(&self) -> usize {
        match self {
            Self::Transaction(gather) => gather.lock().pieces.size(),
            Self::Late { .. } => 0,
        }
    }
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<(Item, usize)>,
    bytes: usize,
    pushed: u64,
    flush: bool,
    closed: bool,
}

impl State {
    /// As much waits as is written together.
    fn is_batch(&self) -> bool {
        self.items.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

impl Queue {
    /// A queue for at most `most` things.
    pub(super) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), wake: Notify::new() }
    }

    /// Adds something with so many bytes of bodies; gives it back if there is no room, or nobody left to take it.
    pub(super) fn push(&self, item: Item, size: usize) -> Result<(), Item> {
        let mut state = self.lock();
        let full = state.items.len() >= self.most || (state.bytes + size > BYTES && !state.items.is_empty());
        if full || state.closed {
            return Err(item);
        }
        let batch = state.is_batch();
        state.items.push_back((item, size));
        state.bytes += size;
        state.pushed += 1;
        let wake = state.items.len() == 1 || (!batch && state.is_batch());
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes a batch, oldest first.
    pub(super) fn take(&self) -> Vec<Item> {
        let mut state = self.lock();
        let (mut items, mut bytes) = (Vec::with_capacity(state.items.len().min(BATCH)), 0);
        while items.len() < BATCH
            && let Some((item, size)) =
                state.items.pop_front_if(|(_, size)| items.is_empty() || bytes + *size <= BATCH_BYTES)
        {
            bytes += size;
            items.push(item);
        }
        state.bytes -= bytes;
        items
    }

    /// Gives back what was taken and could not be dealt with.
    pub(super) fn put_back(&self, items: Vec<Item>) {
        let mut state = self.lock();
        for item in items.into_iter().rev() {
            let size = item.size();
            state.bytes += size;
            state.items.push_front((item, size));
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether there is no room for more.
    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        state.items.len() >= self.most || state.bytes >= BYTES
    }

    /// Has the writer write at once; gives how many were ever pushed.
    pub(super) fn flush(&self) -> u64 {
        let mut state = self.lock();
        state.flush = true;
        self.wake.notify_one();
        state.pushed
    }

    /// Takes no more; the writer ends once it is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Whether it takes no more.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until there is something to do: a batch is full or has waited for `gather`, a flush was asked for (`true`), the
    /// queue was closed, or it is `latest`.
    pub(super) async fn ready(&self, gather: Duration, latest: Option<Instant>) -> bool {
        let mut due = latest;
        let mut waiting = false;
        loop {
            {
                let mut state = self.lock();
                let flush = std::mem::take(&mut state.flush);
                if flush || state.closed || state.is_batch() {
                    return flush;
                }
                if !state.items.is_empty() && !waiting {
                    waiting = true;
                    let full = Instant::now() + gather;
                    due = Some(due.map_or(full, |due| due.min(full)));
                }
            }
            match due {
                None => self.wake.notified().await,
                Some(due) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep_until(due) => return false,
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
