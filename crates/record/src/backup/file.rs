//! A backup's file: a line that says what it is, a header as JSON, the rows as one zstd stream, and the checksum of all that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BackupError;
use super::cell::{Cell, read_array};

/// The first line. The number changes when older versions cannot read it any more.
const MAGIC: &str = "luthien backup 1\n";

/// The checksum's bytes, at the end.
const SUM: usize = 32;

/// The header is no longer.
const LONGEST_HEADER: u64 = 1 << 20;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of luthien that made it.
    pub version: String,
    /// The newest migration of its schema.
    pub migration: i64,
    /// When it was made.
    pub made_at: Timestamp,
    /// `sqlite` or `postgres`: where it comes from. It can be restored to either.
    pub database: String,
    /// Its tables.
    pub tables: Vec<Contained>,
    /// The names of the key files in it; empty unless they were asked for.
    pub keys: Vec<String>,
}

/// A table in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// How many rows there are.
    pub rows: u64,
}

/// A key file.
#[derive(Clone)]
pub struct KeyFile {
    /// Its name in the data folder.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sums up what goes through it.
struct Summing<W> {
    inner: W,
    sum: blake3::Hasher,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes a backup.
pub(super) struct Writing {
    stream: zstd::stream::write::Encoder<'static, Summing<BufWriter<File>>>,
}

impl Writing {
    pub(super) fn new(file: File, header: &Header) -> io::Result<Self> {
        let mut out = Summing { inner: BufWriter::new(file), sum: blake3::Hasher::new() };
        out.write_all(MAGIC.as_bytes())?;
        out.write_all(serde_json::to_string(header)?.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(Self { stream: zstd::stream::write::Encoder::new(out, 1)? })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        cells.iter().try_for_each(|cell| cell.write(&mut self.stream))
    }

    /// Ends the file and brings it to the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let Summing { mut inner, sum } = self.stream.finish()?;
        inner.write_all(sum.finalize().as_bytes())?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// Reads a backup whose checksum holds.
pub(super) struct Reading {
    pub(super) header: Header,
    stream: zstd::stream::read::Decoder<'static, BufReader<io::Take<BufReader<File>>>>,
}

impl Reading {
    /// Opens the file; refuses what is no backup, and one that is not whole.
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let failed = |source| BackupError::File { path: path.into(), source };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(failed)?;
        if magic != MAGIC.as_bytes() {
            let newer = magic.starts_with(b"luthien backup ");
            return Err(if newer { BackupError::NewerForm(path.into()) } else { BackupError::NoBackup(path.into()) });
        }
        let length = summed(&mut file, path)?;
        let mut line = String::new();
        file.by_ref().take(LONGEST_HEADER).read_line(&mut line).map_err(failed)?;
        let header = serde_json::from_str(&line).map_err(|_| BackupError::Damaged(path.into()))?;
        let rest = length - (MAGIC.len() + line.len()) as u64;
        let stream = zstd::stream::read::Decoder::new(file.take(rest)).map_err(failed)?;
        Ok(Self { header, stream })
    }

    /// A row of so many cells.
    pub(super) fn row(&mut self, width: usize) -> io::Result<Vec<Cell>> {
        (0..width).map(|_| Cell::read(&mut self.stream)).collect()
    }

    /// Passes over so many rows of so many cells.
    pub(super) fn skip(&mut self, width: usize, rows: u64) -> io::Result<()> {
        (0..rows).try_for_each(|_| self.row(width).map(|_| ()))
    }

    /// Whether everything was read.
    pub(super) fn ended(&mut self) -> io::Result<bool> {
        match read_array::<1>(&mut self.stream) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Checks the sum and goes back behind the first line; gives how many bytes were summed up.
fn summed(file: &mut BufReader<File>, path: &Path) -> Result<u64, BackupError> {
    let failed = |source| BackupError::File { path: path.into(), source };
    let whole = file.seek(SeekFrom::End(0)).map_err(failed)?;
    let length = whole.checked_sub(SUM as u64).ok_or_else(|| BackupError::Damaged(path.into()))?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut sum = blake3::Hasher::new();
    let (mut left, mut buffer) = (length, vec![0; 1 << 16]);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = file.read(&mut buffer[..most]).map_err(failed)?;
        if count == 0 {
            return Err(BackupError::Damaged(path.into()));
        }
        sum.update(&buffer[..count]);
        left -= count as u64;
    }
    let written: [u8; SUM] = read_array(file).map_err(failed)?;
    if sum.finalize() != blake3::Hash::from_bytes(written) {
        return Err(BackupError::Damaged(path.into()));
    }
    file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(failed)?;
    Ok(length)
}
