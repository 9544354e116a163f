//! Where the answers of members are written down: at once, or, within a group, once it is known which of them count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Decision, Inner};
use crate::contract::Mode;

/// A place for decisions. Dropping it hands on what it kept, so that nothing is lost where the client goes.
pub(crate) struct Ledger<'a> {
    pub(super) inner: &'a Inner,
    pub(super) mode: Mode,
    /// What waits for the group's answer, and where it goes then.
    kept: Option<(Mutex<Vec<Decision>>, &'a Ledger<'a>)>,
    overruled: AtomicBool,
}

impl<'a> Ledger<'a> {
    /// Writes down at once what is to be carried out.
    pub(crate) fn enforced(inner: &'a Inner) -> Self {
        Self { inner, mode: Mode::Enforce, kept: None, overruled: AtomicBool::new(false) }
    }

    /// Writes down at once what is only recorded.
    pub(super) fn shadow(inner: &'a Inner) -> Self {
        Self { inner, mode: Mode::Shadow, kept: None, overruled: AtomicBool::new(false) }
    }

    /// Of one member of a group.
    pub(super) fn of_member(&'a self) -> Self {
        let kept = Some((Mutex::default(), self));
        Self { inner: self.inner, mode: self.mode, kept, overruled: AtomicBool::new(false) }
    }

    /// Its member's answer does not count.
    pub(super) fn overrule(&self) {
        self.overruled.store(true, Ordering::Relaxed);
    }

    /// Writes a decision down.
    pub(super) fn record(&self, decision: Decision) {
        match &self.kept {
            Some((kept, _)) => kept.lock().unwrap_or_else(PoisonError::into_inner).push(decision),
            None => self.inner.decided(decision),
        }
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        let Some((kept, to)) = &self.kept else { return };
        let overruled = self.overruled.load(Ordering::Relaxed);
        for mut decision in std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner)) {
            decision.overruled |= overruled && decision.action != "pass";
            to.record(decision);
        }
    }
}
