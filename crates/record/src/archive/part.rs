//! A file of the archive while it is made: lines, compressed as they come.

use std::io::{self, Write as _};

use bytes::Bytes;
use jiff::civil::Date;
use uuid::Uuid;
use zstd::stream::Encoder;

use super::Archived;

/// A turn repeats the one before it, which may be megabytes back. Every zstd reads windows up to 2^27 without being told.
const WINDOW: u32 = 25;

/// How hard zstd tries.
const LEVEL: i32 = 3;

/// Lines of one day.
pub(crate) struct Part {
    day: Date,
    encoder: Encoder<'static, Vec<u8>>,
}

impl Part {
    /// With no line yet.
    pub(crate) fn new(day: Date) -> io::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.window_log(WINDOW)?;
        encoder.long_distance_matching(true)?;
        Ok(Self { day, encoder })
    }

    /// Adds a transaction.
    pub(crate) fn add(&mut self, line: &Archived) -> io::Result<()> {
        serde_json::to_writer(&mut self.encoder, line)?;
        self.encoder.write_all(b"\n")
    }

    /// How large it has become, in bytes; what zstd still holds back is not counted.
    pub(crate) fn size(&self) -> usize {
        self.encoder.get_ref().len()
    }

    /// The file and its name: the `number`-th of `run`. Names sort by day, and no other run has the same.
    pub(crate) fn finish(self, run: Uuid, number: u32) -> io::Result<(String, Bytes)> {
        let name = format!("transactions-{}-{run}-{number:04}.jsonl.zst", self.day);
        Ok((name, self.encoder.finish()?.into()))
    }
}
