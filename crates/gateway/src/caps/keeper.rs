//! Keeps what is used in the database: one task, at most a second behind. Nothing on the way of a request waits for it.

use std::time::Duration;

use jiff::Timestamp;
use luthien_record::Store;
use luthien_record::store::StoreError;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::CapsState;
use super::ledger::{Batch, MOST, day_of};
use crate::clock::Clock;

/// How often what was used is written and read.
const EVERY: Duration = Duration::from_millis(500);

/// How long to wait before what could not be read is read again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// For how many days what was used is remembered.
const REMEMBERED: i64 = 400;

impl CapsState {
    /// Takes over what the database says of caps, and of what was used today and yesterday.
    pub async fn start(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        self.take(store).await?;
        let day = day_of(now);
        let most = u32::try_from(MOST).unwrap_or(u32::MAX);
        self.shared().ledger.learn(&store.spent_lately(day, 1, most).await?, day);
        Ok(())
    }

    /// Until `stop`: writes what is used, and reads what other gateways have added for those who come. What is left then is written.
    pub async fn keep(self, store: Store, clock: Clock, stop: CancellationToken) {
        let mut day = None;
        let mut away = false;
        while stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
            let now = clock.now();
            self.flush_telling(&store, now, &mut away).await;
            if day.replace(day_of(now)) != Some(day_of(now))
                && let Err(error) = store.forget_spending(day_of(now) - REMEMBERED).await
            {
                tracing::warn!(%error, "what was used long ago cannot be forgotten now");
            }
        }
        self.flush_telling(&store, clock.now(), &mut away).await;
    }

    async fn flush_telling(&self, store: &Store, now: Timestamp, away: &mut bool) {
        match (self.flush(store, now).await, *away) {
            (Ok(()), true) => {
                tracing::info!("the database takes again what is used");
                *away = false;
            }
            (Err(error), false) => {
                tracing::warn!(%error, "the database does not take what is used: it is counted in memory meanwhile, by each gateway alone");
                *away = true;
            }
            _ => {}
        }
    }

    /// Writes what is used, and reads what those have used who have come since the last time.
    pub async fn flush(&self, store: &Store, now: Timestamp) -> Result<(), String> {
        let (ledger, day) = (&self.shared().ledger, day_of(now));
        let Batch { more, of, lost } = ledger.batch();
        if lost > 0 {
            tracing::warn!(lost, "too much waits for the database: what these requests used is not counted");
        }
        if more.is_empty() && of.is_empty() {
            return Ok(());
        }
        let written = timeout(PATIENCE, store.spend(&more)).await;
        match written {
            Ok(Ok(())) => ledger.kept(),
            Ok(Err(error)) => {
                ledger.not_kept(&of);
                return Err(error.to_string());
            }
            Err(_) => {
                ledger.not_kept(&of);
                return Err(format!("it took more than {} seconds", PATIENCE.as_secs()));
            }
        }
        match timeout(PATIENCE, store.spent(&of, day)).await {
            Ok(Ok(totals)) => {
                ledger.read(&totals, &of, day);
                Ok(())
            }
            Ok(Err(error)) => {
                ledger.not_kept(&of);
                Err(error.to_string())
            }
            Err(_) => {
                ledger.not_kept(&of);
                Err(format!("it took more than {} seconds", PATIENCE.as_secs()))
            }
        }
    }
}
