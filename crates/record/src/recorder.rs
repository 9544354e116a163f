//! The handle that the gateway holds: begins transactions, hands finished ones to the writer, says how recording fares.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use crate::database::{Database, DatabaseOptions};
use crate::journal::Journal;
use crate::journal::replay::Replay;
use crate::model::{Decision, Start, TransactionId};
use crate::redact::Redactor;
use crate::store::{Store, StoreError};

pub(crate) mod complete;
mod encode;
pub(crate) mod gather;
mod heads;
mod importer;
mod inflight;
mod preflight;
mod queue;
mod recent;
pub(crate) mod redacting;
mod registry;
mod shared;
mod texts;
mod writer;

pub use importer::{Importer, Refused};
pub use inflight::{InFlight, Outline, SentRequest};
use shared::{Progress, Shared};
use writer::{WriteError, Writer};

/// How long the connections for queries may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Where and how to record.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// The folder in which the journal is kept (`journal/`). Made if it is missing.
    pub data_dir: PathBuf,
    /// The database: `sqlite://` and a path, or `postgres://…`.
    pub database: String,
    /// Its connections and patience.
    pub options: DatabaseOptions,
    /// How many bytes the journal may take on disk before records are dropped.
    pub journal_max_bytes: u64,
    /// Refuse transactions that could not be recorded, instead of dropping records.
    pub required: bool,
    /// How many finished transactions may wait in memory; more go to the journal.
    pub queue: usize,
    /// How often what is in flight goes to the journal.
    pub flush_interval: Duration,
    /// How long finished transactions are gathered before they are written together.
    pub batch_interval: Duration,
    /// What is taken out of everything before it is kept.
    pub redactor: Redactor,
}

impl RecorderConfig {
    /// The defaults, with journal and database in `data_dir`.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        let database = format!("sqlite://{}", data_dir.join("luthien.db").display());
        Self {
            data_dir,
            database,
            options: DatabaseOptions::default(),
            journal_max_bytes: 2 << 30,
            required: false,
            queue: 8192,
            // With the time that a finished transaction is given to reach the database, less than a second.
            flush_interval: Duration::from_millis(750),
            batch_interval: Duration::from_millis(100),
            redactor: Redactor::default(),
        }
    }
}

/// Why the record could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database URL is not one that this version knows.
    #[error("the database `{0}` is not supported: give `sqlite://` and a path, or `postgres://` and a server")]
    UnknownDatabase(String),
    /// The database cannot be opened.
    #[error("cannot open the database `{url}`: {source}; DATABASE_URL or --data-dir names another")]
    Database {
        /// Its URL.
        url: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database's schema is not this version's.
    #[error("cannot use the database `{url}`: {why}")]
    Schema {
        /// Its URL.
        url: String,
        /// What does not fit, and what to do.
        why: String,
    },
    /// The journal's folder cannot be used.
    #[error("cannot use the journal in `{}`: {source}; make the folder writable or choose another data folder", path.display())]
    Journal {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process records in this folder.
    #[error("another luthien uses the data folder `{}`; stop it or choose another data folder", .0.display())]
    InUse(PathBuf),
    /// Rows that want completing cannot be.
    #[error("cannot complete the rows of the database: {0}")]
    Incomplete(StoreError),
    /// What an earlier run left in the journal could not be stored.
    #[error("cannot store what the journal kept: {0}; it stays in the journal")]
    Recovery(sqlx::Error),
    /// The writer's thread could not be started.
    #[error("cannot start the recorder's threads: {0}")]
    Thread(std::io::Error),
}

/// A transaction cannot be recorded now, and recording is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recording is required and not possible now")]
pub struct Full;

/// How recording fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderHealth {
    /// Transactions that have begun and not ended.
    pub in_flight: usize,
    /// Finished transactions that wait in memory.
    pub queued: usize,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Records that were lost since the start because the journal was full or could not be written.
    pub dropped: u64,
    /// Whether the database takes what is written, and if not, why.
    pub database: Result<(), String>,
    /// Whether the journal has what is in flight, and if not, why: a kill would lose it.
    pub journal: Result<(), String>,
    /// Transactions can begin: they can be recorded, or need not be.
    pub accepting: bool,
}

/// The recorder. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    store: Store,
    threads: Mutex<Option<Threads>>,
}

/// The writer's and the journal's threads.
#[derive(Debug)]
struct Threads {
    /// Dropped to stop the journal's.
    stop: Sender<()>,
    handles: [JoinHandle<()>; 2],
}

