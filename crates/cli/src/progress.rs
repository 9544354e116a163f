//! How far a long command is, on a terminal.

use std::io::{IsTerminal as _, Write as _};

/// One line that is written over.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    on: bool,
    shown: Option<u64>,
}

impl Progress {
    /// For so many of these things; silent where nobody looks on.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, on: std::io::stderr().is_terminal(), shown: None }
    }

    /// So many of so many are done.
    pub(crate) fn show(&mut self, done: u64, of: u64) {
        let percent = done.saturating_mul(100) / of.max(1);
        if self.on && self.shown != Some(percent) {
            self.shown = Some(percent);
            let filled = "#".repeat(usize::try_from(percent / 4).unwrap_or_default().min(25));
            // Nobody can be told if it fails.
            let _ = write!(std::io::stderr(), "\r[{filled:<25}] {percent:>3} %  {done} of {of} {}", self.what);
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
