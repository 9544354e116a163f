//! Deleting in small batches: each one database transaction, with pauses in which everybody else writes.

use std::time::Duration;

use tokio::time::Instant;

use crate::sql::deletion::{self, Deleted, Doomed};
use crate::sql::garbage;
use crate::store::Store;

/// So many transactions go in one database transaction.
const BATCH: usize = 100;

/// After a batch, so many times as long as it took nobody is kept from writing.
const PAUSES: u32 = 3;

/// And never shorter or longer than this.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// Deletes these transactions, not what only they referred to.
pub(super) async fn delete(store: &Store, doomed: &[Doomed]) -> Result<Deleted, sqlx::Error> {
    let mut deleted = Deleted::default();
    for batch in doomed.chunks(BATCH) {
        let began = Instant::now();
        let mut work = store.editor().begin().await?;
        let batch = deletion::delete(&mut work.sql(), batch).await?;
        work.commit().await?;
        deleted.transactions += batch.transactions;
        deleted.sessions += batch.sessions;
        pause(began).await;
    }
    Ok(deleted)
}

/// Deletes what nothing refers to any more; what an earlier process left behind too.
pub(super) async fn collect(store: &Store) -> Result<(), sqlx::Error> {
    while garbage::waits(&mut store.readers().acquire().await?.sql()).await? {
        let began = Instant::now();
        let mut work = store.editor().begin().await?;
        garbage::collect(&mut work.sql()).await?;
        work.commit().await?;
        pause(began).await;
    }
    Ok(())
}

async fn pause(began: Instant) {
    let (shortest, longest) = PAUSE;
    tokio::time::sleep((began.elapsed() * PAUSES).clamp(shortest, longest)).await;
}
