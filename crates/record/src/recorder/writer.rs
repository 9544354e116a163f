//! The writer: takes what is finished, stores it in batches, and turns to the journal when the database does not take it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{Connection as _, SqliteConnection};
use tokio::time::Instant;

use super::OpenError;
use super::encode::{Encoder, interrupted};
use super::queue::{BATCH, Item};
use super::shared::Shared;
use crate::journal::replay::{Recovered, Replay};
use crate::sqlite::transactions::BatchInserts;
use crate::sqlite::{Database, file_identity};

/// How often a database that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// So many bytes of bodies from the journal are stored together.
const BATCH_BYTES: usize = 32 << 20;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the database file is missing or another one is in its place")]
    Missing,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Says that the writer has ended, in whatever way.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.away_because() =
                Some("the record's writer has failed; restart the gateway, the journal keeps the records".into());
        }
        self.0.queue.close();
        self.0.progress.send_modify(|progress| progress.stopped = true);
    }
}

/// The writer's side of the database.
#[derive(Debug)]
pub(super) struct Writer {
    database: Database,
    /// The connection, and which file it has open.
    open: Option<(SqliteConnection, Option<(u64, u64)>)>,
    inserts: BatchInserts,
    encoder: Encoder,
}

impl Writer {
    /// Opens the database, made and migrated if needed.
    pub(super) async fn open(database: Database) -> Result<Self, OpenError> {
        let connection = database.connect(true).await?;
        let file = file_identity(database.path());
        Ok(Self { database, open: Some((connection, file)), inserts: BatchInserts::new(), encoder: Encoder::new() })
    }

    /// Stores what an earlier process left in its journal: what has no end is interrupted at `at`.
    pub(super) async fn recover(&mut self, mut replay: Replay, at: Timestamp) -> Result<(), WriteError> {
        self.store_all(&mut replay).await?;
        let mut unfinished = replay.unfinished();
        unfinished.sort_by_key(|pieces| pieces.start.id);
        for some in unfinished.chunks_mut(BATCH) {
            for pieces in some {
                pieces.end = Some(interrupted(pieces, at.max(pieces.start.at)));
                self.encoder.transaction(pieces);
            }
            self.store().await?;
        }
        Ok(())
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self, shared: Arc<Shared>, gather: Duration) {
        let _ending = Ending(Arc::clone(&shared));
        let mut retry = None;
        loop {
            let flush = shared.queue.ready(gather, retry).await;
            let closing = shared.queue.is_closed();
            // One batch, so that what comes meanwhile is gathered again and not written in dribs and drabs.
            let mut due = if flush || closing { shared.queue.len() } else { BATCH };
            while due > 0 {
                let items = shared.queue.take();
                if items.is_empty() {
                    break;
                }
                let count = items.len();
                due = due.saturating_sub(count);
                self.batch(&shared, items).await;
                shared.progress.send_modify(|progress| progress.processed += count as u64);
            }
            if flush || closing || retry.is_some_and(|at| at <= Instant::now()) {
                self.replay(&shared).await;
            }
            let behind = shared.away_because().is_some()
                || shared.progress.borrow().replayed < shared.spooled.load(Ordering::SeqCst);
            retry = behind.then(|| retry.filter(|at| *at > Instant::now()).unwrap_or_else(|| Instant::now() + RETRY));
            if closing && shared.queue.len() == 0 {
                break;
            }
        }
        if let Some((connection, _)) = self.open.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    /// Stores a batch, or spools it.
    async fn batch(&mut self, shared: &Shared, items: Vec<Item>) {
        let away = shared.away_because().is_some();
        let stored = !away && {
            for item in &items {
                match item {
                    Item::Transaction(gather) => self.encoder.transaction(&gather.lock().pieces),
                    Item::Late { key, id, decision } => self.encoder.late(*key, *id, decision),
                }
            }
            match self.store().await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "the database takes nothing; the journal keeps what is recorded");
                    *shared.away_because() = Some(error.to_string());
                    false
                }
            }
        };
        let gathers =
            || items.iter().filter_map(|item| if let Item::Transaction(gather) = item { Some(gather) } else { None });
        if stored {
            shared.registry.remove(gathers());
            gathers().for_each(|gather| shared.journal.release(gather));
            return;
        }
        gathers().for_each(|gather| shared.spool(gather));
        for item in &items {
            if let Item::Late { key, id, decision } = item {
                shared.spool_late(*key, *id, decision);
            }
        }
    }

    /// Stores what is spooled; also finds out whether the database is back.
    async fn replay(&mut self, shared: &Shared) {
        let upto = shared.spooled.load(Ordering::SeqCst);
        let spooled = shared.journal.spooled();
        if spooled.is_none() && shared.away_because().is_none() {
            shared.progress.send_modify(|progress| progress.replayed = progress.replayed.max(upto));
            return;
        }
        let mut replay = Replay::new(spooled.iter().flat_map(|spooled| spooled.paths.clone()));
        match self.store_all(&mut replay).await {
            Ok(()) => {
                if let Some(spooled) = &spooled {
                    shared.journal.replayed(spooled);
                }
                if shared.away_because().take().is_some() {
                    tracing::info!("the database takes records again");
                }
                shared.progress.send_modify(|progress| progress.replayed = progress.replayed.max(upto));
            }
            Err(error) => *shared.away_because() = Some(error.to_string()),
        }
    }

    async fn store_all(&mut self, replay: &mut Replay) -> Result<(), WriteError> {
        loop {
            let (mut count, mut bytes) = (0, 0);
            while count < BATCH && bytes < BATCH_BYTES {
                match replay.next() {
                    Some(Recovered::Transaction(pieces)) => {
                        bytes += pieces.size();
                        self.encoder.transaction(&pieces);
                    }
                    Some(Recovered::Late { key, id, decision }) => self.encoder.late(key, id, &decision),
                    None => return self.store().await,
                }
                count += 1;
            }
            self.store().await?;
        }
    }

    /// Stores the rows that the encoder has made: all or none.
    async fn store(&mut self) -> Result<(), WriteError> {
        let result = self.try_store().await;
        if result.is_err() {
            self.encoder.forget();
            self.open = None;
        }
        result
    }

    async fn try_store(&mut self) -> Result<(), WriteError> {
        let batch = self.encoder.take();
        let file = file_identity(self.database.path()).ok_or(WriteError::Missing)?;
        let connection = match &mut self.open {
            Some((connection, opened)) if *opened == Some(file) => connection,
            Some(_) => return Err(WriteError::Missing),
            None => {
                let connection = self.database.connect(false).await?;
                &mut self.open.insert((connection, Some(file))).0
            }
        };
        Ok(self.inserts.run(connection, batch).await?)
    }
}
