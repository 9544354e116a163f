//! What nobody tells by itself: breakers, records that are lost, and the panic switch.

use std::sync::Arc;
use std::time::Duration;

use luthien_policy::breakers::{BreakerChange, BreakerWatch};
use luthien_record::Recorder;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{About, Kind, Notice, Notifier};
use crate::clock::Clock;
use crate::live::LiveState;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// Tells of breakers.
#[derive(Debug)]
pub struct BreakerTold {
    notifier: Notifier,
    clock: Clock,
}

impl Notifier {
    /// What breakers are watched by.
    pub fn breakers(&self, clock: Clock) -> Arc<BreakerTold> {
        Arc::new(BreakerTold { notifier: self.clone(), clock })
    }
}

impl BreakerWatch for BreakerTold {
    fn changed(&self, change: BreakerChange) {
        let BreakerChange { what, name, opened } = change;
        let kind = if opened.is_some() { Kind::BreakerOpened } else { Kind::BreakerClosed };
        if !self.notifier.wants(kind) {
            return;
        }
        let words = what.replace('_', " ");
        let (text, data) = match opened {
            Some((open, why)) => {
                let seconds = open.as_secs_f64();
                let text = format!("The {words} {name} is left alone for {seconds} s after failures in a row: {why}");
                (text, json!({"what": what, "name": name, "seconds": seconds, "failure": why}))
            }
            None => (format!("The {words} {name} answers again"), json!({"what": what, "name": name})),
        };
        self.notifier.tell(|| Notice { kind, at: self.clock.now(), text, about: About::Nothing, data });
    }
}

/// Looks until it is told to stop.
pub(super) async fn run(
    notifier: Notifier,
    recorder: Recorder,
    live: Arc<LiveState>,
    clock: Clock,
    stop: CancellationToken,
) {
    let (mut dropped, mut turned) = (recorder.health().dropped, live.load().panic.number);
    while tokio::time::timeout(EVERY, stop.cancelled()).await.is_err() {
        let now = recorder.health().dropped;
        if now > dropped && notifier.wants(Kind::RecorderDropped) {
            let text = format!("{} records were lost: the journal is full or cannot be written", now - dropped);
            let data = json!({"dropped": now - dropped, "dropped_since_start": now});
            notifier.tell(|| Notice {
                kind: Kind::RecorderDropped,
                at: clock.now(),
                text,
                about: About::Nothing,
                data,
            });
        }
        dropped = now;
        let panic = live.load().panic.clone();
        if panic.number != turned && notifier.wants(Kind::Panic) {
            let (mode, order) = (panic.order.mode.name(), &panic.order);
            let text = format!("{} turned the panic switch to {mode}", order.by);
            let data = json!({"mode": mode, "by": order.by, "reason": order.reason, "message": order.message});
            let at = panic.at.unwrap_or_else(|| clock.now());
            notifier.tell(|| Notice { kind: Kind::Panic, at, text, about: About::Nothing, data });
        }
        turned = panic.number;
    }
}
