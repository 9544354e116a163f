//! Retention: what the settings say of it, and the task that carries it out.

use std::sync::Arc;
use std::time::Duration;

use luthien_record::Store;
use luthien_record::archive::{Archive, FolderArchive};
use luthien_record::retention::{Retention, RetentionError, Rule};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::UpstreamError;
use crate::clock::Clock;
use crate::settings::Settings;

mod kept;
mod s3;

pub use kept::{Kept, LastRun};
use s3::S3Archive;

/// How often the task looks whether something is due: what was in flight when its deletion was asked for goes so soon.
const LOOK: Duration = Duration::from_mins(1);

/// How long connections may take to end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Retention cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The bucket for the archive is not usable.
    #[error("cannot archive to the bucket: {0}")]
    Bucket(String),
    /// What the way to the bucket needs is not usable.
    #[error(transparent)]
    Network(#[from] UpstreamError),
}

/// What the settings say, for this record. Connects to nothing yet; `tasks` owns the connections to a bucket.
pub fn from_settings(
    settings: &Settings,
    store: Store,
    clock: Clock,
    tasks: &TaskTracker,
) -> Result<Retention, SetupError> {
    let rule = Rule {
        max_age: settings.conversation_retention_days.map(|days| days.0),
        max_bytes: settings.retention_max_bytes.map(|bytes| bytes.0),
    };
    Ok(Retention { store, rule, archive: archive(settings, clock, tasks)?, now: clock.source() })
}

fn archive(settings: &Settings, clock: Clock, tasks: &TaskTracker) -> Result<Option<Arc<dyn Archive>>, SetupError> {
    if let Some(folder) = &settings.archive_dir {
        return Ok(Some(Arc::new(FolderArchive::new(folder))));
    }
    let bucket = S3Archive::new(settings, clock, tasks)?;
    Ok(bucket.map(|bucket| Arc::new(bucket) as Arc<dyn Archive>))
}

/// Keeps the record to its rule while the gateway runs.
#[derive(Debug)]
pub struct Keeper {
    retention: Retention,
    clock: Clock,
    task: TaskTracker,
    /// To a bucket.
    connections: TaskTracker,
    done: CancellationToken,
    /// How long the audit log is kept.
    audit: Duration,
}

impl Keeper {
    /// As the settings say. Nothing is done yet.
    pub fn new(settings: &Settings, store: Store, clock: Clock) -> Result<Self, SetupError> {
        let connections = TaskTracker::new();
        let retention = from_settings(settings, store, clock, &connections)?;
        let (task, done, audit) = (TaskTracker::new(), CancellationToken::new(), settings.audit_retention_days.0);
        Ok(Self { retention, clock, task, connections, done, audit })
    }

    /// What is to go, and where.
    pub fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Deletes at the start what was in flight when its deletion was asked for and came out of the journal now.
    pub async fn erase_again(&self) {
        erase_again(&self.retention, self.clock, &self.done).await;
    }

    /// Removes what is old `every` so often, and what was deleted on request while it was in flight, on these threads.
    pub fn start(&self, every: Duration, threads: &Handle) {
        let tending = tend(self.retention.clone(), self.clock, every, self.audit, self.done.clone());
        self.task.spawn_on(tending, threads);
        self.task.close();
    }

    /// Ends it. What a run has not removed by then the next one does.
    pub async fn shutdown(&self, within: Duration) {
        self.done.cancel();
        if timeout(within, self.task.wait()).await.is_err() {
            tracing::warn!("the removal of old transactions did not end in time");
        }
        self.connections.close();
        // Connections that nobody uses end with the threads that they are on.
        let _ = timeout(LAST_WORDS, self.connections.wait()).await;
    }
}

async fn tend(retention: Retention, clock: Clock, every: Duration, audit: Duration, done: CancellationToken) {
    let mut due = Instant::now();
    while !wait(LOOK.min(every), &done).await {
        if Instant::now() >= due {
            due = Instant::now() + every;
            once(&retention, clock, &done).await;
            forget_audit(&retention.store, clock, audit, &done).await;
        } else {
            erase_again(&retention, clock, &done).await;
        }
        bring_words_over(&retention, &done).await;
    }
}

/// Older gateways may go on writing while newer ones take over from them.
async fn bring_words_over(retention: &Retention, done: &CancellationToken) {
    match done.run_until_cancelled(Box::pin(retention.store.bring_words_over())).await {
        Some(Ok(turns)) if turns > 0 => tracing::info!(turns, "words from before this version were brought over"),
        Some(Err(error)) => tracing::warn!(%error, "words from before this version could not be brought over"),
        _ => {}
    }
}

/// Whether it is over before the time has passed.
async fn wait(time: Duration, done: &CancellationToken) -> bool {
    timeout(time, done.cancelled()).await.is_ok()
}

/// Removes the old entries of the audit log.
async fn forget_audit(store: &Store, clock: Clock, kept: Duration, done: &CancellationToken) {
    let Ok(before) = clock.now().checked_sub(kept) else { return };
    match done.run_until_cancelled(Box::pin(store.remove_audit(before))).await {
        Some(Ok(entries)) if entries > 0 => tracing::info!(entries, "removed old entries of the audit log"),
        Some(Err(error)) => tracing::warn!(%error, "old entries of the audit log could not be removed"),
        _ => {}
    }
}

async fn erase_again(retention: &Retention, clock: Clock, done: &CancellationToken) {
    let erasing = Box::pin(retention.store.erase_again(clock.now()));
    match done.run_until_cancelled(erasing).await {
        Some(Ok(erased)) if erased.transactions > 0 => {
            tracing::info!(
                transactions = erased.transactions,
                "deleted what had been in flight when that was asked for"
            );
        }
        Some(Err(error)) => tracing::warn!(%error, "what was deleted on request could not be looked after"),
        _ => {}
    }
}

async fn once(retention: &Retention, clock: Clock, done: &CancellationToken) {
    erase_again(retention, clock, done).await;
    if retention.rule == Rule::default() {
        return;
    }
    let run = clock.transaction_id().0;
    match done.run_until_cancelled(Box::pin(retention.run(run))).await {
        None => retention.give_up(run).await,
        Some(Ok(report)) if report.transactions == 0 => tracing::debug!("nothing is old enough to be removed"),
        Some(Ok(report)) => tracing::info!(outcome = report.in_words(), "old transactions were removed"),
        Some(Err(error @ RetentionError::Busy(_))) => tracing::debug!(%error, "old transactions are removed elsewhere"),
        Some(Err(error)) => tracing::error!(%error, "old transactions were not all removed"),
    }
}

#[cfg(test)]
mod tests;
