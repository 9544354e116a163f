//! Writes transactions from elsewhere into the record, beside whoever records there.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::gather::{Pieces, State};
use super::writer::Writer;
use super::{OpenError, WriteError};
use crate::database::{Database, DatabaseOptions};
use crate::import::ImportError;
use crate::model::TransactionId;
use crate::redact::Redactor;
use crate::store::Store;

/// How long a database that takes nothing is tried again: another writer may hold it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// A transaction that the database refuses for what it is.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Which one.
    pub id: TransactionId,
    /// Its reason.
    pub why: String,
}

/// Writes to a record. Another process may record there meanwhile: nothing is taken from it but a turn with the database.
#[derive(Debug)]
pub struct Importer {
    writer: Writer,
    store: Store,
    redactor: Redactor,
}

impl Importer {
    /// Opens the database, made and migrated if needed. What `redactor` finds is not stored.
    pub async fn open(url: &str, options: DatabaseOptions, redactor: Redactor) -> Result<Self, OpenError> {
        let database = Database::parse(url, options)?;
        let store = Store::new(&database);
        Ok(Self { writer: Writer::open(database).await?, store, redactor })
    }

    /// What is recorded.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores transactions, all or none but those that the database refuses; those that are there already stay as they are.
    pub(crate) async fn import(&mut self, some: Vec<Pieces>) -> Result<Vec<Refused>, ImportError> {
        let until = Instant::now() + PATIENCE;
        let some: Vec<_> = some.into_iter().map(|pieces| self.redacted(pieces)).collect();
        loop {
            let refused = RefCell::new(Vec::new());
            let told = |pieces: &Pieces| {
                let why = "the record's database refuses it".to_owned();
                refused.borrow_mut().push(Refused { id: pieces.start.id, why });
            };
            match self.writer.import(&some, told).await {
                Ok(()) => return Ok(refused.into_inner()),
                Err(WriteError::Open(error)) => return Err(error.into()),
                Err(error) if Instant::now() >= until => return Err(ImportError::Write(error.to_string())),
                Err(error) => {
                    tracing::debug!(%error, "the database is asked again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn redacted(&self, pieces: Pieces) -> Pieces {
        let mut state = State::redacted(pieces, self.redactor.clone());
        state.seal();
        state.pieces
    }

    /// Closes the connections.
    pub async fn close(self) {
        self.store.close().await;
    }
}
