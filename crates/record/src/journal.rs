//! The journal: what is in flight, on disk. Also the spool of what the database could not take.
//!
//! Records are appended to segments, numbered files in one folder. A segment counts the transactions that have records in it
//! and are not stored yet (`live`, still in memory too; `spooled`, here alone), and goes when there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::private::private;
use crate::recorder::gather::{Gather, Kept};

pub(crate) mod record;
pub(crate) mod replay;

/// A segment that has grown to this many bytes is closed.
const SEGMENT: u64 = 16 << 20;

/// A transaction in flight that has records in so many segments is written again, whole, with its next record: a long stream
/// would otherwise keep every segment of its time.
const SPREAD: usize = 8;

/// The journal's folder. One process has it at a time.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    max_bytes: u64,
    files: Mutex<Files>,
    /// Locked for as long as this lives.
    _lock: File,
}

#[derive(Debug, Default)]
struct Files {
    active: Option<(u64, File)>,
    segments: BTreeMap<u64, Segment>,
    next: u64,
    bytes: u64,
    dropped: u64,
    /// The last append failed.
    failing: bool,
}

#[derive(Debug, Default)]
struct Segment {
    bytes: u64,
    live: u64,
    spooled: u64,
}

/// Why nothing could be appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error("the journal has reached its limit")]
    Full,
    #[error("the journal cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// What is spooled at a moment: the segments to read, and how many transactions are spooled in each.
#[derive(Debug)]
pub(crate) struct Spooled {
    segments: Vec<(u64, u64)>,
    pub(crate) paths: Vec<PathBuf>,
}

