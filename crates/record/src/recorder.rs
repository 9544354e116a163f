//! The handle that the gateway holds: begins transactions, hands finished ones to the writer, says how recording fares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Decision, Start, TransactionId};
use crate::store::Store;

mod inflight;

use inflight::Gather;
pub use inflight::InFlight;

/// Where and how to record.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// The folder in which the journal is kept (`journal/`). Made if it is missing.
    pub data_dir: PathBuf,
    /// The database: `sqlite://` and a path.
    pub database: String,
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
}

impl RecorderConfig {
    /// The defaults, with journal and database in `data_dir`.
    pub fn in_dir(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        let database = format!("sqlite://{}", data_dir.join("luthien.db").display());
        Self {
            data_dir,
            database,
            journal_max_bytes: 2 << 30,
            required: false,
            queue: 8192,
            flush_interval: Duration::from_secs(1),
            batch_interval: Duration::from_millis(50),
        }
    }
}

/// Why the record could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database URL is not one that this version knows.
    #[error("the database `{0}` is not supported: give `sqlite://` and a path")]
    UnknownDatabase(String),
    /// The database cannot be opened.
    #[error("cannot open the database `{url}`: {source}")]
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
    /// Finished transactions that wait in memory.
    pub queued: usize,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Records that were lost since the start because the journal was full or could not be written.
    pub dropped: u64,
    /// Whether the database takes what is written, and if not, why.
    pub database: Result<(), String>,
}

/// The recorder. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
}

impl Inner {
    fn finished(&self, _gather: Arc<Gather>) {}
}

impl Recorder {
    /// Opens the database (made and migrated if needed), stores what the journal holds, and starts the writer.
    pub async fn open(_config: RecorderConfig) -> Result<Self, OpenError> {
        Ok(Self { inner: Arc::new(Inner { store: Store {} }) })
    }

    /// Begins a transaction. Fails only if recording is required and not possible now.
    pub fn begin(&self, start: Start) -> Result<InFlight, Full> {
        Ok(InFlight::new(Arc::clone(&self.inner), Arc::new(Gather::new(start))))
    }

    /// A decision that came after the transaction's end (a shadow's).
    pub fn late_decision(&self, _id: TransactionId, _decision: Decision) {}

    /// Queries.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// How recording fares. Cheap.
    pub fn health(&self) -> RecorderHealth {
        RecorderHealth { queued: 0, journal_bytes: 0, dropped: 0, database: Ok(()) }
    }

    /// Resolves when everything that was finished before the call can be read, or was dropped.
    pub async fn settled(&self) {}

    /// Writes what is queued, for at most `within`; what does not reach the database stays in the journal.
    pub async fn shutdown(&self, _within: Duration) {}
}
