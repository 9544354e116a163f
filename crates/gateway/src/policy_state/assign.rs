//! Policies for a part of the traffic: set, ended, ended by themselves, and read from the database at the start.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use luthien_policy::catalogue::{self, LoadEnv, PolicySpec};
use luthien_record::Store;
use luthien_record::store::StoredAssignment;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::source::{mode_of, mode_word};
use super::{KEEP, PolicyOptions, PolicyState, SetError, StartError, in_time, kept_time};
use crate::clock::Clock;
use crate::live::{ActivePolicy, Standing};
use crate::scopes::{Assigned, Assignments, How, Ready, Rejection, Scope};

/// The most assignments at once.
const MOST: usize = 10_000;

/// How long to wait at most before looking again what is over: clocks are put right, and machines sleep.
const LOOK: Duration = Duration::from_mins(1);

/// How long to wait before what did not load, or was not kept, is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// An assignment that somebody wants.
#[derive(Clone, Debug)]
pub struct NewAssignment {
    /// What it applies to.
    pub scope: Scope,
    /// The policy.
    pub spec: PolicySpec,
    /// How it stands to what is less specific.
    pub how: How,
    /// From when on it no longer applies.
    pub expires_at: Option<Timestamp>,
    /// Who sets it.
    pub by: String,
}

impl PolicyState {
    /// Puts a policy in force for a part of the requests from now on.
    pub async fn assign(&self, new: NewAssignment) -> Result<Arc<Assigned>, SetError> {
        let _turn = self.turn.try_lock().map_err(|_| SetError::Busy)?;
        if self.live.load().assignments.all().count() >= MOST {
            return Err(SetError::TooMany(MOST));
        }
        let ready = self.load(&new.spec).await?;
        let NewAssignment { scope, spec, how, expires_at, by } = new;
        let mut assigned = Assigned {
            id: 0,
            scope,
            spec,
            how,
            set_at: kept_time(&self.clock),
            set_by: by,
            expires_at,
            loaded: Ok(ready),
        };
        assigned.id = in_time(self.store.assign(&to_store(&assigned))).await?;
        let assigned = Arc::new(assigned);
        // It may have been found in the database already.
        self.live.assign(|assignments| assignments.without(assigned.id).with(Arc::clone(&assigned)));
        let (id, scope, policy, by) = (assigned.id, assigned.scope.kind(), assigned.name(), &assigned.set_by);
        tracing::info!(assignment = id, scope, policy, %by, "policy assigned");
        self.changed.notify_one();
        self.hints().give();
        Ok(assigned)
    }

    /// Ends an assignment; none if there is no such one.
    pub async fn end_assignment(&self, id: u64, by: &str) -> Result<Option<Arc<Assigned>>, SetError> {
        let _turn = self.turn.try_lock().map_err(|_| SetError::Busy)?;
        let live = self.live.load();
        let Some(assigned) = live.assignments.all().find(|assigned| assigned.id == id && id != 0) else {
            return Ok(None);
        };
        in_time(self.store.end_assignment(id, kept_time(&self.clock), by)).await?;
        self.live.assign(|assignments| assignments.without(id));
        self.hints().give();
        tracing::info!(assignment = id, by, "policy assignment ended");
        Ok(Some(Arc::clone(assigned)))
    }

