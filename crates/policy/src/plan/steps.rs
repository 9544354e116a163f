//! A tree opened for one request: its steps in order, and what they watch once branches are taken.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, OnceLock};

use luthien_wire::request::Request;
use serde_json::json;

use super::{Inner, Opened};
use crate::contract::{ReviewContext, TextWatch, Watch};
use crate::tree::{Condition, Strategy, Tree, sum};

/// One step. Chains within chains are the same chain.
pub(super) enum Step {
    /// The place of a member.
    One(usize),
    /// What is asked about a copy.
    Shadow(Arc<[Step]>),
    /// What is asked about the same.
    Parallel(Strategy, Vec<Arc<[Step]>>),
    /// What depends on the request.
    Branch(Fork),
}

/// Branches, one of which is taken.
pub(super) struct Fork {
    conditions: Vec<Arc<dyn Condition>>,
    /// One for each condition, then the last.
    branches: Vec<Arc<[Step]>>,
    taken: OnceLock<Taken>,
}

#[derive(Clone, Copy, Debug)]
enum Taken {
    One(usize),
    /// A condition could not be evaluated: no branch may be left out.
    All,
}

impl Fork {
    /// The branches that count for this request. The first to ask settles it.
    pub(super) fn taken(&self, request: &Request, context: &ReviewContext) -> &[Arc<[Step]>] {
        let taken = self.taken.get_or_init(|| {
            for (at, condition) in self.conditions.iter().enumerate() {
                match condition.holds(request, context) {
                    Ok(true) => return Taken::One(at),
                    Ok(false) => {}
                    Err(error) => {
                        let data = json!({"condition": at, "error": error.to_string(), "taken": "all branches"});
                        context.events.emit("policy.branch.condition_failed", data);
                        return Taken::All;
                    }
                }
            }
            Taken::One(self.conditions.len())
        });
        match taken {
            Taken::One(at) => self.branches.get(*at..=*at).unwrap_or_default(),
            Taken::All => &self.branches,
        }
    }
}

/// What is known once branches are taken.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) watch: Watch,
    pub(super) sees: Watch,
    pub(super) shadows_text: bool,
    /// Enforced members in order, also those within groups.
    pub(super) enforced: Vec<usize>,
    /// Those that change texts as they stream.
    pub(super) streaming: Vec<usize>,
}

/// Opens the reviews of a tree's policies.
pub(super) fn open(tree: &Tree, context: &Arc<ReviewContext>) -> (Arc<[Step]>, Vec<Opened>) {
    let shadow = {
        let context = Arc::clone(context);
        // Made only where it is used: cloning costs each request.
        LazyLock::new(move || Arc::new(ReviewContext { events: context.events.shadowed(), ..(*context).clone() }))
    };
    let mut opening = Opening { context, shadow: &shadow, members: Vec::new() };
    let steps = opening.steps(tree, true);
    (steps, opening.members)
}

struct Opening<'a, F> {
    context: &'a Arc<ReviewContext>,
    shadow: &'a LazyLock<Arc<ReviewContext>, F>,
    members: Vec<Opened>,
}

impl<F: FnOnce() -> Arc<ReviewContext>> Opening<'_, F> {
    fn steps(&mut self, tree: &Tree, enforced: bool) -> Arc<[Step]> {
        let mut steps = Vec::new();
        self.put(tree, enforced, &mut steps);
        steps.into()
    }

    fn put(&mut self, tree: &Tree, enforced: bool, steps: &mut Vec<Step>) {
        match tree {
            Tree::Policy(policy) => {
                let context = if enforced { self.context } else { &**self.shadow };
                steps.push(Step::One(self.members.len()));
                self.members.push(Opened {
                    policy: Arc::clone(policy),
                    watch: policy.watches(),
                    review: Arc::from(policy.review(context)),
                    enforced,
                    panicked: AtomicBool::new(false),
                });
            }
            Tree::Serial(trees) => {
                for tree in trees {
                    self.put(tree, enforced, steps);
                }
            }
            Tree::Parallel(strategy, trees) => {
                let members = trees.iter().map(|tree| self.steps(tree, enforced)).collect();
                steps.push(Step::Parallel(*strategy, members));
            }
            Tree::Branch(cases, default) => {
                let conditions = cases.iter().map(|(condition, _)| Arc::clone(condition)).collect();
                let trees = cases.iter().map(|(_, tree)| tree).chain([&**default]);
                let branches = trees.map(|tree| self.steps(tree, enforced)).collect();
                steps.push(Step::Branch(Fork { conditions, branches, taken: OnceLock::new() }));
            }
            Tree::Shadow(tree) if enforced => steps.push(Step::Shadow(self.steps(tree, false))),
            // What is in the shadow already need not be there twice.
            Tree::Shadow(tree) => self.put(tree, enforced, steps),
        }
    }
}

impl Inner {
    /// What is known once branches are taken. Branches that the request has not taken are taken by it as it came.
    pub(super) fn resolved(&self) -> &Resolved {
        self.resolved.get_or_init(|| {
            let mut resolved = Resolved::default();
            self.resolve(&self.steps, &mut resolved, false);
            resolved.sees = sum([resolved.sees, resolved.watch]);
            resolved
        })
    }

    fn resolve(&self, steps: &[Step], resolved: &mut Resolved, grouped: bool) {
        for step in steps {
            match step {
                Step::One(at) => {
                    let Some(member) = self.members.get(*at) else { continue };
                    let watch = if grouped { member.watch.whole() } else { member.watch };
                    if !member.enforced {
                        resolved.sees = sum([resolved.sees, watch]);
                        resolved.shadows_text |= watch.text != TextWatch::None;
                        continue;
                    }
                    resolved.watch = sum([resolved.watch, watch]);
                    resolved.enforced.push(*at);
                    if watch.text == TextWatch::Streamed {
                        resolved.streaming.push(*at);
                    }
                }
                Step::Shadow(steps) => self.resolve(steps, resolved, grouped),
                Step::Parallel(_, members) => members.iter().for_each(|steps| self.resolve(steps, resolved, true)),
                Step::Branch(fork) => {
                    for steps in fork.taken(&self.context.request, &self.context) {
                        self.resolve(steps, resolved, grouped);
                    }
                }
            }
        }
    }
}
