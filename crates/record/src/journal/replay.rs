//! Reading the journal back: transactions put together from their records.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use uuid::Uuid;

use super::record::{Read, read};
use crate::model::{Decision, TransactionId};
use crate::recorder::gather::Pieces;

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
    left: Bytes,
    open: HashMap<Uuid, Pieces>,
}

impl Replay {
    /// Reads these segments, oldest first.
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: paths.into_iter().collect(), left: Bytes::new(), open: HashMap::new() }
    }

    /// The transactions that have a start and no end. Call it when nothing more comes.
    pub(crate) fn unfinished(self) -> Vec<Pieces> {
        self.open.into_values().collect()
    }

    fn next_segment(&mut self) -> Option<()> {
        let path = self.paths.pop_front()?;
        match fs::read(&path) {
            Ok(bytes) => self.left = bytes.into(),
            Err(error) => tracing::error!(%error, path = %path.display(), "a journal segment cannot be read"),
        }
        Some(())
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
                            return self.open.remove(&id).map(|pieces| Recovered::Transaction(Box::new(pieces)));
                        }
                    } else if let Some(pieces) = piece.begins() {
                        self.open.insert(id, pieces);
                    }
                }
                None => self.next_segment()?,
            }
        }
    }
}
