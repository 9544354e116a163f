//! The live state: which policies are in force for whom. It is replaced as a whole, so that no request sees half a change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use jiff::Timestamp;
use luthien_policy::contract::Mode;
use luthien_policy::plan::Plan;
use serde_json::Value;

use crate::errors::GatewayError;
use crate::panic_switch::{PanicOrder, PanicState};
use crate::scopes::{Asker, Assigned, Assignments, How, Place, Rejection};
use crate::settings::PolicyFailMode;

/// Which policy an operator has set for everything, and how.
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

/// The policy for everything.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What the operator set.
    pub active: ActivePolicy,
    /// Where it comes from: the database, a file, or the default.
    pub origin: String,
    /// Counts the changes.
    pub version: u64,
    /// Ready to run, or why it is not in force.
    pub(crate) loaded: Result<Plan, Rejection>,
}

impl Standing {
    /// Why it is not in force, if it did not load.
    pub fn rejected(&self) -> Option<&Rejection> {
        self.loaded.as_ref().err()
    }
}

/// What the settings say once and for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// What stands before every chain.
    pub(crate) guard: Plan,
    /// The model is told which policies are in force.
    pub(crate) tell_model: bool,
    /// What becomes of traffic whose policy did not load.
    pub(crate) fail_mode: PolicyFailMode,
}

/// The policies that one request runs under.
#[derive(Debug)]
pub struct InForce {
    /// The policies, ready to run.
    pub plan: Plan,
    /// Those that should be in force and did not load.
    pub missing: Vec<String>,
    /// What the model is told of them.
    pub(crate) told: Option<String>,
    label: String,
    header: HeaderValue,
}

impl InForce {
    fn new(plan: Plan, missing: Vec<String>, version: u64, by: &[&Assigned]) -> Self {
        let mut label = format!("{}; version={version}", plan.names());
        if !by.is_empty() {
            let list = |part: fn(&Assigned) -> String| by.iter().map(|by| part(by)).collect::<Vec<_>>().join("+");
            let (scopes, ids) = (list(|by| by.scope.kind().to_owned()), list(|by| by.id.to_string()));
            label = format!("{label}; scope={scopes}; assignment={ids}");
        }
        if !missing.is_empty() {
            label.push_str("; rejected=");
            label.push_str(&missing.join("+"));
        }
        let header = crate::headers::header_text(&label);
        Self { plan, missing, told: None, label, header }
    }

    /// The same behind something that holds whichever policies are in force; it goes by their names.
    pub(crate) fn behind(&self, first: &Plan) -> Self {
        let Self { plan, missing, told, label, header } = self;
        let plan = Plan::in_turn([first, plan]);
        let (missing, told, label, header) = (missing.clone(), told.clone(), label.clone(), header.clone());
        Self { plan, missing, told, label, header }
    }

    /// The policies' names, the version, and which assignments made it so, for the record.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The same, for the header `x-luthien-policy`.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// One state. A request keeps the one it began with.
#[derive(Clone, Debug)]
pub struct Live {
    /// The policy for everything.
    pub standing: Arc<Standing>,
    /// Those for a part of the traffic.
    pub assignments: Arc<Assignments>,
    /// What the operator has stopped.
    pub panic: Arc<PanicState>,
    pub(crate) rules: Arc<Rules>,
    /// What holds where there is no assignment.
    usual: Arc<InForce>,
}

impl Live {
    pub(crate) fn new(
        standing: Arc<Standing>,
        assignments: Arc<Assignments>,
        panic: Arc<PanicState>,
        rules: Arc<Rules>,
    ) -> Self {
        let usual = Arc::new(in_force(&standing, &panic, &rules, &[]));
        Self { standing, assignments, panic, rules, usual }
    }

    /// What holds for a request of which nothing is known yet, and for all where there is no assignment.
    pub fn usual(&self) -> &Arc<InForce> {
        &self.usual
    }

    /// What becomes of traffic whose policy did not load.
    pub fn fail_mode(&self) -> PolicyFailMode {
        self.rules.fail_mode
    }

    /// What a request runs under. An assignment whose time is over never applies.
    pub(crate) fn choose(&self, asker: &Asker<'_>, now: Timestamp) -> Result<Arc<InForce>, GatewayError> {
        if let Some(refusal) = self.panic.refusal() {
            return Err(refusal);
        }
        let chosen = if self.assignments.is_empty() && asker.wish.is_none() {
            Arc::clone(&self.usual)
        } else {
            self.chosen(asker, now)?
        };
        match chosen.missing.first() {
            Some(missing) if self.rules.fail_mode == PolicyFailMode::Closed => {
                Err(GatewayError::PolicyRejected(missing.clone()))
            }
            _ => Ok(chosen),
        }
    }

    /// What holds where policies are not to be asked: the panic switch alone.
    pub(crate) fn unreviewed(&self) -> Result<Arc<InForce>, GatewayError> {
        if let Some(refusal) = self.panic.refusal() {
            return Err(refusal);
        }
        let plan = self.panic.plan.clone().unwrap_or_default();
        Ok(Arc::new(InForce::new(plan, Vec::new(), self.standing.version, &[])))
    }