impl Journal {
    /// Opens the folder, and gives the segments that an earlier process left, oldest first. An error of the kind `WouldBlock`
    /// means that another process has it.
    pub(crate) fn open(folder: &Path, max_bytes: u64) -> io::Result<(Self, Vec<PathBuf>)> {
        fs::create_dir_all(folder)?;
        let lock = private().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
            TryLockError::Error(error) => error,
        })?;
        let mut left = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if let Some(number) = number_of(&path) {
                left.insert(number, path);
            }
        }
        let next = left.keys().next_back().map_or(0, |last| last + 1);
        let files = Mutex::new(Files { next, ..Files::default() });
        Ok((Self { folder: folder.into(), max_bytes, files, _lock: lock }, left.into_values().collect()))
    }

    /// Appends what is new of a transaction. Its pieces are locked only while they are copied: a slow disk holds up nobody.
    pub(crate) fn keep(&self, gather: &Gather) -> Result<(), AppendError> {
        let _alone = gather.one_keeps();
        gather.redact();
        let mut records = Vec::new();
        let (before, again) = {
            let mut state = gather.lock();
            if state.settled {
                return Ok(());
            }
            let before = state.kept;
            state.kept = record::write_new(&state, &mut records);
            let again = state.segments.len() >= SPREAD && !records.is_empty();
            if again {
                records.clear();
                state.kept = Kept::default();
                state.kept = record::write_new(&state, &mut records);
            }
            (before, again)
        };
        if records.is_empty() {
            return Ok(());
        }
        let mut files = self.lock();
        let appended = self.append(&mut files, &records);
        let mut state = gather.lock();
        match appended {
            // It was stored meanwhile.
            Ok(number) if state.settled => {
                drop(state);
                self.tidy(&mut files, number);
            }
            Ok(number) => {
                if state.segments.last() != Some(&number) {
                    state.segments.push(number);
                    files.segments.entry(number).or_default().live += 1;
                }
                if again {
                    let older = state.segments.len() - 1;
                    let older: Vec<_> = state.segments.drain(..older).collect();
                    drop(state);
                    self.leave(&mut files, older);
                }
            }
            Err(error) => {
                state.kept = state.kept.back_to(before);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends what is new of a finished transaction, which then need not stay in memory. `false`: it was dropped.
    pub(crate) fn spool(&self, gather: &Gather) -> bool {
        let kept = self.keep(gather);
        let segments = settle(gather);
        let mut files = self.lock();
        for number in segments {
            if let Some(segment) = files.segments.get_mut(&number) {
                segment.live -= 1;
                segment.spooled += u64::from(kept.is_ok());
            }
            self.tidy(&mut files, number);
        }
        if let Err(error) = &kept {
            files.dropped += 1;
            tracing::error!(%error, dropped = files.dropped, "a record was dropped");
        }
        kept.is_ok()
    }

    /// Appends records that belong to no transaction in memory. `false`: they were dropped.
    pub(crate) fn spool_records(&self, records: &[u8]) -> bool {
        let mut files = self.lock();
        match self.append(&mut files, records) {
            Ok(number) => {
                files.segments.entry(number).or_default().spooled += 1;
                true
            }
            Err(error) => {
                files.dropped += 1;
                tracing::error!(%error, dropped = files.dropped, "a record was dropped");
                false
            }
        }
    }

    /// The transaction is stored.
    pub(crate) fn release(&self, gather: &Gather) {
        let segments = settle(gather);
        if segments.is_empty() {
            return;
        }
        self.leave(&mut self.lock(), segments);
    }

    /// A transaction in memory needs these segments no more.
    fn leave(&self, files: &mut Files, segments: Vec<u64>) {
        for number in segments {
            if let Some(segment) = files.segments.get_mut(&number) {
                segment.live -= 1;
            }
            self.tidy(files, number);
        }
    }

    /// What is spooled now; `None` if nothing is. Later records go to another segment.
    pub(crate) fn spooled(&self) -> Option<Spooled> {
        let mut files = self.lock();
        if files.segments.values().all(|segment| segment.spooled == 0) {
            return None;
        }
        if let Some((number, _)) = files.active.take() {
            self.tidy(&mut files, number);
        }
        let segments: Vec<_> = files.segments.iter().map(|(number, segment)| (*number, segment.spooled)).collect();
        let paths = segments.iter().map(|(number, _)| self.path(*number)).collect();
        Some(Spooled { segments, paths })
    }

    /// What was spooled then is stored now.
    pub(crate) fn replayed(&self, spooled: &Spooled) {
        let mut files = self.lock();
        for (number, count) in &spooled.segments {
            if let Some(segment) = files.segments.get_mut(number) {
                segment.spooled -= count;
            }
            self.tidy(&mut files, *number);
        }
    }

    /// Bytes on disk, and records dropped since the start.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let files = self.lock();
        (files.bytes, files.dropped)
    }

    /// Whether the next record may well be lost.
    pub(crate) fn failing(&self) -> bool {
        let files = self.lock();
        files.failing || files.bytes >= self.max_bytes
    }

    fn append(&self, files: &mut Files, records: &[u8]) -> Result<u64, AppendError> {
        let added = records.len() as u64;
        let result =
            if files.bytes + added > self.max_bytes { Err(AppendError::Full) } else { self.write(files, records) };
        files.failing = result.is_err();
        let number = result?;
        files.segments.entry(number).or_default().bytes += added;
        files.bytes += added;
        Ok(number)
    }

    fn write(&self, files: &mut Files, records: &[u8]) -> Result<u64, AppendError> {
        let full =
            |files: &Files, number: &u64| files.segments.get(number).is_some_and(|segment| segment.bytes >= SEGMENT);
        if files.active.as_ref().is_some_and(|(number, _)| full(files, number)) {
            files.active = None;
        }
        let (number, mut file) = if let Some(active) = files.active.take() {
            active
        } else {
            let number = files.next;
            let file = private().create_new(true).append(true).open(self.path(number))?;
            files.next += 1;
            files.segments.insert(number, Segment::default());
            (number, file)
        };
        let length = file.metadata()?.len();
        let written = file.write_all(records);
        // What was written before a failure goes again: it will come once more, and nothing can be read behind half a record.
        if written.is_ok() || file.set_len(length).is_ok() {
            files.active = Some((number, file));
        } else {
            self.tidy(files, number);
        }
        written?;
        Ok(number)
    }

    /// Keeps records that the database refuses in a file of their own. Renamed to a number and `.journal`, it is tried again
    /// at the next start.
    pub(crate) fn set_aside(&self, id: Uuid, records: &[u8]) {
        let path = self.folder.join(format!("{id}.refused"));
        let written = private().create(true).append(true).open(&path).and_then(|mut file| file.write_all(records));
        match written {
            Ok(()) => tracing::error!(path = %path.display(), "a record that the database refuses was set aside"),
            Err(error) => {
                let mut files = self.lock();
                files.dropped += 1;
                tracing::error!(%error, dropped = files.dropped, "a record that the database refuses was dropped");
            }
        }
    }

    /// Keeps segments that cannot be read under another name, for people, and counts what was in each as one record lost.
    pub(crate) fn lose(&self, segments: &BTreeSet<PathBuf>) {
        for path in segments {
            let kept = path.with_extension("damaged");
            let renamed = fs::rename(path, &kept);
            let mut files = self.lock();
            files.dropped += 1;
            match renamed {
                Ok(()) => {
                    tracing::error!(path = %kept.display(), dropped = files.dropped, "a journal segment cannot be read; its records are lost");
                }
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), dropped = files.dropped, "a journal segment cannot be read nor renamed; its records are lost");
                }
            }
        }
    }

    /// Empties or removes a segment that nothing needs.
    fn tidy(&self, files: &mut Files, number: u64) {
        let Some(segment) = files.segments.get_mut(&number) else { return };
        if segment.live > 0 || segment.spooled > 0 {
            return;
        }
        let bytes = std::mem::take(&mut segment.bytes);
        let done = match &files.active {
            Some((active, file)) if *active == number => file.set_len(0),
            _ => {
                files.segments.remove(&number);
                fs::remove_file(self.path(number))
            }
        };
        files.bytes -= bytes;
        // One that could not be read has another name.
        if let Err(error) = done
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a journal segment that is no longer needed could not be removed");
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016}.journal"))
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps damaged segments under another name, for people: what can be read of them is stored.
pub(crate) fn keep_damaged<'a>(segments: impl IntoIterator<Item = &'a PathBuf>) {
    for path in segments {
        let kept = path.with_extension("damaged");
        match fs::hard_link(path, &kept) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                tracing::error!(%error, path = %path.display(), "a damaged journal segment could not be kept");
            }
            _ => {}
        }
    }
}

/// Ends the journal's interest in a transaction; gives the segments that it is in. The journal's thread may still hold it.
fn settle(gather: &Gather) -> Vec<u64> {
    let mut state = gather.lock();
    state.settled = true;
    std::mem::take(&mut state.segments)
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".journal")?.parse().ok()
}

#[cfg(test)]
mod tests;
