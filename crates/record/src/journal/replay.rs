//! Reading the journal back: transactions put together from their records.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::{fs, io};

use bytes::Bytes;
use uuid::Uuid;

use super::record::{Read, read};
use crate::model::{Decision, TransactionId};
use crate::recorder::gather::Pieces;

/// How often it is tried to read a segment.
const TRIES: u32 = 3;

/// What comes out of a journal.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// A finished transaction.
    Transaction(Box<Pieces>),
    /// A late decision, with the key that tells it from others.
    Late { key: [u8; 16], id: TransactionId, decision: Box<Decision> },
}

/// A journal being read.
#[derive(Debug)]
pub(crate) struct Replay {
    paths: VecDeque<PathBuf>,
    current: PathBuf,
    left: Bytes,
    open: HashMap<Uuid, Pieces>,
    /// Of these something was damaged.
    incomplete: HashSet<Uuid>,
    damaged: BTreeSet<PathBuf>,
    /// How often the segment whose turn it is could not be read.
    failures: u32,
    failed: Option<io::Error>,
    lost: BTreeSet<PathBuf>,
}

impl Replay {
    /// Reads these segments, oldest first.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            paths: paths.into_iter().collect(),
            current: PathBuf::new(),
            left: Bytes::new(),
            open: HashMap::new(),
            incomplete: HashSet::new(),
            damaged: BTreeSet::new(),
            failures: 0,
            failed: None,
            lost: BTreeSet::new(),
        }
    }

    /// The transactions that have a start and no end. Call it when nothing more comes.
    pub(crate) fn unfinished(&mut self) -> Vec<Pieces> {
        let open = std::mem::take(&mut self.open);
        open.into_values().map(|pieces| self.told(pieces)).collect()
    }

    /// Why the next segment could not be read, if so: then it is to be asked for the next transaction once more. A segment that
    /// cannot be read after some tries is passed over.
    pub(crate) fn failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// The segments of which not everything could be read.
    pub(crate) fn damaged(&self) -> &BTreeSet<PathBuf> {
        &self.damaged
    }

    /// The segments that could not be read at all.
    pub(crate) fn lost(&self) -> &BTreeSet<PathBuf> {
        &self.lost
    }

    /// Says on a transaction's record if something of it is missing.
    fn told(&self, mut pieces: Pieces) -> Pieces {
        pieces.incomplete = self.incomplete.contains(&pieces.start.id.0);
        pieces
    }

    fn next_segment(&mut self) -> Option<()> {
        // The last segment may well end in half a record: there the process was killed.
        if !self.left.is_empty() && !self.paths.is_empty() {
            self.damage();
        }
        self.left.clear();
        self.current = self.paths.pop_front()?;
        match fs::read(&self.current) {
            Ok(bytes) => {
                self.failures = 0;
                self.left = bytes.into();
            }
            // Nothing can be read from it any more, ever.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(path = %self.current.display(), "a journal segment is missing");
            }
            Err(error) => {
                tracing::error!(%error, path = %self.current.display(), "a journal segment cannot be read");
                self.failures += 1;
                if self.failures < TRIES {
                    self.paths.push_front(std::mem::take(&mut self.current));
                    self.failed = Some(error);
                    return None;
                }
                self.failures = 0;
                self.lost.insert(self.current.clone());
                // More of these may have been in it.
                self.incomplete.extend(self.open.keys());
            }
        }
        Some(())
    }

    fn damage(&mut self) {
        if self.damaged.insert(self.current.clone()) {
            tracing::error!(path = %self.current.display(), "a journal segment is damaged; the rest of it is used");
        }
    }
}

impl Iterator for Replay {
    type Item = Recovered;

    fn next(&mut self) -> Option<Recovered> {
        loop {
            match read(&mut self.left) {
                Some(Read::Late { key, id, decision }) => {
                    return Some(Recovered::Late { key, id, decision: Box::new(decision) });
                }
                Some(Read::Piece(id, piece)) => {
                    if let Some(pieces) = self.open.get_mut(&id) {
                        piece.apply(pieces);
                        if pieces.end.is_some() {
                            let pieces = self.open.remove(&id)?;
                            return Some(Recovered::Transaction(Box::new(self.told(pieces))));
                        }
                    } else if let Some(pieces) = piece.begins() {
                        self.open.insert(id, pieces);
                    }
                }
                Some(Read::Damaged(id)) => {
                    self.incomplete.insert(id);
                    self.damage();
                }
                None => self.next_segment()?,
            }
        }
    }
}
