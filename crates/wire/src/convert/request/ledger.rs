//! What a conversion leaves out, gathered for the client and the record.

use super::super::Refused;

/// What was dropped, in order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: String,
    what: String,
    /// How many more of the same there are.
    more: usize,
}

/// How long the words in brackets may get: some are the client's.
const WORDS: usize = 80;

impl Ledger {
    /// A field has no place; its path says all.
    pub(super) fn drop(&mut self, at: &str) {
        self.drop_as(at, "");
    }

    /// Something has no place, and its path does not say what it is.
    pub(super) fn drop_as(&mut self, at: &str, what: &str) {
        if !self.entries.iter().any(|entry| entry.at == at) {
            self.entries.push(Entry { at: at.to_owned(), what: plain(what), more: 0 });
        }
    }

    /// One of many things of a kind has no place: the first is named, the others counted, so that a long conversation does
    /// not make a long header.
    pub(super) fn drop_each(&mut self, at: &str, kind: &str) {
        match self.entries.iter_mut().find(|entry| entry.what == kind) {
            Some(entry) => entry.more += 1,
            None => self.entries.push(Entry { at: at.to_owned(), what: kind.to_owned(), more: 0 }),
        }
    }

    /// All of it, in order.
    pub(super) fn finish(self) -> Vec<String> {
        let word = |Entry { at, what, more }| match (what.is_empty(), more) {
            (true, _) => at,
            (false, 0) => format!("{at} ({what})"),
            (false, more) => format!("{at} ({what}, and {more} more)"),
        };
        self.entries.into_iter().map(word).collect()
    }
}

/// The request cannot be said in the target's dialect.
pub(super) fn refuse(at: &str, why: &str) -> Refused {
    Refused { message: format!("{at}: {why}"), param: Some(at.to_owned()) }
}

/// Words that may stand in a header, whoever wrote them.
pub(super) fn plain(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(WORDS).map(fits).collect()
}
