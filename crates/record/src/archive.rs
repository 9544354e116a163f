//! The archive: whole transactions as files of JSON lines, outside the database.
//!
//! A file holds transactions of one day, one a line, compressed with zstd. What is not in the archive for certain is not
//! removed from the record.

use std::fmt::Debug;
use std::pin::Pin;

use bytes::Bytes;

mod folder;
mod line;
mod part;

pub use folder::FolderArchive;
pub use line::{Archived, Body, Sent};
pub(crate) use part::Part;

/// What putting a file into an archive gives.
pub type Put<'a> = Pin<Box<dyn Future<Output = Result<(), ArchiveError>> + Send + 'a>>;

/// A place that keeps files.
pub trait Archive: Send + Sync + Debug {
    /// Puts a file of this name there. `Ok` means that it is kept for certain, whole and under this name. Names are never
    /// used twice. Must end within a quarter of an hour.
    fn put<'a>(&'a self, name: &'a str, bytes: Bytes) -> Put<'a>;

    /// Where it is, for people.
    fn place(&self) -> String;
}

/// A file could not be archived.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {file} to the archive {place}: {why}; nothing is removed from the record that is not archived")]
pub struct ArchiveError {
    /// The file's name.
    pub file: String,
    /// Which archive.
    pub place: String,
    /// What happened, and what to do.
    pub why: String,
}

#[cfg(test)]
mod tests;
