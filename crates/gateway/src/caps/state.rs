//! The caps in force and what has been used, shared by the traffic, the admin API and the task that keeps it.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use lru::LruCache;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredCaps, Totals};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::keeper::AGAIN;
use super::ledger::{Ledger, day_of};
use super::streams::Streams;
use super::{Caps, Price, Prices, Reached, ScopeId, ScopeKind};
use crate::client_keys::KeyLimits;

/// How many reached caps are remembered as told.
const TOLD: usize = 10_000;

/// What all keys, all sessions and all users may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Each key.
    pub key: Caps,
    /// Each session.
    pub session: Caps,
    /// Each user.
    pub user: Caps,
}

impl Defaults {
    /// Of one kind.
    pub fn of(&self, kind: ScopeKind) -> Caps {
        match kind {
            ScopeKind::Key => self.key,
            ScopeKind::Session => self.session,
            ScopeKind::User => self.user,
        }
    }
}

/// How one key, session or user stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// What it has used.
    pub used: Totals,
    /// Answers under way.
    pub streams: u32,
}

type Particular = HashMap<(ScopeKind, Box<str>), Caps>;

/// What a reached cap is remembered by, with its day.
type Told = ((ScopeKind, String, &'static str), i64);

/// The caps and what has been used. Cloning shares them.
#[derive(Clone, Debug)]
pub struct CapsState(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    defaults: ArcSwap<Defaults>,
    particular: ArcSwap<Particular>,
    /// Something is capped for somebody, apart from keys of their own.
    active: AtomicBool,
    prices: Prices,
    pub(super) ledger: Ledger,
    pub(super) streams: Arc<Streams>,
    told: Mutex<LruCache<Told, ()>>,
}

impl Default for CapsState {
    fn default() -> Self {
        Self::new(Prices::default())
    }
}

impl CapsState {
    /// No caps yet, and these prices.
    pub fn new(prices: Prices) -> Self {
        let told = NonZeroUsize::new(TOLD).unwrap_or(NonZeroUsize::MIN);
        Self(Arc::new(Shared {
            defaults: ArcSwap::default(),
            particular: ArcSwap::default(),
            active: AtomicBool::new(false),
            prices,
            ledger: Ledger::new(),
            streams: Arc::default(),
            told: Mutex::new(LruCache::new(told)),
        }))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Changes what holds for all of a kind, and how many answers may be under way in the whole gateway (0: as many as come).
    pub fn set(&self, defaults: Defaults, most_streams: usize) {
        self.0.defaults.store(Arc::new(defaults));
        self.0.streams.set_most(most_streams);
        self.looked();
    }

    fn looked(&self) {
        let defaults = self.0.defaults.load();
        let none = ScopeKind::ALL.into_iter().all(|kind| defaults.of(kind).is_empty());
        let active = !none || !self.0.particular.load().is_empty() || self.0.streams.is_limited();
        self.0.active.store(active, Ordering::Release);
    }

    /// Something may be capped. Cheap.
    pub(crate) fn may_apply(&self, limits: &KeyLimits) -> bool {
        self.0.active.load(Ordering::Acquire) || limits.caps.is_some()
    }

    /// What holds for all of a kind.
    pub fn defaults(&self) -> Defaults {
        **self.0.defaults.load()
    }

    /// What one may use by what the settings and the API say; `own` is what its key says.
    pub fn of(&self, who: &ScopeId, own: Option<Caps>) -> Caps {
        let mut caps = self.0.defaults.load().of(who.kind());
        let particular = self.0.particular.load();
        if !particular.is_empty()
            && let Some(more) = particular.get(&(who.kind(), who.name().into_boxed_str()))
        {
            caps = caps.and(*more);
        }
        own.map_or(caps, |own| caps.and(own))
    }

    /// How one stands.
    pub fn standing(&self, who: &ScopeId, now: Timestamp) -> Standing {
        Standing { used: self.0.ledger.used(who, day_of(now)), streams: self.0.streams.of(who) }
    }

    /// What a model costs.
    pub(super) fn price(&self, model: &str) -> Option<Price> {
        self.0.prices.of(model)
    }

    /// Where prices stand, for messages.
    pub(super) fn price_file(&self) -> String {
        self.0.prices.place()
    }

    /// A cap was reached for the first time today: worth telling a person.
    pub(crate) fn is_news(&self, reached: &Reached, now: Timestamp) -> bool {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.put((reached.key(), day_of(now)), ()).is_none()
    }

    /// Takes over what the database says of particular keys, sessions and users. What this version cannot read caps everything: it may
    /// be tighter than anything here.
    pub async fn take(&self, store: &Store) -> Result<(), StoreError> {
        let mut particular = Particular::new();
        for StoredCaps { scope, id, caps, .. } in store.caps().await? {
            let Some(kind) = ScopeKind::of_name(&scope) else { continue };
            let read = serde_json::from_value::<Caps>(caps).map_err(|error| error.to_string());
            let caps = read.and_then(|caps| caps.checked(kind)).unwrap_or_else(|error| {
                tracing::error!(%scope, %id, %error, "caps in the database cannot be read: nothing is allowed there");
                Caps::nothing()
            });
            particular.insert((kind, id.into_boxed_str()), caps);
        }
        self.0.particular.store(Arc::new(particular));
        self.looked();
        Ok(())
    }

    /// Until `stop`: takes over what the database says whenever `number` tells that it was changed.
    pub async fn follow(self, mut number: watch::Receiver<u64>, store: Store, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(number.changed()).await {
            while let Err(error) = self.take(&store).await {
                tracing::warn!(%error, "the caps in the database cannot be read; trying again");
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
        }
    }
}
