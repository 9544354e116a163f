//! The audit log: what was done on the admin side, and by whom. Each deed is a line of the log at once, and goes through a bounded
//! queue into the database.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use luthien_record::Store;
use luthien_record::redact::Redactor;
use luthien_record::store::AuditEntry;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admin::Who;
use crate::clock::Clock;

/// How many deeds may wait for the database. What does not fit is in the log alone.
const QUEUE: usize = 10_000;

/// How many are written at once.
const BATCH: usize = 100;

/// How long to wait before what could not be written is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the last ones may take at the end.
const LAST: Duration = Duration::from_secs(3);

/// The longest target, in characters.
const LONGEST: usize = 500;

/// How often refusals are noted one by one; more are counted, so that nobody who has no credential can fill the database.
const EACH: Duration = Duration::from_secs(10);
const BURST: u32 = 30;

/// What was done.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) method: &'a Method,
    /// The route, with names for its parts.
    pub(crate) route: &'a str,
    /// The path.
    pub(crate) target: &'a str,
    pub(crate) status: StatusCode,
}

/// Takes down what is done. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Audit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<AuditEntry>,
    lost: AtomicU64,
    refusals: Mutex<Refusals>,
    replica: String,
    clock: Clock,
    redactor: Redactor,
}

/// Until when the refusals so far count, and how many were not noted.
#[derive(Debug)]
struct Refusals {
    until: Instant,
    more: u64,
}

/// Writes what was taken down into the database.
#[derive(Debug)]
pub struct AuditWriter {
    queue: mpsc::Receiver<AuditEntry>,
}

impl Audit {
    /// For this gateway. Whoever gets the writer runs it.
    pub fn new(replica: &str, clock: Clock, redactor: Redactor) -> (Self, AuditWriter) {
        let (queue, taken) = mpsc::channel(QUEUE);
        let inner = Inner {
            queue,
            lost: AtomicU64::new(0),
            refusals: Mutex::new(Refusals { until: Instant::now(), more: 0 }),
            replica: replica.to_owned(),
            clock,
            redactor,
        };
        (Self { inner: Arc::new(inner) }, AuditWriter { queue: taken })
    }

    /// Somebody did something.
    pub(crate) fn done(&self, who: &Who, deed: &Deed<'_>) {
        self.take_down(Some(who), deed, deed.target);
    }

    /// Somebody at this address was not let in.
    pub(crate) fn refused(&self, deed: &Deed<'_>, peer: IpAddr) {
        let Some(more) = self.turn() else { return };
        let target = match more {
            0 => format!("{} from {peer}", deed.target),
            more => format!("{} from {peer}, and {more} more refusals before it", deed.target),
        };
        self.take_down(None, deed, &target);
    }

    /// How many refusals were left out before this one; none if it is to be left out too.
    fn turn(&self) -> Option<u64> {
        let mut refusals = self.inner.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let after = refusals.until.max(now) + EACH;
        if after - now > EACH * BURST {
            refusals.more += 1;
            return None;
        }
        refusals.until = after;
        Some(std::mem::take(&mut refusals.more))
    }

    fn take_down(&self, who: Option<&Who>, deed: &Deed<'_>, target: &str) {
        let inner = &self.inner;
        let target: String = inner.redactor.text(target).chars().take(LONGEST).collect();
        let entry = AuditEntry {
            id: inner.clock.transaction_id().0,
            at: inner.clock.now(),
            name: who.map(|who| who.name().to_owned()),
            role: who.map(|who| who.role().name().to_owned()),
            proof: who.map(|who| who.proof().name().to_owned()),
            method: deed.method.to_string(),
            route: deed.route.to_owned(),
            target,
            status: Some(deed.status.as_u16()),
            replica: inner.replica.clone(),
        };
        let AuditEntry { name, role, proof, method, route, target, status, .. } = &entry;
        tracing::info!(
            target: "audit",
            name = name.as_deref(), role = role.as_deref(), proof = proof.as_deref(), %method, %route, path = %target, status,
            "audit"
        );
        if inner.queue.try_send(entry).is_err() && inner.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(
                "the audit log in the database is behind and lacks entries from here on; they are in this log"
            );
        }
    }
}

