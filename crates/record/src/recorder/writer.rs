//! The writer: takes what is finished, stores it in batches, and turns to the journal when the database does not take it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgDatabaseError;
use tokio::time::Instant;
use uuid::Uuid;

use super::OpenError;
use super::complete::complete;
use super::encode::{Encoder, interrupted};
use super::gather::{Pieces, State};
use super::queue::{BATCH, BATCH_BYTES, Item};
use super::shared::Shared;
use crate::database::{Database, FileIdentity, file_identity};
use crate::journal::replay::{Recovered, Replay};
use crate::journal::{Journal, keep_damaged, record};
use crate::model::{Decision, TransactionId};
use crate::sql::Connection;
use crate::sql::transactions::BatchInserts;

/// How often a database that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// When a journal segment that could not be read is tried again.
const REREAD: Duration = Duration::from_millis(200);

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the database file is missing or another one is in its place")]
    Missing,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("what the records refer to was deleted meanwhile")]
    Stale,
}

impl WriteError {
    /// The database refuses the rows for what they are: it may well take others, and will not take these later.
    fn is_refusal(&self) -> bool {
        /// Too big, against a constraint, of another type, out of range.
        const SQLITE: [i32; 4] = [18, 19, 20, 25];
        /// Classes of SQLSTATE: the data, a constraint, a limit of the program.
        const POSTGRES: [&str; 3] = ["22", "23", "54"];
        match self {
            Self::Database(sqlx::Error::Encode(_)) => true,
            Self::Database(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default();
                if error.try_downcast_ref::<PgDatabaseError>().is_some() {
                    return POSTGRES.iter().any(|class| code.starts_with(class));
                }
                code.parse::<i32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff)))
            }
            _ => false,
        }
    }
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
    open: Option<(Connection, Option<FileIdentity>)>,
    inserts: BatchInserts,
    encoder: Encoder,
    /// The epoch in which the encoder has learnt what is stored; none if it knows nothing.
    epoch: Option<i64>,
}

impl Writer {
    /// Opens the database, made and migrated if needed.
    pub(super) async fn open(database: Database) -> Result<Self, OpenError> {
        let mut connection = database.connect(true).await?;
        complete(&mut connection).await.map_err(OpenError::Incomplete)?;
        let file = database.path().and_then(file_identity);
        Ok(Self {
            database,
            open: Some((connection, file)),
            inserts: BatchInserts::new(),
            encoder: Encoder::new(),
            epoch: None,
        })
    }

    /// Stores what an earlier process left in its journal: what has no end is interrupted at `at`.
    pub(super) async fn recover(
        &mut self,
        replay: &mut Replay,
        at: Timestamp,
        journal: &Journal,
    ) -> Result<(), WriteError> {
        self.store_all(replay, journal).await?;
        let mut unfinished = replay.unfinished();
        unfinished.sort_by_key(|pieces| pieces.start.id);
        let mut unfinished = unfinished.into_iter().peekable();
        while unfinished.peek().is_some() {
            let some = unfinished.by_ref().take(BATCH).map(|mut pieces| {
                pieces.end = Some(interrupted(&pieces, at.max(pieces.start.at)));
                Recovered::Transaction(Box::new(pieces))
            });
            let some: Vec<_> = some.collect();
            self.store_each(&some, encode_recovered, |refused| set_aside(journal, refused)).await?;
        }
        Ok(())
    }

