//! Every transaction that is not stored yet, for the journal to look over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gather::Gather;
use crate::model::Start;
use crate::redact::Redactor;

/// The transactions, each in a slot that is used again.
#[derive(Debug, Default)]
pub(super) struct Registry {
    slots: Mutex<Slots>,
    redactor: Redactor,
}

#[derive(Debug, Default)]
struct Slots {
    used: Vec<Option<Arc<Gather>>>,
    free: Vec<usize>,
}

impl Registry {
    /// Whose transactions are looked at by `redactor` before they are stored.
    pub(super) fn new(redactor: Redactor) -> Self {
        Self { slots: Mutex::default(), redactor }
    }

    /// What transactions are looked at by.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Begins a transaction.
    pub(super) fn insert(&self, start: Start) -> Arc<Gather> {
        let mut slots = self.lock();
        if let Some(slot) = slots.free.pop() {
            let gather = Arc::new(Gather::new(start, slot, self.redactor.clone()));
            slots.used[slot] = Some(Arc::clone(&gather));
            return gather;
        }
        let gather = Arc::new(Gather::new(start, slots.used.len(), self.redactor.clone()));
        slots.used.push(Some(Arc::clone(&gather)));
        gather
    }

    /// Forgets transactions. Each may be given once.
    pub(super) fn remove<'a>(&self, gathers: impl IntoIterator<Item = &'a Arc<Gather>>) {
        let mut slots = self.lock();
        for gather in gathers {
            if slots.used[gather.slot].take().is_some() {
                slots.free.push(gather.slot);
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        let slots = self.lock();
        slots.used.len() - slots.free.len()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Gather>> {
        self.lock().used.iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