impl Recorder {
    /// Opens the database (made and migrated if needed), stores what the journal holds, and starts the threads.
    pub async fn open(config: RecorderConfig) -> Result<Self, OpenError> {
        let database = Database::parse(&config.database, config.options)?;
        let folder = config.data_dir.join("journal");
        let (journal, left) =
            Journal::open(&folder, config.journal_max_bytes).map_err(|source| match source.kind() {
                std::io::ErrorKind::WouldBlock => OpenError::InUse(config.data_dir.clone()),
                _ => OpenError::Journal { path: folder.clone(), source },
            })?;
        if let Some(parent) = database.path().and_then(Path::parent).filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| OpenError::Database {
                url: config.database.clone(),
                source: sqlx::Error::Io(error),
            })?;
        }
        let mut writer = Writer::open(database.clone()).await?;
        recover(&mut writer, &journal, &left).await?;
        let shared = Arc::new(Shared::new(config.queue, journal, config.required, config.redactor.clone()));
        let threads = start_threads(&shared, writer, &config).map_err(OpenError::Thread)?;
        let store = Store::new(&database);
        let inner = Inner { shared, store, threads: Mutex::new(Some(threads)) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Begins a transaction. Fails only if recording is required and not possible now.
    pub fn begin(&self, start: Start) -> Result<InFlight, Full> {
        let shared = &self.inner.shared;
        if shared.required && !shared.can_record() {
            return Err(Full);
        }
        Ok(InFlight::new(Arc::clone(shared), shared.registry.insert(start)))
    }

    /// A decision that came after the transaction's end (a shadow's).
    pub fn late_decision(&self, id: TransactionId, mut decision: Decision) {
        redacting::redact_decision(self.redactor(), &mut decision);
        self.inner.shared.late(late_key(id, &decision), id, decision);
    }

    /// Brings the journal up to date now.
    #[cfg(test)]
    pub(crate) fn keep_now(&self) {
        self.inner.shared.tick();
    }

    /// What is taken out of everything before it is kept.
    pub fn redactor(&self) -> &Redactor {
        self.inner.shared.registry.redactor()
    }

    /// Queries.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// How recording fares. Cheap.
    pub fn health(&self) -> RecorderHealth {
        let shared = &self.inner.shared;
        let (journal_bytes, dropped) = shared.journal.figures();
        let database = shared.away_because().clone().map_or(Ok(()), Err);
        let journal = shared.unkept_because().clone().map_or(Ok(()), Err);
        let accepting = !shared.required || shared.can_record();
        let queued = shared.queue.len();
        // Those that wait to be written are known until they are.
        let in_flight = shared.registry.count().saturating_sub(queued);
        RecorderHealth { in_flight, queued, journal_bytes, dropped, database, journal, accepting }
    }

    /// Resolves when everything that was finished before the call can be read, or was dropped.
    pub async fn settled(&self) {
        let shared = &self.inner.shared;
        let pushed = shared.queue.flush();
        self.wait_until(|progress| progress.processed >= pushed).await;
        let spooled = shared.spooled.load(Ordering::SeqCst);
        shared.queue.flush();
        self.wait_until(|progress| progress.replayed >= spooled).await;
    }

    /// Writes what is queued, for at most `within`; what does not reach the database stays in the journal. Transactions that
    /// end later go to the journal too.
    pub async fn shutdown(&self, within: Duration) {
        self.inner.shared.queue.close();
        let stopped = tokio::time::timeout(within, self.wait_until(|_| false)).await.is_ok();
        self.inner.shared.keep_in_flight(Duration::ZERO);
        let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Threads { stop, handles }) = threads.filter(|_| stopped) {
            drop(stop);
            for handle in handles {
                if handle.join().is_err() {
                    tracing::error!("a thread of the recorder had panicked");
                }
            }
        }
        if tokio::time::timeout(CLOSING, self.inner.store.close()).await.is_err() {
            tracing::warn!("the database's connections were not closed cleanly");
        }
    }

    /// Waits for the writer to get somewhere, or to end.
    async fn wait_until(&self, far_enough: impl Fn(&Progress) -> bool) {
        let mut progress = self.inner.shared.progress.subscribe();
        // The sender lives as long as `self`.
        let _ = progress.wait_for(|now| now.stopped || far_enough(now)).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// Stores what an earlier process left, then removes its segments.
async fn recover(writer: &mut Writer, journal: &Journal, left: &[PathBuf]) -> Result<(), OpenError> {
    if left.is_empty() {
        return Ok(());
    }
    let at = left.iter().filter_map(|path| last_change(path)).max().unwrap_or_else(now);
    let mut replay = Replay::new(left.iter().cloned());
    writer.recover(&mut replay, at, journal).await.map_err(|error| match error {
        WriteError::Open(error) => error,
        WriteError::Database(source) => OpenError::Recovery(source),
        WriteError::Missing | WriteError::Stale => {
            OpenError::Recovery(sqlx::Error::Io(std::io::ErrorKind::NotFound.into()))
        }
    })?;
    // What could not be read has another name now, or stays for the next start.
    for path in left.iter().filter(|path| !replay.lost().contains(*path)) {
        match std::fs::remove_file(path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(OpenError::Journal { path: path.clone(), source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn last_change(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(std::fs::metadata(path).ok()?.modified().ok()?).ok()
}

fn start_threads(shared: &Arc<Shared>, writer: Writer, config: &RecorderConfig) -> Result<Threads, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (for_writer, for_journal) = (Arc::clone(shared), Arc::clone(shared));
    let (batch, flush) = (config.batch_interval, config.flush_interval);
    let writing = thread::Builder::new()
        .name("record-writer".into())
        .spawn(move || runtime.block_on(writer.run(for_writer, batch)))?;
    let (stop, stopped) = channel();
    let keeping =
        thread::Builder::new().name("record-journal".into()).spawn(move || keep(&for_journal, &stopped, flush))?;
    Ok(Threads { stop, handles: [writing, keeping] })
}

/// The journal's thread: keeps what is in flight, until the other end of `stopped` is dropped.
fn keep(shared: &Shared, stopped: &Receiver<()>, every: Duration) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        shared.tick();
    }
}

#[expect(clippy::disallowed_methods, reason = "a drop has nobody to ask for the time")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// How many late decisions there were: two of the same microsecond are two all the same.
static LATE: AtomicU64 = AtomicU64::new(0);

/// A late decision's key: sorts by time. The journal keeps it, so that one that is stored twice is there once.
fn late_key(id: TransactionId, decision: &Decision) -> [u8; 16] {
    let mut key = [0; 16];
    let (time, rest) = key.split_at_mut(8);
    time.copy_from_slice(&now().as_microsecond().to_be_bytes());
    let number = LATE.fetch_add(1, Ordering::Relaxed);
    let what = (id, number, &decision.policy, &decision.target, &decision.action);
    rest.copy_from_slice(&blake3::hash(&serde_json::to_vec(&what).unwrap_or_default()).as_bytes()[..8]);
    key
}

#[cfg(test)]
mod tests;
