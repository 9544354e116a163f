//! A policy with the mode it runs in: what the catalogue hands out and the engine puts in order.

use std::sync::Arc;

use crate::contract::{Mode, Policy};

/// One policy of a chain.
#[derive(Clone, Debug)]
pub struct Member {
    /// The policy.
    pub policy: Arc<dyn Policy>,
    /// Whether it acts.
    pub mode: Mode,
}

impl Member {
    /// The member, acting at most as `mode` lets it: off is less than shadow, shadow less than enforce.
    #[must_use]
    pub(crate) fn at_most(mut self, mode: Mode) -> Self {
        self.mode = match (self.mode, mode) {
            (Mode::Off, _) | (_, Mode::Off) => Mode::Off,
            (Mode::Shadow, _) | (_, Mode::Shadow) => Mode::Shadow,
            (Mode::Enforce, Mode::Enforce) => Mode::Enforce,
        };
        self
    }
}
