//! A gateway's log in a file: it grows to a bound, then it is put aside and begun anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where it is in a data folder.
pub(crate) const NAME: &str = "gateway.log";

/// How large it may grow.
const LARGEST: u64 = 10 << 20;

/// How many that were put aside are kept.
const KEPT: u32 = 3;

/// The end of the log. Each write is a line.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    largest: u64,
}

impl LogFile {
    /// Opens it at its end, made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::bounded(path, LARGEST)
    }

    fn bounded(path: &Path, largest: u64) -> io::Result<Self> {
        let file = end_of(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, largest })
    }

    /// Puts it aside and begins anew. What cannot be put aside grows on.
    fn turn(&mut self) {
        for number in (1..KEPT).rev() {
            let _ = std::fs::rename(aside(&self.path, number), aside(&self.path, number + 1));
        }
        if std::fs::rename(&self.path, aside(&self.path, 1)).is_ok()
            && let Ok(fresh) = end_of(&self.path)
        {
            self.file = fresh;
        }
        self.size = 0;
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        if self.size > 0 && self.size + length > self.largest {
            self.turn();
        }
        self.file.write_all(line)?;
        self.size += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The file that was put aside so many turns ago.
pub(crate) fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Opens a file for this user alone, at its end.
fn end_of(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut log = LogFile::bounded(&path, 8).unwrap();
        for number in 0..12 {
            writeln!(log, "{number:03}").unwrap();
        }
        drop(log);
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&path), "010\n011\n");
        assert_eq!(text(&aside(&path, 1)), "008\n009\n");
        assert_eq!(text(&aside(&path, 3)), "004\n005\n");
        assert!(!aside(&path, 4).exists());
        // One that is opened again is as full as it was.
        let mut log = LogFile::bounded(&path, 8).unwrap();
        writeln!(log, "012").unwrap();
        assert_eq!((text(&path).as_str(), text(&aside(&path, 1)).as_str()), ("012\n", "010\n011\n"));
    }
}
