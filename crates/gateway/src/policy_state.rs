//! Which policies are in force: chosen at the start, changed while running, kept in the database.
//!
//! A change is prepared, which may fail, then kept, which may fail, and only then put in force, which cannot. The panic switch
//! goes the other way round: it counts at once, and is kept as soon as that is possible.

mod assign;
mod follow;
mod halt;
mod source;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use luthien_policy::catalogue::{self, LoadEnv, LoadError, PolicySpec};
use luthien_policy::plan::Plan;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPolicy};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::live::{ActivePolicy, Live, LiveState, Rules, Standing};
use crate::panic_switch::PanicMode;
use crate::replicas::Hints;
use crate::revisions::Watched;
use crate::scopes::{Ready, Rejection};
use crate::settings::PolicySource;

pub use assign::NewAssignment;
pub(crate) use assign::scope_of;
pub use source::{PolicyOptions, StartError};

use source::{Chosen, Unusable};

/// How long the database may take to keep a change.
const KEEP: Duration = Duration::from_secs(10);

/// Where a policy comes from that was set while running.
const BY_API: &str = "the database";

/// The policies in force and the way to change them.
#[derive(Debug)]
pub struct PolicyState {
    live: Arc<LiveState>,
    store: Store,
    env: LoadEnv,
    source: PolicySource,
    clock: Clock,
    turn: Mutex<()>,
    /// The number of the last order of the panic switch that the database has.
    kept: AtomicU64,
    keeping: Mutex<()>,
    /// Something is to be done by [`PolicyState::tend`].
    changed: Notify,
    watched: Watched,
}

/// A change was not made; what was in force still is.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Another change is being made.
    #[error("another change of the policy is being made; try again")]
    Busy,
    /// The policy does not load.
    #[error("{0}")]
    Refused(LoadError),
    /// It cannot be read.
    #[error("{0}")]
    Unusable(String),
    /// There are too many assignments.
    #[error("there are {0} assignments, which is the most; delete some")]
    TooMany(usize),
    /// The database did not keep it.
    #[error("the policy was not changed because the database did not keep it: {0}")]
    NotKept(StoreError),
    /// The database took too long.
    #[error(
        "the database took more than {} seconds: the old policy is still active, but the new one may come into force at any \
         moment; look at policy/current, and set the one you want again",
        KEEP.as_secs()
    )]
    TimedOut,
}

impl PolicyState {
    /// Loads what `options` choose and what the database holds. A policy that does not load is known as rejected, and traffic
    /// follows the fail mode: nothing runs unguarded because of a slip in a configuration.
    pub async fn start(options: PolicyOptions, store: Store, clock: Clock) -> Result<Self, StartError> {
        let guard = guard(&options).map_err(StartError::Guard)?;
        // First, so that what is set meanwhile is followed.
        let watched = Watched::start(store.clone()).await?;
        let chosen = source::choose(&options, &store, &clock).await?;
        let standing = standing(chosen, &options.env).await;
        let assignments = assign::stored(&options, &store, &clock).await?;
        let panic = halt::stored(&store).await?;
        let rules = Rules { guard, tell_model: options.tell_model, fail_mode: options.fail_mode };
        let live = Live::new(Arc::new(standing), Arc::new(assignments), Arc::new(panic), Arc::new(rules));
        let state = Self {
            live: Arc::new(LiveState::from(live)),
            store,
            env: options.env,
            source: options.source,
            clock,
            turn: Mutex::new(()),
            kept: AtomicU64::new(0),
            keeping: Mutex::new(()),
            changed: Notify::new(),
            watched,
        };
        state.tell();
        Ok(state)
    }

    /// What requests read.
    pub fn live(&self) -> &Arc<LiveState> {
        &self.live
    }

