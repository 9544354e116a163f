//! Policies tried on things whose answer is known: one thing at a time through the real engine, and figures over many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use luthien_wire::stream::Kind;
use luthien_wire::whole;
use serde::Serialize;
use tokio_util::task::TaskTracker;

use crate::contract::{EventSink, Mode, ReviewContext};
use crate::judge::JudgeClient;
use crate::people::{Asked, People, Ruling};
use crate::plan::{Decision, DecisionSink, Options, Plan, RequestOutcome};
use crate::tree::Tree;

pub use case::{Case, CommandTool};
pub use figures::{Point, Share, auc, quantile, roc};

mod case;
mod figures;

/// What came of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It goes on as it came.
    Passed,
    /// It goes on otherwise than it came.
    Changed,
    /// A person is asked.
    Asked,
    /// It, or a part of it, is withheld.
    Blocked,
    /// No policy could decide, and it went on. This is no permission.
    FailedOpen,
    /// No policy could decide, and it was withheld. This is no verdict.
    FailedClosed,
    /// It could not be read, so that `on_error` decided.
    Unreadable,
}

impl Outcome {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Blocked,
        Self::Asked,
        Self::Changed,
        Self::Passed,
        Self::FailedOpen,
        Self::FailedClosed,
        Self::Unreadable,
    ];

    /// The word for it in output and conditions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Changed => "changed",
            Self::Asked => "asked",
            Self::Blocked => "blocked",
            Self::FailedOpen => "failed_open",
            Self::FailedClosed => "failed_closed",
            Self::Unreadable => "unreadable",
        }
    }

    /// A policy decided that it does not simply go on.
    pub fn is_caught(self) -> bool {
        matches!(self, Self::Blocked | Self::Asked | Self::Changed)
    }

    /// No policy decided.
    pub fn is_failed(self) -> bool {
        matches!(self, Self::FailedOpen | Self::FailedClosed | Self::Unreadable)
    }
}

/// What came of one thing, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is carried out.
    pub outcome: Outcome,
    /// What members in the shadow would have done, where there are any and they were asked.
    pub shadow: Option<Outcome>,
    /// The highest suspicion score of the decisions that count.
    pub score: Option<f64>,
    /// The policy that decided, where one did more than let it pass.
    pub policy: Option<&'static str>,
    /// Why.
    pub reason: Option<String>,
    /// How long it took, from the request to what would go out; members in the shadow not included.
    pub took: Duration,
}

/// Policies on trial. Persons are not asked: each question counts as one that was put, and the rest goes on.
#[derive(Debug)]
pub struct Trial {
    plan: Plan,
    judges: Arc<dyn JudgeClient>,
    options: Options,
    number: AtomicU64,
}

impl Trial {
    /// Of these policies, with this way to judges, within these bounds.
    pub fn new(tree: Tree, judges: Arc<dyn JudgeClient>, options: Options) -> Self {
        Self { plan: Plan::new(tree), judges, options, number: AtomicU64::new(0) }
    }

    /// The policies' names.
    pub fn names(&self) -> String {
        self.plan.names()
    }

    /// Puts one thing to the policies, in a request of its own.
    pub async fn of(&self, case: &Case) -> Verdict {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let context = Arc::new(ReviewContext {
            transaction_id: format!("evaluation-{number}"),
            session_id: case.session.clone(),
            user_id: None,
            credential: None,
            // What is on trial is the content, not who may send it.
            gateway_key: true,
            dialect: case.request.dialect(),
            request: case.request.clone(),
            judges: Arc::clone(&self.judges),
            people: Arc::new(Everybody),
            events: EventSink::default(),
        });
        let (kept, tasks) = (Arc::new(Kept::default()), TaskTracker::new());
        let sink = Arc::clone(&kept) as Arc<dyn DecisionSink>;
        let began = Instant::now();
        let reviews = self.plan.open(context, sink, tasks.clone(), self.options);
        let mut stopped = false;
        if self.plan.sees_requests() {
            stopped = !matches!(reviews.request(case.request.clone()).await, RequestOutcome::Send { .. });
        }
        let mut sent = None;
        if let (false, false, Some(answer)) = (stopped, self.plan.is_idle(), &case.answer) {
            sent = Some(reviews.whole(answer.clone()).await.body);
        }
        let took = began.elapsed();
        reviews.end();
        tasks.close();
        // Each task has the deadline of its decision.
        tasks.wait().await;
        let decisions = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
        let withheld =
            sent.is_some_and(|sent| calls(case, &sent) < case.answer.as_ref().map_or(0, |it| calls(case, it)));
        verdict(case, &decisions, withheld, took)
    }
}

