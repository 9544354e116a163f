//! Who is told when a judge or a policy server is left alone after failures, and when it is asked again.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// A breaker has opened or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// What it stands before: `judge` or `policy_server`.
    pub what: &'static str,
    /// Which: a judge's model, a server's address.
    pub name: String,
    /// For how long it is left alone and what failed last; `None`: it is asked again.
    pub opened: Option<(Duration, String)>,
}

/// Hears of breakers. Called while a request waits: it must not block.
pub trait BreakerWatch: Send + Sync + Debug {
    /// One has changed.
    fn changed(&self, change: BreakerChange);
}

/// The way to who hears of breakers; by default nobody does.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Option<Arc<dyn BreakerWatch>>);

impl Breakers {
    /// Watched by this one.
    pub fn watched_by(watch: Arc<dyn BreakerWatch>) -> Self {
        Self(Some(watch))
    }

    /// It is left alone.
    pub(crate) fn opened(&self, what: &'static str, name: &str, open: Duration, why: &dyn std::fmt::Display) {
        let seconds = open.as_secs_f64();
        tracing::warn!(what, ?name, failure = %why, seconds, "a breaker has opened: it is left alone for a while after failures in a row");
        if let Some(watch) = &self.0 {
            watch.changed(BreakerChange { what, name: name.to_owned(), opened: Some((open, why.to_string())) });
        }
    }

    /// It is asked again.
    pub(crate) fn closed(&self, what: &'static str, name: &str) {
        tracing::warn!(what, ?name, "a breaker has closed: it answers again");
        if let Some(watch) = &self.0 {
            watch.changed(BreakerChange { what, name: name.to_owned(), opened: None });
        }
    }
}