    fn chosen(&self, asker: &Asker<'_>, now: Timestamp) -> Result<Arc<InForce>, GatewayError> {
        let ladder = self.assignments.ladder(asker, now).map_err(|why| GatewayError::BadWish(why.to_string()))?;
        let counts = |(assigned, place): (_, Place)| {
            matches!(place, Place::Applies | Place::Rejected).then_some::<&Arc<Assigned>>(assigned)
        };
        let by: Vec<&Assigned> = ladder.into_iter().filter_map(counts).map(AsRef::as_ref).collect();
        if by.is_empty() {
            return Ok(Arc::clone(&self.usual));
        }
        Ok(Arc::new(in_force(&self.standing, &self.panic, &self.rules, &by)))
    }

    /// The same with another switch.
    fn with_panic(&self, panic: PanicState) -> Self {
        Self::new(self.standing.clone(), self.assignments.clone(), Arc::new(panic), self.rules.clone())
    }
}

/// The policies in their order: the switch, the gateway's own, the base, then what is added to it, the most specific last.
fn in_force(standing: &Standing, panic: &PanicState, rules: &Rules, by: &[&Assigned]) -> InForce {
    let of = |wanted: How| {
        by.iter().filter(move |by| by.how == wanted).filter_map(|by| Some(&by.loaded.as_ref().ok()?.plan))
    };
    let base = of(How::Replace).next();
    let added: Vec<&Plan> = of(How::Add).collect();
    let mut missing: Vec<String> = by.iter().filter(|by| by.loaded.is_err()).map(|by| plain(&by.spec.class)).collect();
    if base.is_none() && standing.loaded.is_err() {
        missing.push(plain(&standing.active.class_ref));
    }
    let base = base.or(standing.loaded.as_ref().ok());
    let plan = Plan::in_turn(panic.plan.iter().chain([&rules.guard]).chain(base).chain(added.into_iter().rev()));
    let told = rules.tell_model.then(|| plan.told()).flatten();
    InForce { told, ..InForce::new(plan, missing, standing.version, by) }
}

/// A class that did not load may be any text.
fn plain(class: &str) -> String {
    let kept: String = class.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.:".contains(*c)).take(100).collect();
    if kept.is_empty() { "unnamed".to_owned() } else { kept }
}

/// Holds the current state.
#[derive(Debug)]
pub struct LiveState {
    current: ArcSwap<Live>,
}

impl LiveState {
    /// Begins with this policy for everything.
    pub fn new(plan: Plan, active: ActivePolicy, version: u64) -> Self {
        let standing = Standing { active, origin: "the default".to_owned(), version, loaded: Ok(plan) };
        Self::from(Live::new(Arc::new(standing), Arc::default(), Arc::default(), Arc::default()))
    }

    /// The current state.
    pub fn load(&self) -> Arc<Live> {
        self.current.load_full()
    }

    /// Puts another policy in force for all requests from now on, where `when` is true of the one in force. True if it was.
    pub(crate) fn swap(&self, standing: Standing, when: impl Fn(&Arc<Standing>) -> bool) -> bool {
        let standing = Arc::new(standing);
        let before = self.change(|live| {
            if !when(&live.standing) {
                return live.clone();
            }
            Live::new(standing.clone(), live.assignments.clone(), live.panic.clone(), live.rules.clone())
        });
        when(&before.standing)
    }

    /// Changes what the settings say, for all requests from now on.
    pub fn set_rules(&self, tell_model: bool, fail_mode: PolicyFailMode) {
        self.change(|live| {
            let rules = Rules { guard: live.rules.guard.clone(), tell_model, fail_mode };
            Live::new(live.standing.clone(), live.assignments.clone(), live.panic.clone(), Arc::new(rules))
        });
    }

    /// Changes the assignments for all requests from now on.
    pub(crate) fn assign(&self, change: impl Fn(&Assignments) -> Assignments) {
        self.change(|live| {
            let assignments = Arc::new(change(&live.assignments));
            Live::new(live.standing.clone(), assignments, live.panic.clone(), live.rules.clone())
        });
    }

    /// Turns the panic switch. Where it is turned up, everything under way ends.
    pub fn halt(&self, order: &PanicOrder, at: Timestamp) {
        let before = self.change(|live| live.with_panic(live.panic.after(order.clone(), at).0));
        if let (_, Some(told)) = before.panic.after(order.clone(), at) {
            before.panic.generation.end(told);
        }
    }

    /// The same for an order that was given elsewhere at `at`, unless a later one counts already. The number of the order, if it
    /// counts now.
    pub(crate) fn halt_later(&self, order: &PanicOrder, at: Timestamp) -> Option<u64> {
        let is_later = |live: &Live| live.panic.at.is_none_or(|last| last < at);
        let before = self.change(|live| {
            if is_later(live) { live.with_panic(live.panic.after(order.clone(), at).0) } else { live.clone() }
        });
        if !is_later(&before) {
            return None;
        }
        let (now, told) = before.panic.after(order.clone(), at);
        if let Some(told) = told {
            before.panic.generation.end(told);
        }
        Some(now.number)
    }

    /// Gives what was before. Changes of others meanwhile are kept.
    fn change(&self, change: impl Fn(&Live) -> Live) -> Arc<Live> {
        self.current.rcu(|live| Arc::new(change(live)))
    }
}

impl From<Live> for LiveState {
    fn from(live: Live) -> Self {
        Self { current: ArcSwap::from_pointee(live) }
    }
}
