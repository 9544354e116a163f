//! Choices whose calls stay behind together: a question about one of them is nobody's any more.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// The choices of one answer that are covered by a block.
#[derive(Debug, Default)]
pub(super) struct Covered {
    choices: Mutex<Vec<u32>>,
    told: Notify,
}

impl Covered {
    /// A block covers this choice's calls.
    pub(super) fn cover(&self, choice: u32) {
        self.choices.lock().unwrap_or_else(PoisonError::into_inner).push(choice);
        self.told.notify_waiters();
    }

    /// Waits until one does.
    pub(super) async fn until(&self, choice: u32) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            // From here on nothing that is told is missed.
            told.as_mut().enable();
            if self.choices.lock().unwrap_or_else(PoisonError::into_inner).contains(&choice) {
                return;
            }
            told.await;
        }
    }
}
