//! One run: the oldest transactions, archived day by day, then deleted.

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::time::timeout;
use uuid::Uuid;

use super::{HOLD, ORPHANS, Report, Retention, RetentionError, batches, or_unknown, unsigned};
use crate::archive::{Archive, ArchiveError, Archived, Part};
use crate::sql;
use crate::sql::deletion::Doomed;
use crate::sql::retention::Old;
use crate::store::{Pieces, StoreError};

/// So many transactions are taken at a time.
const AT_ONCE: usize = 1000;

/// A file of the archive is ended at this size. It is sent in one piece.
const LARGEST: usize = 32 << 20;

/// A run on its way.
pub(super) struct Removal<'r> {
    retention: &'r Retention,
    run: Uuid,
    /// Behind the last one that was looked at.
    after: Option<Old>,
    /// What was read for lines before.
    pieces: Pieces,
    report: Report,
}

impl<'r> Removal<'r> {
    pub(super) fn new(retention: &'r Retention, run: Uuid) -> Self {
        Self { retention, run, after: None, pieces: Pieces::default(), report: Report::default() }
    }

    /// What has been done so far.
    pub(super) fn report(self) -> Report {
        self.report
    }

    pub(super) async fn all(&mut self) -> Result<(), RetentionError> {
        // What an earlier run left.
        batches::collect(&self.retention.store).await?;
        self.report.bytes_before = or_unknown(self.size().await);
        self.report.bytes_after = self.report.bytes_before;
        let now = (self.retention.now)();
        if let Some(before) = self.retention.rule.before(now) {
            loop {
                let chunk = self.oldest(Some(before), AT_ONCE).await?;
                if chunk.is_empty() {
                    break;
                }
                self.remove(chunk).await?;
            }
        }
        let mut work = self.retention.store.editor().begin().await?;
        let orphans = now.checked_sub(ORPHANS).unwrap_or(now);
        sql::retention::drop_orphans(&mut work.sql(), orphans).await?;
        work.commit().await?;
        self.shrink().await
    }

    /// Removes the oldest until the size is right. It is measured anew after every share, not after every chunk.
    async fn shrink(&mut self) -> Result<(), RetentionError> {
        loop {
            let measured = self.size().await;
            let Some(most) = self.retention.rule.max_bytes else {
                self.report.bytes_after = or_unknown(measured);
                return Ok(());
            };
            self.report.bytes_after = None;
            self.report.bytes_after = measured?;
            let Some(bytes) = self.report.bytes_after.filter(|bytes| *bytes > most) else { return Ok(()) };
            let count = self.count().await?;
            // By a half of what the average says, so that hardly more goes than has to.
            let share = u128::from(count) * u128::from(bytes - most) / u128::from(bytes.max(1)) / 2;
            let mut share = usize::try_from(share).unwrap_or(usize::MAX).max(1);
            while share > 0 {
                let chunk = self.oldest(None, share.min(AT_ONCE)).await?;
                if chunk.is_empty() {
                    return Ok(());
                }
                share -= chunk.len().min(share);
                self.remove(chunk).await?;
            }
        }
    }

    /// The next ones.
    async fn oldest(&mut self, before: Option<jiff::Timestamp>, most: usize) -> Result<Vec<Old>, RetentionError> {
        let mut connection = self.retention.store.readers().acquire().await?;
        let chunk = sql::retention::oldest(&mut connection.sql(), self.after.as_ref(), before, most).await?;
        self.after = chunk.last().copied().or(self.after);
        Ok(chunk)
    }

    async fn size(&self) -> Result<Option<u64>, RetentionError> {
        self.retention.size(Some(self.run)).await
    }

    async fn count(&self) -> Result<u64, RetentionError> {
        let mut connection = self.retention.store.readers().acquire().await?;
        Ok(unsigned(sql::retention::count(&mut connection.sql(), None).await?.0))
    }

    /// Archives and deletes these.
    async fn remove(&mut self, mut chunk: Vec<Old>) -> Result<(), RetentionError> {
        let Some(archive) = &self.retention.archive else {
            let doomed: Vec<Doomed> = chunk.iter().map(|old| Doomed { id: old.id, late: None }).collect();
            return self.delete(&doomed).await;
        };
        // The turns of a session repeat each other.
        chunk.sort_by_key(|old| (day(old), old.session, old.started_at, old.id));
        let (mut file, mut doomed) = (None::<(Date, Part)>, Vec::new());
        for old in chunk {
            let Some((line, late)) = self.line(&old).await? else { continue };
            if let Some((_, full)) = file.take_if(|(of, part)| *of != day(&old) || part.size() >= LARGEST) {
                self.keep(archive.as_ref(), full, std::mem::take(&mut doomed)).await?;
            }
            let (_, part) = match &mut file {
                Some(open) => open,
                None => file.insert((day(&old), Part::new(day(&old))?)),
            };
            part.add(&line)?;
            doomed.push(Doomed { id: old.id, late: Some(late) });
        }
        match file {
            Some((_, part)) => self.keep(archive.as_ref(), part, doomed).await,
            None => Ok(()),
        }
    }

    /// What is written down of a transaction, and how many late decisions are in it. None where it is gone, or damaged, and stays.
    async fn line(&mut self, old: &Old) -> Result<Option<(Archived, i64)>, RetentionError> {
        match self.retention.store.archived(old.id, &mut self.pieces).await {
            Ok(line) => Ok(line),
            Err(StoreError::Damaged { what, why }) => {
                tracing::warn!(transaction_id = %old.id, what, why, "a transaction cannot be archived and is not removed");
                self.report.unreadable += 1;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Archives a file, then deletes what is in it.
    async fn keep(&mut self, archive: &dyn Archive, part: Part, doomed: Vec<Doomed>) -> Result<(), RetentionError> {
        let number = u32::try_from(self.report.files + 1).unwrap_or(u32::MAX);
        let (name, bytes) = part.finish(self.run, number)?;
        self.still_ours().await?;
        let within = (HOLD - SignedDuration::from_mins(5)).unsigned_abs();
        let late = |_| ArchiveError {
            file: name.clone(),
            place: archive.place(),
            why: format!("nothing was heard within {} minutes", within.as_secs() / 60),
        };
        timeout(within, archive.put(&name, bytes)).await.unwrap_or_else(|waited| Err(late(waited)))?;
        self.report.files += 1;
        tracing::info!(file = name, place = archive.place(), transactions = doomed.len(), "archived");
        self.delete(&doomed).await
    }

    async fn delete(&mut self, doomed: &[Doomed]) -> Result<(), RetentionError> {
        self.still_ours().await?;
        let deleted = batches::delete(&self.retention.store, doomed).await?;
        self.report.transactions += deleted.transactions;
        self.report.sessions += deleted.sessions;
        Ok(batches::collect(&self.retention.store).await?)
    }

    async fn still_ours(&self) -> Result<(), RetentionError> {
        self.retention.still(self.run).await
    }
}

/// The day, in UTC, to whose files a transaction belongs.
fn day(old: &Old) -> Date {
    TimeZone::UTC.to_datetime(old.started_at).date()
}
