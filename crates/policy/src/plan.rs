//! A plan: the policies in force, in order, and how they are asked.
//!
//! Serial: each member sees what the former let out. Parallel: all see the same, and a strategy makes one answer of theirs.
//! Block messages and notices are not reviewed again. What is in the shadow is asked about a copy, on a task of its own, and its
//! answers are only recorded.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::contract::{Mode, Policy, Review, ReviewContext, Target, Watch};
use crate::tree::Tree;

mod ask;
mod cover;
mod group;
mod items;
mod ledger;
mod person;
mod request;
mod steps;
mod stream;
mod told;
mod turn;

use cover::Covered;
pub(crate) use items::{Item, Outcome};
pub(crate) use ledger::Ledger;
pub use request::RequestOutcome;
use steps::{Resolved, Step};
pub(crate) use stream::Panicked;

/// The policies in force. Immutable; a stream keeps the plan it began with.
#[derive(Clone, Debug)]
pub struct Plan {
    tree: Tree,
    /// What is enforced watches this.
    watch: Watch,
    /// What any of it watches, what is in the shadow included.
    sees: Watch,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(Tree::none())
    }
}

impl Plan {
    /// A plan of these policies.
    pub fn new(tree: Tree) -> Self {
        let watch = tree.watches(false);
        let sees = crate::tree::sum([watch, tree.watches(true)]);
        Self { tree, watch, sees }
    }

    /// These plans as one, each asked about what the former let out.
    pub fn in_turn<'a>(plans: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::new(Tree::Serial(plans.into_iter().map(|plan| plan.tree.clone()).collect()))
    }

    /// What the enforced members watch, put together; of branches, the most that any does.
    pub fn watches(&self) -> Watch {
        self.watch
    }

    /// No member looks at the response, so that its bytes need no reading.
    pub fn is_idle(&self) -> bool {
        !self.sees.answers()
    }

    /// An enforced member looks at the response, and may withhold or change it.
    pub fn guards_answers(&self) -> bool {
        self.watch.answers()
    }

    /// Some member looks at the request.
    pub fn sees_requests(&self) -> bool {
        self.sees.request
    }

    /// The members' names, in order, joined by `+`, groups as `parallel(a,b)` and `branch(a,b)`; `no_op` where there is none.
    pub fn names(&self) -> String {
        let names = names(&self.tree);
        if names.is_empty() { "no_op".into() } else { names }
    }

    /// Opens the reviews of one request.
    pub fn open(
        &self,
        context: Arc<ReviewContext>,
        sink: Arc<dyn DecisionSink>,
        tasks: TaskTracker,
        options: Options,
    ) -> Reviews {
        let (steps, members) = steps::open(&self.tree, &context);
        Reviews(Arc::new(Inner {
            steps,
            members,
            resolved: OnceLock::new(),
            context,
            sink,
            tasks,
            options,
            fresh: AtomicU32::new(0),
            summary: Mutex::default(),
            notices: Mutex::default(),
            covered: Covered::default(),
            renamed: AtomicBool::new(false),
        }))
    }
}

fn names(tree: &Tree) -> String {
    let list = |trees: &mut dyn Iterator<Item = &Tree>, between| {
        trees.map(names).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(between)
    };
    match tree {
        Tree::Policy(policy) => policy.name().to_owned(),
        Tree::Serial(trees) => list(&mut trees.iter(), "+"),
        Tree::Parallel(_, trees) => format!("parallel({})", list(&mut trees.iter(), ",")),
        Tree::Branch(cases, default) => {
            format!("branch({})", list(&mut cases.iter().map(|(_, tree)| tree).chain([&**default]), ","))
        }
        Tree::Shadow(tree) => names(tree),
    }
}