/// How many tool calls a body holds.
fn calls(case: &Case, body: &[u8]) -> usize {
    let Ok(read) = whole::decode(case.request.dialect(), body) else { return 0 };
    read.choices.iter().flat_map(|choice| &choice.parts).filter(|part| matches!(part.kind, Kind::Call { .. })).count()
}

/// `withheld`: fewer calls went out than came.
fn verdict(case: &Case, decisions: &[Decision], withheld: bool, took: Duration) -> Verdict {
    let count = |mode| decisions.iter().filter(move |decision| decision.mode == mode && !decision.overruled);
    let enforced: Vec<&Decision> = count(Mode::Enforce).collect();
    let shadow: Vec<&Decision> = count(Mode::Shadow).collect();
    let (outcome, deciding) = weigh(case, &enforced, withheld);
    let score = enforced.iter().filter_map(|decision| decision.score).max_by(f64::total_cmp);
    let why = deciding.or_else(|| {
        let scored = enforced.iter().filter(|decision| decision.score == score);
        scored.copied().find(|decision| decision.reason.is_some())
    });
    Verdict {
        outcome,
        shadow: (!shadow.is_empty()).then(|| weigh(case, &shadow, false).0),
        score,
        policy: deciding.map(|decision| decision.policy),
        reason: why.and_then(|decision| decision.reason.clone()),
        took,
    }
}

/// The weightiest of some decisions. A verdict weighs more than a failure, a failure more than a permission.
fn weigh<'a>(case: &Case, decisions: &[&'a Decision], withheld: bool) -> (Outcome, Option<&'a Decision>) {
    let decided = |actions: &[&str]| {
        decisions.iter().copied().find(|decision| !decision.failed && actions.contains(&decision.action))
    };
    let changes = &["replace"];
    if let Some(decision) = decided(&["block", "drop", "refuse"]) {
        return (Outcome::Blocked, Some(decision));
    }
    if let Some(decision) = decided(changes).filter(|_| withheld) {
        return (Outcome::Blocked, Some(decision));
    }
    if let Some(decision) = decided(&["ask"]) {
        return (Outcome::Asked, Some(decision));
    }
    let failed = |open: bool| {
        decisions.iter().copied().find(move |decision| decision.failed && (decision.action == "pass") == open)
    };
    if let Some(decision) = failed(false).or_else(|| failed(true)) {
        let outcome = match decision.action {
            _ if case.unreadable => Outcome::Unreadable,
            "pass" => Outcome::FailedOpen,
            _ => Outcome::FailedClosed,
        };
        return (outcome, Some(decision));
    }
    let changed = decided(changes);
    (if changed.is_some() { Outcome::Changed } else { Outcome::Passed }, changed)
}

/// Keeps decisions.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Decision>>);

impl DecisionSink for Kept {
    fn decided(&self, decision: Decision) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
    }
}

/// Allows everything, so that a question is told apart from a refusal.
#[derive(Debug)]
struct Everybody;

impl People for Everybody {
    fn ask(&self, _asked: Asked, _context: &ReviewContext) -> BoxFuture<'_, Ruling> {
        Box::pin(async { Ruling::Allowed { by: "the evaluation".to_owned() } })
    }
}

#[cfg(test)]
mod tests;
