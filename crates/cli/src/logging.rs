//! Logs: to standard error, as text for a person and as JSON for a machine; to a file while an agent owns the terminal.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use luthien_record::redact::Redactor;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::failure::Failure;
use crate::logfile::LogFile;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Format {
    /// Text on a terminal, JSON elsewhere.
    pub(crate) fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Logs to standard error from here on. `level` is `info`, or a filter such as `luthien_gateway=debug`.
/// What `redactor` finds is not in it.
pub(crate) fn to_stderr(level: &str, format: Format, redactor: Redactor) -> Result<(), Failure> {
    let writer = Redacting { inner: std::io::stderr, redactor };
    start(level, format, BoxMakeWriter::new(writer), std::io::stderr().is_terminal())
}

/// Logs to the end of `file` from here on, so that an agent's screen stays its own. The file's size is bounded.
pub(crate) fn to_file(level: &str, file: &Path, redactor: Redactor) -> Result<(), Failure> {
    let log = LogFile::open(file).map_err(|e| Failure::new(format!("cannot write the log {}: {e}", file.display())))?;
    let writer = Redacting { inner: Mutex::new(log), redactor };
    start(level, Format::Json, BoxMakeWriter::new(writer), false)
}

/// Writes lines without what is found in them. Each line is written at once.
struct Redacting<W> {
    inner: W,
    redactor: Redactor,
}

/// One line's way.
struct Line<W> {
    inner: W,
    redactor: Redactor,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Redacting<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { inner: self.inner.make_writer(), redactor: self.redactor.clone() }
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        match self.redactor.body(line) {
            Some(redacted) => self.inner.write_all(&redacted).map(|()| line.len()),
            None => self.inner.write(line),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// What is logged at a level: the audit log at any.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("{level},audit=info"))
}

fn start(level: &str, format: Format, writer: BoxMakeWriter, ansi: bool) -> Result<(), Failure> {
    let filter = filter(level).map_err(|e| {
        Failure::new(format!("the log level {level:?} is none: {e}; try error, warn, info, debug or trace"))
    })?;
    // A reader of the log that has gone must not end the gateway: reporting that would panic.
    let base = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(ansi);
    let (done, change): (_, Change) = match format {
        Format::Text => {
            let base = base.with_target(false).with_filter_reloading();
            let handle = base.reload_handle();
            (base.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        Format::Json => {
            let base = base.json().flatten_event(true).with_filter_reloading();
            let handle = base.reload_handle();
            (base.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    done.map_err(|e| Failure::new(format!("could not start logging: {e}")))?;
    // Logging starts once in a process, or the line above has failed.
    let _ = CHANGE.set(change);
    Ok(())
}

/// Puts another filter in place; says whether that worked.
type Change = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// Logs at another level from here on, where logging has started.
pub(crate) fn set_level(level: &str) {
    if let (Some(change), Ok(filter)) = (CHANGE.get(), filter(level))
        && !change(filter)
    {
        tracing::warn!(level, "the log level cannot be changed");
    }
}
