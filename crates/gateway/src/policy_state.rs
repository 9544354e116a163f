//! Which policy is active: chosen at the start, changed while running, kept in the database.
//!
//! A change is prepared, which may fail, then kept, which may fail, and only then put in force, which cannot.

mod source;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use luthien_policy::catalogue::{self, LoadEnv, LoadError, Loaded, PolicySpec};
use luthien_policy::plan::Plan;
use luthien_policy::tree::Tree;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPolicy};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::live::{ActivePolicy, LiveState};

pub use source::{PolicyOptions, StartError};

/// How long the database may take to keep a change.
const KEEP: Duration = Duration::from_secs(10);

/// The active policy and the way to change it.
#[derive(Debug)]
pub struct PolicyState {
    live: Arc<LiveState>,
    store: Store,
    env: LoadEnv,
    /// What stands before every chain.
    guard: Tree,
    clock: Clock,
    turn: Mutex<()>,
}

/// A change was not made; the old policy is still active.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Another change is being made.
    #[error("another change of the policy is being made; try again")]
    Busy,
    /// The policy does not load.
    #[error("{0}")]
    Refused(LoadError),
    /// The database did not keep it.
    #[error("the policy was not changed because the database did not keep it: {0}")]
    NotKept(StoreError),
    /// The database took too long.
    #[error(
        "the database took more than {} seconds: the old policy is still active, but the new one may be after a restart; set \
         the one you want again",
        KEEP.as_secs()
    )]
    TimedOut,
}

impl PolicyState {
    /// Loads the policy that `options` choose. A policy that does not load is an error: nothing runs unguarded because of a
    /// slip in its configuration.
    pub async fn start(options: PolicyOptions, store: Store, clock: Clock) -> Result<Self, StartError> {
        let guard = guard(&options).map_err(|error| StartError::Refused {
            origin: "DOGFOOD_MODE".to_owned(),
            error,
            way_out: "",
        })?;
        let chosen = source::choose(&options, &store, &clock).await?;
        let loaded = catalogue::load_asking(&chosen.spec, &options.env).await;
        let loaded = loaded.map_err(|error| StartError::Refused {
            origin: chosen.origin.clone(),
            error,
            way_out: chosen.way_out,
        })?;
        let active = active(&loaded, &chosen.enabled_by, chosen.enabled_at);
        let live = Arc::new(LiveState::new(plan(&guard, loaded), active, chosen.version));
        Ok(Self { live, store, env: options.env, guard, clock, turn: Mutex::new(()) })
    }

    /// What requests read.
    pub fn live(&self) -> &Arc<LiveState> {
        &self.live
    }

    /// Puts another policy in force for all requests from now on.
    pub async fn set(&self, spec: PolicySpec, by: &str) -> Result<ActivePolicy, SetError> {
        let _turn = self.turn.try_lock().map_err(|_| SetError::Busy)?;
        let loaded = catalogue::load_asking(&spec, &self.env).await.map_err(SetError::Refused)?;
        let active = active(&loaded, by, kept_time(&self.clock));
        let plan = plan(&self.guard, loaded);
        let kept = StoredPolicy {
            class_ref: spec.class,
            config: spec.config,
            mode: Some(source::mode_word(spec.mode).to_owned()),
            enabled_at: active.enabled_at,
            enabled_by: active.enabled_by.clone(),
        };
        match timeout(KEEP, self.store.set_policy(&kept)).await {
            Ok(Ok(_version)) => {}
            Ok(Err(error)) => return Err(SetError::NotKept(error)),
            Err(_) => return Err(SetError::TimedOut),
        }
        let version = self.live.swap(plan, active.clone());
        tracing::info!(policy = %active.policy, version, by = %active.enabled_by, "policy changed");
        Ok(active)
    }

    /// Keeps others from changing the policy, as a running change does.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }
}

/// The time, as finely as the database keeps it.
fn kept_time(clock: &Clock) -> Timestamp {
    let now = clock.now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// The members that stand before every chain.
fn guard(options: &PolicyOptions) -> Result<Tree, LoadError> {
    if !options.dogfood {
        return Ok(Tree::none());
    }
    let spec = PolicySpec::new("dogfood_safety", json!({}));
    Ok(catalogue::load(&spec, &options.env)?.tree)
}

fn plan(guard: &Tree, loaded: Loaded) -> Plan {
    Plan::new(Tree::Serial(vec![guard.clone(), loaded.tree]))
}

fn active(loaded: &Loaded, by: &str, at: Timestamp) -> ActivePolicy {
    ActivePolicy {
        policy: loaded.name.clone(),
        class_ref: loaded.spec.class.clone(),
        config: loaded.spec.config.clone(),
        mode: loaded.spec.mode,
        enabled_at: at,
        enabled_by: by.to_owned(),
    }
}

#[cfg(test)]
mod tests;
