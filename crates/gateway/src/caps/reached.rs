//! A cap that was reached: which one, of whom, what it is, and when it is free again.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ScopeId, ScopeKind};

/// A cap that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(super) kind: ScopeKind,
    pub(super) id: String,
    /// The cap's name, as in the settings.
    pub(super) cap: &'static str,
    /// Its value, as text.
    pub(super) limit: String,
    /// What was used, as text.
    pub(super) used: String,
    pub(super) free: Free,
}

/// When it is free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Free {
    /// When the day ends.
    At(Timestamp, Duration),
    /// As soon as another answer ends.
    Soon,
    /// Not by waiting.
    Never,
}

impl Reached {
    pub(super) fn new(who: &ScopeId, cap: &'static str, limit: String, used: String, free: Free) -> Self {
        Self { kind: who.kind(), id: who.name(), cap, limit, used, free }
    }

    /// Waiting helps.
    pub(crate) fn passes(&self) -> bool {
        self.free != Free::Never
    }

    /// Another try within a minute may help.
    pub(crate) fn passes_soon(&self) -> bool {
        match self.free {
            Free::At(_, wait) => wait <= Duration::from_mins(1),
            Free::Soon => true,
            Free::Never => false,
        }
    }

    /// How long to wait, in whole seconds.
    pub(crate) fn wait(&self) -> Option<u64> {
        match self.free {
            Free::At(_, wait) => Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)),
            Free::Soon => Some(1),
            Free::Never => None,
        }
    }

    /// For the record and whoever watches.
    pub(crate) fn data(&self) -> Value {
        let free_at = if let Free::At(at, _) = self.free { Some(at) } else { None };
        json!({
            "scope": self.kind, "id": self.id, "cap": self.cap, "limit": self.limit, "used": self.used, "free_at": free_at,
        })
    }

    /// Reached by whom, and which: what is told once a day.
    pub(super) fn key(&self) -> (ScopeKind, String, &'static str) {
        (self.kind, self.id.clone(), self.cap)
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, cap, limit, used, .. } = self;
        write!(f, "the cap `{cap}` of this {} is reached: {used} of {limit}; ", kind.name())?;
        match self.free {
            Free::At(at, _) => write!(f, "it is free again at {at}"),
            Free::Soon => f.write_str("try again when another answer has ended"),
            Free::Never => f.write_str("waiting does not help, the gateway's operator can raise it"),
        }
    }
}