impl AuditWriter {
    /// Until `stop`, and then what is left.
    pub async fn run(mut self, store: Store, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                count = self.queue.recv_many(&mut batch, BATCH) => if count == 0 { return },
            }
            let mut said = false;
            while let Err(error) = store.add_audit(&batch).await {
                if !said {
                    tracing::warn!(%error, "the audit log cannot be written; trying again");
                    said = true;
                }
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    break;
                }
            }
            if stop.is_cancelled() {
                break;
            }
            batch.clear();
        }
        let written = timeout(LAST, self.write_waiting(&store, batch)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::error!("the last entries of the audit log are not in the database; they are in this log");
        }
    }

    /// Writes these and what waits.
    async fn write_waiting(
        &mut self,
        store: &Store,
        mut batch: Vec<AuditEntry>,
    ) -> Result<(), luthien_record::store::StoreError> {
        loop {
            while batch.len() < BATCH
                && let Ok(entry) = self.queue.try_recv()
            {
                batch.push(entry);
            }
            if batch.is_empty() {
                return Ok(());
            }
            store.add_audit(&batch).await?;
            batch.clear();
        }
    }

    /// Writes what waits.
    #[cfg(test)]
    pub(crate) async fn write(&mut self, store: &Store) {
        self.write_waiting(store, Vec::new()).await.unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use luthien_record::store::AuditFilter;
    use luthien_record::{Recorder, RecorderConfig};

    use super::*;
    use crate::admin::Proof;

    const DEED: Deed<'static> =
        Deed { method: &Method::POST, route: "/api/x/{id}", target: "/api/x/1", status: StatusCode::OK };

    async fn entries(store: &Store) -> Vec<AuditEntry> {
        store.audit(&AuditFilter { limit: 1000, ..AuditFilter::default() }).await.unwrap().entries
    }

    #[tokio::test]
    async fn what_waits_at_the_end_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        let (audit, writer) = Audit::new("one", Clock::system(), Redactor::default());
        for _ in 0..=BATCH * 2 {
            audit.done(&Who::with_admin_key(Proof::Session), &DEED);
        }
        let stop = CancellationToken::new();
        stop.cancel();
        writer.run(recorder.store().clone(), stop).await;
        let written = entries(recorder.store()).await;
        assert_eq!(written.len(), BATCH * 2 + 1);
        let AuditEntry { name, role, proof, method, route, target, status, replica, .. } = &written[0];
        assert_eq!(
            (name.as_deref(), role.as_deref(), proof.as_deref()),
            (Some("admin"), Some("admin"), Some("session"))
        );
        assert_eq!((method.as_str(), route.as_str(), target.as_str()), ("POST", "/api/x/{id}", "/api/x/1"));
        assert_eq!((*status, replica.as_str()), (Some(200), "one"));
        recorder.shutdown(Duration::from_secs(20)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_bounded_and_counted() {
        let (audit, mut writer) = Audit::new("one", Clock::system(), Redactor::default());
        let peer = Ipv4Addr::LOCALHOST.into();
        for _ in 0..1000 {
            audit.refused(&DEED, peer);
        }
        tokio::time::advance(EACH).await;
        audit.refused(&DEED, peer);
        let mut noted = Vec::new();
        while let Ok(entry) = writer.queue.try_recv() {
            noted.push(entry.target);
        }
        assert_eq!(noted.len(), 31);
        assert_eq!(noted[0], "/api/x/1 from 127.0.0.1");
        assert_eq!(noted[30], "/api/x/1 from 127.0.0.1, and 970 more refusals before it");
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let (audit, mut writer) = Audit::new("one", Clock::system(), Redactor::default());
        for _ in 0..QUEUE + 5 {
            audit.done(&Who::with_admin_key(Proof::AdminKey), &DEED);
        }
        let mut waiting = 0;
        while writer.queue.try_recv().is_ok() {
            waiting += 1;
        }
        assert_eq!((waiting, audit.inner.lost.load(Ordering::Relaxed)), (QUEUE, 5));
    }
}
