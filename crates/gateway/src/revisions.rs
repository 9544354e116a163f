//! Sees what was changed in the database, by whichever process: each topic has a number there that every change raises.
//!
//! The database is looked into twice a second, and at once where another gateway hints at a change. Who follows a topic takes
//! [`Watched::watch`] before reading its state, and reads again whenever the number has changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use luthien_record::Store;
use luthien_record::store::{Revisions, StoreError, Topic};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::replicas::Hints;

/// How often the database is looked into. A change is to hold everywhere within a second.
const EVERY: Duration = Duration::from_millis(500);

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The least time between two looks, however many hints come.
const LEAST: Duration = Duration::from_millis(20);

/// The numbers of all topics, as they were last seen.
#[derive(Debug)]
pub struct Watched {
    store: Store,
    hints: Hints,
    topics: BTreeMap<Topic, watch::Sender<u64>>,
    sees: AtomicBool,
}

impl Watched {
    /// The numbers as they are now.
    pub async fn start(store: Store) -> Result<Self, StoreError> {
        let now = store.revisions().await?;
        let topics = Topic::ALL.into_iter().map(|topic| (topic, watch::Sender::new(now.of(topic)))).collect();
        Ok(Self { store, hints: Hints::default(), topics, sees: AtomicBool::new(true) })
    }

    /// The number of a topic, as it was last seen and from now on.
    pub fn watch(&self, topic: Topic) -> watch::Receiver<u64> {
        let never = || watch::Sender::new(0).subscribe();
        self.topics.get(&topic).map_or_else(never, watch::Sender::subscribe)
    }

    /// By what other gateways are told to look, and tell this one.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The last look succeeded.
    pub fn sees(&self) -> bool {
        self.sees.load(Ordering::Relaxed)
    }

    /// Looks until `stop`.
    pub async fn look(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(EVERY) => {}
                () = self.hints.heard() => sleep(LEAST).await,
            }
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = timeout(PATIENCE, self.store.revisions()) => looked,
            };
            match looked {
                Ok(Ok(now)) => self.saw(&now),
                Ok(Err(error)) => self.blind(&error.to_string()),
                Err(_) => self.blind(&format!("it took more than {} seconds", PATIENCE.as_secs())),
            }
        }
    }

    fn saw(&self, now: &Revisions) {
        if !self.sees.swap(true, Ordering::Relaxed) {
            tracing::info!("the database says again what other gateways have set");
        }
        for (topic, number) in &self.topics {
            number.send_if_modified(|last| std::mem::replace(last, now.of(*topic)) != now.of(*topic));
        }
    }

    fn blind(&self, why: &str) {
        if self.sees.swap(false, Ordering::Relaxed) {
            tracing::warn!(why, "the database does not say what other gateways have set; what was in force stays so");
        }
    }
}