    /// Stores transactions from elsewhere; `refused` gets those that the database does not take.
    pub(super) async fn import(&mut self, some: &[Pieces], refused: impl Fn(&Pieces)) -> Result<(), WriteError> {
        self.store_each(some, Encoder::transaction, refused).await
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self, shared: Arc<Shared>, gather: Duration) {
        let _ending = Ending(Arc::clone(&shared));
        let mut retry = None;
        loop {
            let flush = shared.queue.ready(gather, retry).await;
            let closing = shared.queue.is_closed();
            // One batch, however small, so that what comes meanwhile is gathered again and not written in dribs and drabs.
            let mut due = if flush || closing { shared.queue.len() } else { 1 };
            while due > 0 {
                let items = shared.queue.take();
                if items.is_empty() {
                    break;
                }
                let count = items.len();
                due = due.saturating_sub(count);
                let waiting = self.batch(&shared, items).await;
                shared.progress.send_modify(|progress| progress.processed += (count - waiting) as u64);
                if waiting > 0 {
                    tokio::time::sleep(RETRY).await;
                    break;
                }
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

    /// Stores a batch, or spools it. Gives how many of it wait in the queue again because neither was possible.
    async fn batch(&mut self, shared: &Shared, items: Vec<Item>) -> usize {
        let away = shared.away_because().is_some();
        let stored = !away && {
            let refused = |item: &Item| match item {
                Item::Transaction(gather) => set_aside_pieces(&shared.journal, gather.lock().pieces.clone()),
                Item::Late { key, id, decision } => set_aside_late(&shared.journal, *key, *id, decision),
            };
            match self.store_each(&items, encode, refused).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "the database takes nothing; the journal keeps what is recorded");
                    *shared.away_because() = Some(error.to_string());
                    false
                }
            }
        };
        if stored {
            let gathers = || {
                items.iter().filter_map(|item| if let Item::Transaction(gather) = item { Some(gather) } else { None })
            };
            shared.registry.remove(gathers());
            gathers().for_each(|gather| shared.journal.release(gather));
            return 0;
        }
        let mut waiting = Vec::new();
        for item in items {
            match &item {
                Item::Transaction(gather) if shared.stays_in_memory(gather) => waiting.push(item),
                Item::Transaction(gather) => shared.spool(gather),
                Item::Late { key, id, decision } => shared.spool_late(*key, *id, decision),
            }
        }
        let count = waiting.len();
        shared.queue.put_back(waiting);
        count
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
        match self.store_all(&mut replay, &shared.journal).await {
            Ok(()) => {
                if !replay.lost().is_empty() {
                    shared.keep_again();
                }
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

    async fn store_all(&mut self, replay: &mut Replay, journal: &Journal) -> Result<(), WriteError> {
        loop {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while some.len() < BATCH && bytes < BATCH_BYTES {
                let Some(next) = replay.next() else { break };
                if let Recovered::Transaction(pieces) = &next {
                    bytes += pieces.size();
                }
                some.push(next);
            }
            // An empty batch is stored too: it shows whether the database is there.
            self.store_each(&some, encode_recovered, |refused| set_aside(journal, refused)).await?;
            if replay.failure().is_some() {
                tokio::time::sleep(REREAD).await;
            } else if some.is_empty() {
                keep_damaged(replay.damaged());
                journal.lose(replay.lost());
                return Ok(());
            }
        }
    }

    /// Stores these together. If the database refuses them, each half is tried by itself, and so on: the refused ones are handed out.
    async fn store_each<T>(
        &mut self,
        items: &[T],
        encode: impl Fn(&mut Encoder, &T),
        refused: impl Fn(&T),
    ) -> Result<(), WriteError> {
        let mut left = vec![items];
        while let Some(some) = left.pop() {
            match self.store_encoded(|encoder| some.iter().for_each(|item| encode(encoder, item))).await {
                Err(error) if error.is_refusal() => match some {
                    [] => {}
                    [one] => {
                        tracing::error!(%error, "the database refuses a record");
                        refused(one);
                    }
                    several => {
                        let (first, second) = several.split_at(several.len() / 2);
                        left.extend([second, first]);
                    }
                },
                other => other?,
            }
        }
        Ok(())
    }

    /// Stores the rows that `encode` has the encoder make: all or none. Where something was deleted that they only refer to, they
    /// are made anew.
    async fn store_encoded(&mut self, encode: impl Fn(&mut Encoder)) -> Result<(), WriteError> {
        loop {
            encode(&mut self.encoder);
            let result = self.try_store().await;
            if result.is_err() {
                self.encoder.forget();
                self.epoch = None;
            }
            match result {
                Err(WriteError::Stale) => {}
                Err(error) => {
                    self.open = None;
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn try_store(&mut self) -> Result<(), WriteError> {
        let batch = self.encoder.take();
        let file = self.database.path().map(|path| file_identity(path).ok_or(WriteError::Missing)).transpose()?;
        let connection = match &mut self.open {
            Some((connection, opened)) if *opened == file => connection,
            Some(_) => return Err(WriteError::Missing),
            None => {
                let connection = self.database.connect(false).await?;
                &mut self.open.insert((connection, file)).0
            }
        };
        let stored_in = self.inserts.run(&mut connection.sql(), batch, self.epoch).await?;
        self.epoch = Some(stored_in.ok_or(WriteError::Stale)?);
        Ok(())
    }
}

fn encode(encoder: &mut Encoder, item: &Item) {
    match item {
        Item::Transaction(gather) => {
            let mut state = gather.lock();
            state.seal();
            encoder.transaction(&state.pieces);
        }
        Item::Late { key, id, decision } => encoder.late(*key, *id, decision),
    }
}

fn encode_recovered(encoder: &mut Encoder, item: &Recovered) {
    match item {
        Recovered::Transaction(pieces) => encoder.transaction(pieces),
        Recovered::Late { key, id, decision } => encoder.late(*key, *id, decision),
    }
}

fn set_aside(journal: &Journal, item: &Recovered) {
    match item {
        Recovered::Transaction(pieces) => set_aside_pieces(journal, (**pieces).clone()),
        Recovered::Late { key, id, decision } => set_aside_late(journal, *key, *id, decision),
    }
}

fn set_aside_pieces(journal: &Journal, pieces: Pieces) {
    let (id, mut records) = (pieces.start.id, Vec::new());
    record::write_new(&State::new(pieces), &mut records);
    journal.set_aside(id.0, &records);
}

fn set_aside_late(journal: &Journal, key: [u8; 16], id: TransactionId, decision: &Decision) {
    let mut records = Vec::new();
    record::write_late(&mut records, key, id, decision);
    journal.set_aside(Uuid::from_bytes(key), &records);
}