    /// Until `stop`: takes away what is over, keeps in the database what it did not take, and tries again what was rejected.
    pub async fn tend(self: Arc<Self>, stop: CancellationToken) {
        loop {
            self.take_away_what_is_over().await;
            let kept = self.keep_panic().await.is_ok();
            let whole = tokio::select! {
                () = stop.cancelled() => return,
                whole = self.load_what_was_rejected() => whole,
            };
            let wait = if kept && whole { self.until_next_end().min(LOOK) } else { AGAIN };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// A policy whose server was away loads once it is back. True if nothing is rejected any more.
    async fn load_what_was_rejected(&self) -> bool {
        let live = self.live.load();
        let mut whole = true;
        if live.standing.rejected().is_some_and(|why| why.error.is_some()) {
            whole &= self.load_standing(&live.standing).await;
        }
        for assigned in live.assignments.all().filter(|assigned| is_worth_trying(assigned)) {
            let Ok(ready) = self.load(&assigned.spec).await else {
                whole = false;
                continue;
            };
            let (id, loaded) = (assigned.id, Arc::new(Assigned { loaded: Ok(ready), ..(**assigned).clone() }));
            let _turn = self.turn.lock().await;
            // It may have been ended meanwhile.
            self.live.assign(|all| {
                if all.all().any(|one| one.id == id) { all.without(id).with(Arc::clone(&loaded)) } else { all.clone() }
            });
            tracing::info!(assignment = id, "a policy that was rejected loads now");
        }
        whole
    }

    async fn load_standing(&self, rejected: &Arc<Standing>) -> bool {
        let ActivePolicy { class_ref, config, mode, .. } = rejected.active.clone();
        let Ok(ready) = self.load(&PolicySpec { class: class_ref, config, mode }).await else { return false };
        let _turn = self.turn.lock().await;
        let active = ActivePolicy { policy: ready.name, ..rejected.active.clone() };
        let standing = Standing { active, loaded: Ok(ready.plan), ..(**rejected).clone() };
        // Somebody may have set another one meanwhile.
        if self.live.swap(standing, |now| Arc::ptr_eq(now, rejected)) {
            tracing::info!(policy = %rejected.active.class_ref, "the policy that was rejected loads now");
        }
        true
    }

    /// How long until the next assignment is over.
    fn until_next_end(&self) -> Duration {
        let (now, live) = (self.clock.now(), self.live.load());
        let ends = live.assignments.all().filter_map(|assigned| assigned.expires_at);
        let next = ends.map(|end| Duration::try_from(end.duration_since(now)).unwrap_or_default()).min();
        next.unwrap_or(LOOK)
    }

    /// What is over applies to no request already; here it goes from the lists too.
    async fn take_away_what_is_over(&self) {
        let now = self.clock.now();
        let live = self.live.load();
        for assigned in live.assignments.all().filter(|assigned| assigned.is_over(now)) {
            self.live.assign(|assignments| assignments.without(assigned.id));
            let (id, scope, policy) = (assigned.id, assigned.scope.kind(), assigned.name());
            tracing::info!(assignment = id, scope, policy, "a temporary policy is over; what held before holds again");
            end_in_store(&self.store, assigned.id, now).await;
        }
    }
}

/// What could not even be read stays rejected.
fn is_worth_trying(assigned: &Assigned) -> bool {
    assigned.loaded.as_ref().is_err_and(|why| why.error.is_some())
}

/// The next start ends it again where the database does not take it.
async fn end_in_store(store: &Store, id: u64, now: Timestamp) {
    match timeout(KEEP, store.end_assignment(id, now, "its end time")).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(assignment = id, %error, "the database does not know that a policy is over"),
        Err(_) => tracing::warn!(assignment = id, "the database does not know that a policy is over: it took too long"),
    }
}

/// The assignments that stand at the start, and what the settings let requests choose.
pub(super) async fn stored(options: &PolicyOptions, store: &Store, clock: &Clock) -> Result<Assignments, StartError> {
    let now = clock.now();
    let mut all: Vec<Arc<Assigned>> = Vec::new();
    // At once: each may have a policy server to ask that is away.
    let loading = store.assignments().await?.into_iter().map(|stored| from_store(stored, &options.env));
    for assigned in join_all(loading).await {
        if assigned.is_over(now) {
            end_in_store(store, assigned.id, now).await;
        } else {
            all.push(Arc::new(assigned));
        }
    }
    let by_settings = options.choices.iter().filter_map(|name| choice(name, &options.env, now)).map(Arc::new);
    all.extend(by_settings);
    Ok(Assignments::new(all, options.choices.clone()))
}

/// The policy of this name as requests may choose it, if it needs no configuration: behind what holds anyway.
fn choice(name: &str, env: &LoadEnv, now: Timestamp) -> Option<Assigned> {
    let spec = PolicySpec::new(name, json!({}));
    let ready = Ready::from(catalogue::load(&spec, env).ok()?);
    let scope = Scope::Header(name.to_owned());
    let by = "POLICY_HEADER_CHOICES".to_owned();
    Some(Assigned { id: 0, scope, spec, how: How::Add, set_at: now, set_by: by, expires_at: None, loaded: Ok(ready) })
}

fn to_store(assigned: &Assigned) -> StoredAssignment {
    let (credential, name) = match &assigned.scope {
        Scope::Global => (None, None),
        Scope::Key(key) => (Some(*key), None),
        Scope::Session(key, session) => (Some(*key), Some(session.clone())),
        Scope::Header(name) => (None, Some(name.clone())),
    };
    StoredAssignment {
        id: assigned.id,
        scope: assigned.scope.kind().to_owned(),
        credential,
        name,
        class_ref: assigned.spec.class.clone(),
        config: assigned.spec.config.clone(),
        mode: mode_word(assigned.spec.mode).to_owned(),
        how: how_word(assigned.how).to_owned(),
        set_at: assigned.set_at,
        set_by: assigned.set_by.clone(),
        expires_at: assigned.expires_at,
        ended: None,
    }
}

fn how_word(how: How) -> &'static str {
    match how {
        How::Replace => "replace",
        How::Add => "add",
    }
}

/// What a stored assignment applies to, if that can be read.
pub(crate) fn scope_of(stored: &StoredAssignment) -> Option<Scope> {
    match (&*stored.scope, stored.credential, stored.name.clone()) {
        ("global", _, _) => Some(Scope::Global),
        ("key", Some(key), _) => Some(Scope::Key(key)),
        ("session", Some(key), Some(session)) => Some(Scope::Session(key, session)),
        ("header", _, Some(name)) => Some(Scope::Header(name)),
        _ => None,
    }
}

/// A stored assignment, in force or rejected. One whose scope cannot be read is rejected for everything.
pub(super) async fn from_store(stored: StoredAssignment, env: &LoadEnv) -> Assigned {
    let how = [How::Replace, How::Add].into_iter().find(|how| how_word(*how) == stored.how);
    let read = scope_of(&stored).zip(mode_of(&stored.mode)).zip(how);
    let StoredAssignment { id, class_ref, config, set_at, set_by, expires_at, .. } = stored;
    let reject = |reason: String, error| Rejection { reason: format!("the assignment {id} {reason}"), error };
    let Some(((scope, mode), how)) = read else {
        let why = format!("cannot be read: scope {}, mode {}, how {}", stored.scope, stored.mode, stored.how);
        let (spec, loaded) = (PolicySpec::new(class_ref, config), Err(reject(why, None)));
        return Assigned { id, scope: Scope::Global, spec, how: How::Add, set_at, set_by, expires_at, loaded };
    };
    let spec = PolicySpec { class: class_ref, config, mode };
    let loaded = catalogue::load_asking(&spec, env).await.map(Ready::from);
    let loaded = loaded.map_err(|error| reject(format!("(set by {set_by}) does not load: {error}"), Some(error)));
    Assigned { id, scope, spec, how, set_at, set_by, expires_at, loaded }
}
