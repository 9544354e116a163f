//! The live state: which policies are active. It is replaced as a whole, so that no request sees half a change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use jiff::Timestamp;
use luthien_policy::contract::Mode;
use luthien_policy::plan::Plan;
use serde_json::Value;

/// Which policy an operator has set, and how.
#[derive(Clone, Debug)]
pub struct ActivePolicy {
    /// The name that people see.
    pub policy: String,
    /// The class as it was named when it was set.
    pub class_ref: String,
    /// Exactly the configuration that was set.
    pub config: Value,
    /// Whether it acts.
    pub mode: Mode,
    /// When.
    pub enabled_at: Timestamp,
    /// By whom.
    pub enabled_by: String,
}

/// One state. A request keeps the one it began with.
#[derive(Debug)]
pub struct Live {
    /// The policies, ready to run.
    pub plan: Plan,
    /// What the operator set.
    pub active: ActivePolicy,
    /// Counts the changes.
    pub version: u64,
    label: String,
    header: HeaderValue,
}

impl Live {
    /// A state. Headers and the record name it by its policies and its version.
    pub fn new(plan: Plan, active: ActivePolicy, version: u64) -> Self {
        let label: String = format!("{}; version={version}", plan.names());
        let header = HeaderValue::from_str(&label).unwrap_or(HeaderValue::from_static("unnamed"));
        Self { plan, active, version, label, header }
    }

    /// The policies' names and the version, for the record.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The same, for the header `x-luthien-policy`.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// Holds the current state.
#[derive(Debug)]
pub struct LiveState {
    current: ArcSwap<Live>,
}

impl LiveState {
    /// Begins with this state.
    pub fn new(plan: Plan, active: ActivePolicy, version: u64) -> Self {
        Self { current: ArcSwap::from_pointee(Live::new(plan, active, version)) }
    }

    /// The current state.
    pub fn load(&self) -> Arc<Live> {
        self.current.load_full()
    }

    /// Puts another plan in force for all requests from now on; gives its version. Callers take turns.
    pub fn swap(&self, plan: Plan, active: ActivePolicy) -> u64 {
        let version = self.current.load().version + 1;
        self.current.store(Arc::new(Live::new(plan, active, version)));
        version
    }
}
