//! Who is charged for what a request uses.

use std::sync::Arc;

use jiff::Timestamp;
use luthien_wire::usage::Usage;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::caps::Charge;
use crate::client_keys::KeyLimits;
use crate::rates::Rates;

/// Charges one request at its end.
pub(crate) struct Tab {
    /// Its caller's tokens in a minute, where they are limited.
    pub(crate) rate: Option<(Arc<Rates>, [u8; 16], KeyLimits)>,
    /// Its key, session and user, where they have caps.
    pub(crate) charge: Option<Charge>,
    /// Owns what takes longer.
    tasks: TaskTracker,
}

impl Tab {
    /// Nobody is charged yet.
    pub(crate) fn new(tasks: &TaskTracker) -> Self {
        Self { rate: None, charge: None, tasks: tasks.clone() }
    }

    /// Charges it. Says what was used, for the record.
    pub(crate) fn settle(self, usage: Usage, at: Timestamp) -> Value {
        if let Some((rates, caller, limits)) = self.rate
            && let Some(elsewhere) = rates.used(caller, &limits, usage.total(), at)
        {
            self.tasks.spawn(elsewhere);
        }
        let cost = self.charge.and_then(|charge| charge.settle(usage, at));
        let Usage { input, cache_read, cache_write, output, estimated } = usage;
        json!({
            "input": input, "cache_read": cache_read, "cache_write": cache_write, "output": output,
            "total": usage.total(), "estimated": estimated, "nanodollars": cost,
        })
    }
}
