//! How far an export is, on one line of a terminal.

use std::io::{self, Write};

use super::{count, watched};

/// Drawn anew after so many bytes.
const EVERY: u64 = 1 << 20;

/// What has been written so far.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    of: usize,
    sessions: usize,
    turns: u64,
    bytes: u64,
    drawn: u64,
}

impl Progress {
    /// Of so many sessions. `prints`: the export itself goes to the standard output.
    pub(super) fn new(of: usize, prints: bool) -> Self {
        Self { shown: watched(prints), of, sessions: 0, turns: 0, bytes: 0, drawn: 0 }
    }

    /// So many turns and bytes more.
    pub(super) fn add(&mut self, turns: u64, bytes: usize) {
        self.turns += turns;
        self.bytes += bytes as u64;
        if self.bytes - self.drawn >= EVERY {
            self.draw();
        }
    }

    /// One more session is done.
    pub(super) fn session(&mut self) {
        self.sessions += 1;
        if self.of > 1 {
            self.draw();
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if self.shown && self.drawn > 0 {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }

    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    fn draw(&mut self) {
        self.drawn = self.bytes.max(1);
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", self.line());
        }
    }

    pub(super) fn line(&self) -> String {
        let size = self.bytes / 1_000_000;
        let of = count(self.of as u64, "session");
        format!("{} of {of}, {}, {size} MB", self.sessions, count(self.turns, "turn"))
    }
}
