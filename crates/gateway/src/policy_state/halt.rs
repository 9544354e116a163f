//! The panic switch: turned in memory at once, kept in the database as soon as it takes it.

use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredPanic};
use tokio::time::timeout;

use super::{KEEP, PolicyState, StartError, kept_time};
use crate::panic_switch::{Generation, PanicMode, PanicOrder, PanicState};

/// The least time that the database tells apart.
const TICK: SignedDuration = SignedDuration::from_micros(1);

impl PolicyState {
    /// Turns the switch for all requests from now on. Turned up, it ends what is under way. It counts also where the database
    /// does not keep it; the answer says whether it does.
    pub async fn halt(&self, order: PanicOrder) -> Result<(), String> {
        // Of all gateways' orders the latest counts, whatever their clocks say.
        let last = self.live.load().panic.at;
        let at = last.map_or(Timestamp::MIN, |last| last.saturating_add(TICK).unwrap_or(Timestamp::MAX));
        self.live.halt(&order, kept_time(&self.clock).max(at));
        let (mode, by, reason) = (order.mode.name(), &order.by, order.reason.as_deref().unwrap_or_default());
        tracing::warn!(mode, %by, reason, "the panic switch was turned");
        let kept = self.keep_panic().await;
        if kept.is_err() {
            self.changed.notify_one();
        }
        kept
    }

    /// The database has what the switch says.
    pub fn panic_is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst) == self.live.load().panic.number
    }

    /// Gives the database what it does not have yet.
    pub(super) async fn keep_panic(&self) -> Result<(), String> {
        let _keeping = self.keeping.lock().await;
        let panic = self.live.load().panic.clone();
        let Some(set_at) = panic.at.filter(|_| self.kept.load(Ordering::SeqCst) != panic.number) else {
            return Ok(());
        };
        let order = panic.order.clone();
        let stored = StoredPanic {
            mode: order.mode.name().to_owned(),
            reason: order.reason,
            message: order.message,
            set_at,
            set_by: order.by,
        };
        let why = match timeout(KEEP, self.store.set_panic(&stored)).await {
            Ok(Ok(())) => {
                self.kept.store(panic.number, Ordering::SeqCst);
                self.hints().give();
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the database took more than {} seconds", KEEP.as_secs()),
        };
        tracing::error!(error = %why, mode = stored.mode, "the panic switch counts, but a restart would forget it");
        Err(why)
    }
}

/// What the switch said last.
pub(super) async fn stored(store: &Store) -> Result<PanicState, StartError> {
    let Some(stored) = store.panic().await.map_err(|error: StoreError| StartError::Store(error))? else {
        return Ok(PanicState::default());
    };
    let at = stored.set_at;
    Ok(PanicState::new(order(stored), Some(at), 0, Generation::default()))
}

/// What a position says. A word that this version does not know stops everything.
pub(super) fn order(stored: StoredPanic) -> PanicOrder {
    let StoredPanic { mode, reason, message, set_by, .. } = stored;
    let mode = PanicMode::from_name(&mode).unwrap_or(PanicMode::Traffic);
    PanicOrder { mode, reason, message, by: set_by }
}
