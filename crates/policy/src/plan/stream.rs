//! Asks streaming members about pieces of a text, surviving their panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use luthien_wire::turn::BlockId;

use super::{Inner, Ledger, Opened};
use crate::contract::{Action, Target};

/// A member that blocks has panicked: the text must not go on. Holds what the client is told.
pub(crate) struct Panicked(pub(crate) String);

impl Ledger<'_> {
    /// What a member makes of a piece; `None`: what it is.
    pub(crate) fn piece(&self, member: &Opened, id: BlockId, text: &str) -> Result<Option<String>, Panicked> {
        self.survive(member, id, || member.review.text_delta(id, text))
    }

    /// What a member has held back of a block that has ended.
    pub(crate) fn rest(&self, member: &Opened, id: BlockId) -> Result<String, Panicked> {
        self.survive(member, id, || member.review.text_end(id))
    }

    /// A member that has panicked is not asked again; what becomes of the text is its `on_error`.
    fn survive<T: Default>(&self, member: &Opened, id: BlockId, ask: impl FnOnce() -> T) -> Result<T, Panicked> {
        if member.panicked.load(Ordering::Relaxed) {
            return Ok(T::default());
        }
        catch_unwind(AssertUnwindSafe(ask)).or_else(|_panic| {
            member.panicked.store(true, Ordering::Relaxed);
            match self.cannot_ask(member, &Target::Text { block: id }, "the policy panicked").action {
                Action::Block(message) => Err(Panicked(message)),
                Action::Pass | Action::Replace(_) | Action::Ask(_) => Ok(T::default()),
            }
        })
    }
}

impl Inner {
    /// What a member wants said at the end; nothing if it panics.
    pub(super) fn closing_of(&self, member: &Opened) -> Vec<String> {
        let target = Target::Turn;
        catch_unwind(AssertUnwindSafe(|| member.review.closing())).unwrap_or_else(|_panic| {
            Ledger::enforced(self).cannot_ask(member, &target, "the policy panicked");
            Vec::new()
        })
    }
}