/// Bounds of a review.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a decision may take, over all members.
    pub policy_timeout: Duration,
    /// How long a person may take, where the client waits for a whole answer or for the request to be sent.
    pub person_timeout: Duration,
    /// The same where the client reads a stream, which is kept alive meanwhile.
    pub person_timeout_streamed: Duration,
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
    /// `pass`, `replace`, `drop`, `ask` or `block`; of requests also `refuse`, `route` and `credential`.
    pub action: &'static str,
    /// Whether it was to be carried out.
    pub mode: Mode,
    /// It was not, since others in the same group outweighed it.
    pub overruled: bool,
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

/// A policy and its review.
pub(crate) struct Opened {
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) watch: Watch,
    pub(crate) review: Arc<dyn Review>,
    /// Its answers are carried out.
    enforced: bool,
    /// Its streaming half has panicked.
    panicked: AtomicBool,
}

/// What reviews of one request share.
pub(crate) struct Inner {
    steps: Arc<[Step]>,
    members: Vec<Opened>,
    /// Settled once the request has been seen, since branches are taken by it.
    resolved: OnceLock<Resolved>,
    pub(crate) context: Arc<ReviewContext>,
    sink: Arc<dyn DecisionSink>,
    tasks: TaskTracker,
    pub(crate) options: Options,
    fresh: AtomicU32,
    summary: Mutex<Summary>,
    /// What policies had to say to the user about the request.
    notices: Mutex<Vec<String>>,
    /// The choices whose calls stay behind, whatever is decided about each.
    covered: Covered,
    /// Policies have it served by another model than the client asked for.
    renamed: AtomicBool,
}

impl Inner {
    /// Records a decision.
    fn decided(&self, decision: Decision) {
        if decision.mode == Mode::Enforce && !decision.overruled {
            self.note(|summary| {
                summary.watched = true;
                summary.intervened |= !matches!(decision.action, "pass" | "ask" | "route" | "credential");
                summary.failed_open |= decision.failed && decision.action == "pass";
            });
        }
        self.sink.decided(decision);
    }

    /// What enforced members watch: this is what is held.
    pub(crate) fn watch(&self) -> Watch {
        self.resolved().watch
    }

    /// What any member watches.
    pub(crate) fn sees(&self) -> Watch {
        self.resolved().sees
    }

    /// A shadowed member watches texts, so that they have to be put together.
    pub(crate) fn shadows_text(&self) -> bool {
        self.resolved().shadows_text
    }

    /// The enforced members that change texts as they stream, in order.
    pub(crate) fn streaming(&self) -> impl Iterator<Item = &Opened> {
        self.resolved().streaming.iter().filter_map(|at| self.members.get(*at))
    }

    /// The enforced member that says what becomes of an answer that nobody can read: one that blocks, if there is one.
    pub(crate) fn speaker(&self) -> Option<&Opened> {
        let enforced = || self.resolved().enforced.iter().filter_map(|at| self.members.get(*at));
        let mut sees = enforced().filter(|member| member.watch.answers());
        let blocks = |member: &&Opened| member.policy.on_error() == crate::contract::OnError::Block;
        sees.clone().find(blocks).or_else(|| sees.next())
    }

    /// Changes the summary.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What members want said at the end of an answer, and what they had to say about the request.
    pub(crate) fn closing(&self) -> Vec<String> {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for at in &self.resolved().enforced {
            if let Some(member) = self.members.get(*at) {
                notices.extend(self.closing_of(member));
            }
        }
        notices
    }

    /// The model that the answer has to name, where that is not the upstream's word for it.
    pub(crate) fn model(&self) -> Option<&str> {
        self.renamed.load(Ordering::Relaxed).then(|| self.context.request.model())
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

    /// Policies have the request served by another model than the client asked for: the answer has to name the client's.
    pub fn renames(&self) -> bool {
        self.0.renamed.load(Ordering::Relaxed)
    }

    /// The response has ended; nothing more can be changed.
    pub fn end(&self) {
        for member in &self.0.members {
            member.review.end();
        }
    }
}
