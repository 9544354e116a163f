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

/// How often the database is looked into: half of the second within which a change is to hold everywhere.
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use jiff::Timestamp;
    use luthien_record::store::StoredSetting;
    use luthien_record::{Recorder, RecorderConfig};
    use rstest::rstest;
    use tokio::task::{JoinSet, spawn_blocking};
    use tokio::time::{Instant, advance, pause};

    use super::*;

    /// In real time, and only where the test fails.
    const GIVE_UP: Duration = Duration::from_secs(20);

    /// Timers are exact to a millisecond.
    const TICK: Duration = Duration::from_millis(1);

    /// Without Redis a change is seen by looking alone.
    #[rstest]
    #[case::by_looking_alone(false, Duration::from_millis(500))]
    #[case::at_a_hint(true, Duration::from_millis(20))]
    #[tokio::test]
    async fn a_change_is_seen_in_time(#[case] hint: bool, #[case] expected: Duration) {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        let watched = Arc::new(Watched::start(recorder.store().clone()).await.unwrap());
        let mut number = watched.watch(Topic::Settings);
        let (name, value, set_by) = ("rate_limit_rpm".to_owned(), "60".to_owned(), "ada".to_owned());
        let setting = StoredSetting { name, value, set_at: Timestamp::UNIX_EPOCH, set_by };
        recorder.store().set_setting(&setting).await.unwrap();

        // The clock goes on by itself whenever nothing runs but other threads, such as the database's, unless one of them is Tokio's.
        let (go, held) = mpsc::channel::<()>();
        let holding = spawn_blocking(move || held.recv_timeout(GIVE_UP));
        pause();
        let (began, stop, mut looking) = (Instant::now(), CancellationToken::new(), JoinSet::new());
        let looks = Arc::clone(&watched);
        let until = stop.clone();
        looking.spawn(async move { looks.look(until).await });
        if hint {
            watched.hints().hear();
        }
        tokio::task::yield_now().await;
        advance(expected + TICK).await;
        number.changed().await.unwrap();
        assert_eq!(began.elapsed(), expected + TICK);

        drop(go);
        let _ = holding.await;
        stop.cancel();
        looking.join_all().await;
        tokio::time::resume();
        recorder.shutdown(GIVE_UP).await;
    }
}