    /// What goes before what at the start: database or file.
    pub fn source(&self) -> PolicySource {
        self.source
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// By what other gateways are told that something was set here.
    pub fn hints(&self) -> &Hints {
        self.watched.hints()
    }

    /// Says in the log what is not as it should be.
    fn tell(&self) {
        let live = self.live.load();
        let fail_mode = live.fail_mode().as_str();
        if let Some(rejection) = live.standing.rejected() {
            tracing::error!(reason = %rejection, fail_mode, "the policy is rejected");
        }
        for assigned in live.assignments.all() {
            if let Err(rejection) = &assigned.loaded {
                tracing::error!(assignment = assigned.id, reason = %rejection, fail_mode, "a policy is rejected");
            }
        }
        if live.panic.order.mode != PanicMode::Off {
            let order = &live.panic.order;
            tracing::warn!(mode = order.mode.name(), by = %order.by, "the panic switch is on");
        }
    }

    /// Whether a policy would load, changing nothing.
    pub async fn check(&self, spec: &PolicySpec) -> Result<String, LoadError> {
        Ok(catalogue::load_asking(spec, &self.checking()).await?.name)
    }

    /// A policy ready to run, changing nothing.
    pub(crate) async fn ready(&self, spec: &PolicySpec) -> Result<Plan, LoadError> {
        catalogue::load_asking(spec, &self.env).await.map(|loaded| Ready::from(loaded).plan)
    }

    /// Puts another policy in force for all requests from now on.
    pub async fn set(&self, spec: PolicySpec, by: &str) -> Result<ActivePolicy, SetError> {
        let _turn = self.turn.try_lock().map_err(|_| SetError::Busy)?;
        let ready = self.load(&spec).await?;
        let enabled_at = kept_time(&self.clock);
        let kept = StoredPolicy {
            class_ref: spec.class.clone(),
            config: spec.config.clone(),
            mode: Some(source::mode_word(spec.mode).to_owned()),
            enabled_at,
            enabled_by: by.to_owned(),
        };
        let version = in_time(self.store.set_policy(&kept)).await?;
        let active = active(ready.name, spec, by.to_owned(), enabled_at);
        let loaded = Ok(ready.plan);
        let standing = Standing { active: active.clone(), origin: BY_API.to_owned(), version, loaded };
        // Another gateway may have set a later one meanwhile.
        self.live.swap(standing, |now| now.version < version);
        self.hints().give();
        tracing::info!(policy = %active.policy, version, by = %active.enabled_by, "policy changed");
        Ok(active)
    }

    /// Puts the policy of an earlier version in force again, as a version of its own; none if there was no such version.
    pub async fn rollback(&self, version: u64, by: &str) -> Result<Option<ActivePolicy>, SetError> {
        let Some(stored) = in_time(self.store.policy(version)).await? else { return Ok(None) };
        let spec = source::spec_of(stored, &format!("version {version}"));
        let spec = spec.map_err(|why| SetError::Unusable(why.to_string()))?;
        self.set(spec, by).await.map(Some)
    }

    async fn load(&self, spec: &PolicySpec) -> Result<Ready, SetError> {
        catalogue::load_asking(spec, &self.checking()).await.map(Ready::from).map_err(SetError::Refused)
    }

    /// What policies are loaded with that somebody is just setting.
    fn checking(&self) -> LoadEnv {
        LoadEnv { judges: self.env.judges.clone().checked(), ..self.env.clone() }
    }

    /// Keeps others from changing the policy, as a running change does.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }
}

/// What the database says, if it does in time.
async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, SetError> {
    match timeout(KEEP, asked).await {
        Ok(answer) => answer.map_err(SetError::NotKept),
        Err(_) => Err(SetError::TimedOut),
    }
}

/// The time, as finely as the database keeps it.
fn kept_time(clock: &Clock) -> Timestamp {
    let now = clock.now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// What stands before every chain.
fn guard(options: &PolicyOptions) -> Result<Plan, LoadError> {
    if !options.dogfood {
        return Ok(Plan::default());
    }
    let spec = PolicySpec::new("dogfood_safety", json!({}));
    Ok(Ready::from(catalogue::load(&spec, &options.env)?).plan)
}

/// The chosen policy, in force or rejected.
async fn standing(chosen: Chosen, env: &LoadEnv) -> Standing {
    let Chosen { spec, origin, place, enabled_by, enabled_at, version } = chosen;
    let (active, loaded) = match spec {
        Ok(spec) => match catalogue::load_asking(&spec, env).await {
            Ok(loaded) => {
                let ready = Ready::from(loaded);
                (active(ready.name, spec, enabled_by, enabled_at), Ok(ready.plan))
            }
            Err(error) => {
                let way_out = if origin == BY_API { source::WITHOUT_DATABASE } else { "" };
                let why = Unusable::Refused { origin: place, error: error.clone(), way_out };
                let rejection = Rejection { reason: why.to_string(), error: Some(error) };
                (active(spec.class.clone(), spec, enabled_by, enabled_at), Err(rejection))
            }
        },
        Err(why) => {
            let spec = PolicySpec::new("unreadable", Value::Null);
            let rejection = Rejection { reason: why.to_string(), error: None };
            (active("unreadable".to_owned(), spec, enabled_by, enabled_at), Err(rejection))
        }
    };
    Standing { active, origin, version, loaded }
}

fn active(policy: String, spec: PolicySpec, enabled_by: String, enabled_at: Timestamp) -> ActivePolicy {
    let PolicySpec { class, config, mode } = spec;
    ActivePolicy { policy, class_ref: class, config, mode, enabled_at, enabled_by }
}

#[cfg(test)]
mod tests;
