//! Retention: what age or size removes is archived first, and goes in small batches beside live traffic.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::archive::{Archive, ArchiveError};
use crate::sql::{self, Kind};
use crate::store::{Store, StoreError};

mod batches;
mod erase;
mod remove;

pub use erase::{Erased, Erasure};
use remove::Removal;

/// How long one who removes may say nothing before another may begin: longer than the writing of a file takes.
const HOLD: SignedDuration = SignedDuration::from_mins(20);

/// How long a late decision waits for its transaction before it counts as one whose transaction is gone.
const ORPHANS: SignedDuration = SignedDuration::from_hours(24);

/// What is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Transactions that began longer ago.
    pub max_age: Option<Duration>,
    /// The oldest ones, while more bytes than these are in use.
    pub max_bytes: Option<u64>,
}

/// Removes what is old.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The record.
    pub store: Store,
    /// What is to go.
    pub rule: Rule,
    /// Where it is kept. Without one it is only removed.
    pub archive: Option<Arc<dyn Archive>>,
    /// Tells the time.
    pub now: fn() -> Timestamp,
}

/// What one run has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Transactions that were removed.
    pub transactions: u64,
    /// Sessions of which nothing is left.
    pub sessions: u64,
    /// Files that were archived.
    pub files: u64,
    /// Transactions that stay because they could not be read to be archived.
    pub unreadable: u64,
    /// Bytes in use before; none where they were not measured (on PostgreSQL that is done for a rule about them), or could not be.
    pub bytes_before: Option<u64>,
    /// Bytes in use now; none as before.
    pub bytes_after: Option<u64>,
}

/// How the record stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Transactions.
    pub transactions: u64,
    /// When the oldest began.
    pub oldest: Option<Timestamp>,
    /// How many are too old.
    pub too_old: u64,
    /// Bytes in use; none where they were not measured (on PostgreSQL that is done for a rule about them), or could not be.
    pub bytes: Option<u64>,
    /// How many of them are too many.
    pub too_many: u64,
    /// Somebody removes now.
    pub running: bool,
    /// When the last run ended, and what was said of it.
    pub last: Option<(Timestamp, String)>,
}

/// Why a run ended early. What was removed until then is removed.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// Another process is at it.
    #[error("another process removes old transactions now; if it was killed, this is possible again at {0}")]
    Busy(Timestamp),
    /// Another process has begun although this one was not done.
    #[error("removing took so long that another process has taken over")]
    Lost,
    /// A file could not be archived.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file could not be made.
    #[error("cannot compress a file for the archive: {0}")]
    Compress(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RetentionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Retention {
    /// How the record stands, and what a run would remove.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let bytes = or_unknown(self.size(None).await);
        let mut connection = self.store.readers().acquire().await?;
        let mut sql = connection.sql();
        let now = (self.now)();
        let (transactions, oldest) = sql::retention::count(&mut sql, None).await?;
        let too_old = match self.rule.before(now) {
            Some(before) => sql::retention::count(&mut sql, Some(before)).await?.0,
            None => 0,
        };
        let state = sql::retention::state(&mut sql).await?;
        Ok(Standing {
            transactions: unsigned(transactions),
            oldest,
            too_old: unsigned(too_old),
            bytes,
            too_many: self.rule.max_bytes.zip(bytes).map_or(0, |(most, bytes)| bytes.saturating_sub(most)),
            running: state.held_until.is_some_and(|until| until >= now),
            last: state.ended_at.zip(state.outcome),
        })
    }

    /// Removes what is to go. `run` is a fresh id, by which the archive's files are named. Dropped on the way, it leaves the
    /// rest for the next run, which may begin after [`Retention::give_up`].
    pub async fn run(&self, run: Uuid) -> Result<Report, RetentionError> {
        self.hold(run).await?;
        let mut removal = Removal::new(self, run);
        let result = removal.all().await;
        let report = removal.report();
        let outcome = match &result {
            Ok(()) => report.in_words(),
            Err(error) => format!("{}; then: {error}", report.in_words()),
        };
        self.release(run, &outcome).await;
        result.map(|()| report)
    }

    /// Says that the run of this id goes on no more.
    pub async fn give_up(&self, run: Uuid) {
        self.release(run, "given up").await;
    }

    /// Gives the space that is free in a SQLite file back to the disk. Nobody else writes meanwhile, and for a while the disk holds
    /// both files. False for PostgreSQL, which looks after that itself.
    pub async fn shrink(&self) -> Result<bool, StoreError> {
        let mut connection = self.store.editor().acquire().await?;
        Ok(sql::retention::shrink(&mut connection.sql()).await?)
    }

    /// How many bytes are in use, if that is to be known. It takes a while on a large record: the run that asks goes on holding the
    /// work.
    async fn size(&self, run: Option<Uuid>) -> Result<Option<u64>, RetentionError> {
        let mut connection = self.store.readers().acquire().await?;
        let mut sql = connection.sql();
        if sql.kind() == Kind::Postgres && self.rule.max_bytes.is_none() {
            return Ok(None);
        }
        let mut bytes = 0;
        for part in sql::retention::size(&mut sql).await? {
            bytes += sql.number(part).await?;
            if let Some(run) = run {
                self.still(run).await?;
            }
        }
        Ok(Some(unsigned(bytes)))
    }

    /// Goes on holding the work.
    async fn still(&self, run: Uuid) -> Result<(), RetentionError> {
        self.hold(run).await.map_err(|error| match error {
            RetentionError::Busy(_) => RetentionError::Lost,
            other => other,
        })
    }

    /// Takes the work, or keeps it.
    async fn hold(&self, run: Uuid) -> Result<(), RetentionError> {
        let now = (self.now)();
        let mut work = self.store.editor().begin().await?;
        let held = sql::retention::hold(&mut work.sql(), run, now, later(now, HOLD)).await?;
        let state = sql::retention::state(&mut work.sql()).await?;
        work.commit().await?;
        if held { Ok(()) } else { Err(RetentionError::Busy(state.held_until.unwrap_or(now))) }
    }

    async fn release(&self, run: Uuid, outcome: &str) {
        let released = async {
            let mut work = self.store.editor().begin().await?;
            sql::retention::release(&mut work.sql(), run, (self.now)(), outcome).await?;
            work.commit().await
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "it could not be noted that removing old transactions has ended; the next run waits");
        }
    }
}

impl Rule {
    /// What began before this time goes.
    fn before(&self, now: Timestamp) -> Option<Timestamp> {
        let age = SignedDuration::try_from(self.max_age?).ok()?;
        now.checked_sub(age).ok()
    }
}

impl Report {
    /// In one line.
    pub fn in_words(&self) -> String {
        let Self { transactions, sessions, files, unreadable, bytes_before, bytes_after } = self;
        let stay = match unreadable {
            0 => String::new(),
            some => format!("; {some} stay because they could not be read to be archived"),
        };
        let in_use = match (bytes_before, bytes_after) {
            (Some(before), Some(after)) => format!("{before} bytes in use before and {after} after"),
            _ => "bytes in use not measured".into(),
        };
        format!(
            "removed {} and {}, archived {}, {in_use}{stay}",
            count(*transactions, "transaction"),
            count(*sessions, "whole session"),
            count(*files, "file"),
        )
    }
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What was measured; where that failed, the log says why.
fn or_unknown(measured: Result<Option<u64>, RetentionError>) -> Option<u64> {
    measured.unwrap_or_else(|error| {
        tracing::warn!(%error, "the size of the record could not be measured");
        None
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
