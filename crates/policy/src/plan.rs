//! A plan: the policies in force, in order, and how they are asked.
//!
//! Serial: each member sees what the former let out. Block messages and notices are not reviewed again. A shadow member is
//! asked about a copy, on a task of its own, and its answer is only recorded.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::contract::{Mode, Policy, Review, ReviewContext, Target, TextWatch, Watch};
use crate::member::Member;

mod ask;
mod items;
mod request;
mod stream;

pub(crate) use items::{Item, Outcome};
pub use request::RequestOutcome;
pub(crate) use stream::Panicked;

/// The policies in force. Immutable; a stream keeps the plan it began with.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    members: Vec<Member>,
}

impl Plan {
    /// A plan of these members, in order. Members that are off are left out.
    pub fn new(members: Vec<Member>) -> Self {
        Self { members: members.into_iter().filter(|member| member.mode != Mode::Off).collect() }
    }

    /// What the enforced members watch, put together.
    pub fn watches(&self) -> Watch {
        sum(self.members.iter().filter(|m| m.mode == Mode::Enforce).map(|m| m.policy.watches()))
    }

    /// What all members watch, shadowed ones included.
    fn sees(&self) -> Watch {
        sum(self.members.iter().map(|m| m.policy.watches()))
    }

    /// No member looks at the response, so that its bytes need no reading.
    pub fn is_idle(&self) -> bool {
        let sees = self.sees();
        sees.text == TextWatch::None && !sees.tool_calls && !sees.turn
    }

    /// An enforced member looks at the response, and may withhold or change it.
    pub fn guards_answers(&self) -> bool {
        let watches = self.watches();
        watches.text != TextWatch::None || watches.tool_calls || watches.turn
    }

    /// Some member looks at the request.
    pub fn sees_requests(&self) -> bool {
        self.sees().request
    }

    /// The members' names, in order, joined by `+`; `no_op` where there is none.
    pub fn names(&self) -> String {
        if self.members.is_empty() {
            return "no_op".into();
        }
        self.members.iter().map(|member| member.policy.name()).collect::<Vec<_>>().join("+")
    }

    /// Opens the reviews of one request.
    pub fn open(
        &self,
        context: Arc<ReviewContext>,
        sink: Arc<dyn DecisionSink>,
        tasks: TaskTracker,
        options: Options,
    ) -> Reviews {
        // Made only where it is used: cloning costs each request.
        let shadow = std::cell::LazyCell::new(|| {
            Arc::new(ReviewContext { events: context.events.shadowed(), ..(*context).clone() })
        });
        let members = self.members.iter().map(|member| Opened {
            policy: Arc::clone(&member.policy),
            mode: member.mode,
            watch: member.policy.watches(),
            review: Arc::from(member.policy.review(if member.mode == Mode::Shadow { &shadow } else { &context })),
            panicked: AtomicBool::new(false),
        });
        Reviews(Arc::new(Inner {
            members: members.collect(),
            watch: self.watches(),
            sees: self.sees(),
            context,
            sink,
            tasks,
            options,
            fresh: AtomicU32::new(0),
            summary: Mutex::default(),
        }))
    }
}

fn sum(watches: impl Iterator<Item = Watch>) -> Watch {
    watches.fold(Watch::default(), |a, b| Watch {
        request: a.request || b.request,
        text: a.text.max(b.text),
        tool_calls: a.tool_calls || b.tool_calls,
        unreadable_calls: a.unreadable_calls || b.unreadable_calls,
        turn: a.turn || b.turn,
    })
}

/// Bounds of a review.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a decision may take, over all members.
    pub policy_timeout: Duration,
    /// The most bytes of one answer that may be held; beyond that it is blocked.
    pub held_limit: usize,
    /// The largest event of a stream, in bytes.
    pub event_limit: usize,
}

/// One decision of one policy, for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The policy's native name.
    pub policy: &'static str,
    /// What it was about.
    pub target: Target,
    /// `pass`, `replace` or `block`.
    pub action: &'static str,
    /// Whether it was carried out.
    pub mode: Mode,
    /// It follows from `on_error`.
    pub failed: bool,
    /// The suspicion score, 0 to 1.
    pub score: Option<f64>,
    /// Why.
    pub reason: Option<String>,
    /// How long the policy took.
    pub took: Duration,
}

/// Where decisions go. Shadow decisions may come after the response has ended.
pub trait DecisionSink: Send + Sync {
    /// One decision was made.
    fn decided(&self, decision: Decision);
}

/// What became of a response, as far as policies were concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// An enforced policy looked at something.
    pub watched: bool,
    /// Something was replaced or blocked.
    pub intervened: bool,
    /// A policy failed and the content went on.
    pub failed_open: bool,
    /// Content was withheld because the end came before the verdict.
    pub undecided: bool,
    /// The upstream's stream had defects that were mended.
    pub repaired: bool,
}

/// A plan opened for one request. Cheap to clone.
#[derive(Clone)]
pub struct Reviews(pub(crate) Arc<Inner>);

/// A member and its review.
pub(crate) struct Opened {
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) mode: Mode,
    pub(crate) watch: Watch,
    pub(crate) review: Arc<dyn Review>,
    /// Its streaming half has panicked.
    panicked: AtomicBool,
}

/// What reviews of one request share.
pub(crate) struct Inner {
    pub(crate) members: Vec<Opened>,
    /// What enforced members watch: this is what is held.
    pub(crate) watch: Watch,
    /// What any member watches.
    pub(crate) sees: Watch,
    pub(crate) context: Arc<ReviewContext>,
    sink: Arc<dyn DecisionSink>,
    tasks: TaskTracker,
    pub(crate) options: Options,
    fresh: AtomicU32,
    summary: Mutex<Summary>,
}

impl Inner {
    /// Records a decision.
    pub(crate) fn decided(&self, decision: Decision) {
        if decision.mode == Mode::Enforce {
            self.note(|summary| {
                summary.watched = true;
                summary.intervened |= decision.action != "pass";
                summary.failed_open |= decision.failed && decision.action == "pass";
            });
        }
        self.sink.decided(decision);
    }

    /// A shadowed member watches texts, so that they have to be put together.
    pub(crate) fn shadows_text(&self) -> bool {
        self.members.iter().any(|m| m.mode == Mode::Shadow && m.watch.text != TextWatch::None)
    }

    /// Changes the summary.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An id for a tool call that a policy made.
    pub(crate) fn fresh_call_id(&self) -> String {
        let n = self.fresh.fetch_add(1, Ordering::Relaxed);
        let transaction = self.context.transaction_id.replace('-', "");
        match self.context.dialect {
            luthien_wire::Dialect::Messages => format!("toolu_{transaction}{n}"),
            luthien_wire::Dialect::Chat | luthien_wire::Dialect::Responses => format!("call_{transaction}{n}"),
        }
    }
}

impl Reviews {
    /// What became of the response so far.
    pub fn summary(&self) -> Summary {
        *self.0.summary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response has ended; nothing more can be changed.
    pub fn end(&self) {
        for member in &self.0.members {
            member.review.end();
        }
    }
}
