//! Persons who decide what a policy leaves to them. The gateway brings the way to them; what they are asked is here.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_wire::turn::Block;
use serde::{Deserialize, Serialize};

use crate::contract::{OnError, ReviewContext, Target};

/// What a policy wants a person to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Why it asks, for the person.
    pub why: String,
    /// What the client sees in its place if the person says no.
    pub denied: String,
    /// What happens if nobody answers in time.
    pub unanswered: OnError,
    /// How long to wait, at most as long as the gateway's own limit; `None`: that limit.
    pub timeout: Option<Duration>,
}

/// What persons are shown: one thing that one or more policies want decided.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Each policy that asks, and why.
    pub policies: Vec<(&'static str, String)>,
    /// What it is about.
    pub target: Target,
    /// What goes out if the answer is yes: texts and calls. Empty for a request.
    pub shown: Vec<Arc<Block>>,
    /// When the answer comes too late.
    pub timeout: Duration,
    /// What happens then.
    pub unanswered: OnError,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum Ruling {
    /// It may go on.
    Allowed {
        /// Who said so.
        by: String,
    },
    /// It is withheld.
    Denied {
        /// Who said so.
        by: String,
        /// What the client is told in place of the policy's own words, if the person said something.
        message: Option<String>,
    },
    /// Nobody can be asked, for this reason.
    Unreachable {
        /// Why.
        why: String,
    },
}

/// The way to persons. A question that is dropped is withdrawn. The engine keeps the time.
pub trait People: Send + Sync + Debug {
    /// Puts a question and waits for the answer.
    fn ask(&self, asked: Asked, context: &ReviewContext) -> BoxFuture<'_, Ruling>;
}

/// Nobody is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl People for Nobody {
    fn ask(&self, _asked: Asked, _context: &ReviewContext) -> BoxFuture<'_, Ruling> {
        Box::pin(async { Ruling::Unreachable { why: "nobody can be asked here".to_owned() } })
    }
}
