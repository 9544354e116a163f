//! What a conversion leaves out and what it puts in, gathered for the client and the record.

use super::super::Refused;

/// What was dropped, in order, and what was added.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    added: Vec<String>,
    /// What came when there was no room for names.
    unnamed: usize,
}

#[derive(Debug)]
struct Entry {
    at: String,
    what: String,
    /// How many more of the same there are.
    more: usize,
}

/// How long the words in brackets, and paths, may get: some are the client's.
const WORDS: usize = 80;

/// How many are named. They travel in a header, and clients refuse large ones.
const ENTRIES: usize = 40;

impl Ledger {
    /// A field has no place; its path says all.
    pub(super) fn drop(&mut self, at: &str) {
        self.drop_as(at, "");
    }

    /// Something has no place, and its path does not say what it is.
    pub(super) fn drop_as(&mut self, at: &str, what: &str) {
        if !self.entries.iter().any(|entry| entry.at == at) {
            self.push(at, plain(what));
        }
    }

    /// Whether a field was dropped; it is not named any more.
    pub(super) fn take(&mut self, at: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.at != at);
        self.entries.len() < before
    }

    /// One of many things of a kind has no place: the first is named, the others counted, so that a long conversation does
    /// not make a long header.
    pub(super) fn drop_each(&mut self, at: &str, kind: &str) {
        match self.entries.iter_mut().find(|entry| entry.what == kind) {
            Some(entry) => entry.more += 1,
            None => self.push(at, kind.to_owned()),
        }
    }

    fn push(&mut self, at: &str, what: String) {
        if self.entries.len() < ENTRIES {
            self.entries.push(Entry { at: plain(at), what, more: 0 });
        } else {
            self.unnamed += 1;
        }
    }

    /// Words were put in that the client did not write; `at` is their place in what is sent.
    pub(super) fn add(&mut self, at: &str, words: &str) {
        if self.added.len() < ENTRIES {
            self.added.push(format!("{} ({})", plain(at), plain(words)));
        }
    }

    /// All that was added, in order.
    pub(super) fn added(&mut self) -> Vec<String> {
        std::mem::take(&mut self.added)
    }

    /// All that was dropped, in order.
    pub(super) fn finish(self) -> Vec<String> {
        let word = |Entry { at, what, more }| match (what.is_empty(), more) {
            (true, _) => at,
            (false, 0) => format!("{at} ({what})"),
            (false, more) => format!("{at} ({what}, and {more} more)"),
        };
        let mut words: Vec<String> = self.entries.into_iter().map(word).collect();
        words.extend((self.unnamed > 0).then(|| format!("and {} more", self.unnamed)));
        words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_named_once_in_order_and_kinds_are_counted() {
        let mut ledger = Ledger::default();
        ledger.drop("top_k");
        ledger.drop_each("messages[1]", "reasoning of another vendor");
        ledger.drop_as("tools[0]", "web_search");
        ledger.drop("top_k");
        ledger.drop_each("messages[3]", "reasoning of another vendor");
        assert_eq!(
            ledger.finish(),
            ["top_k", "messages[1] (reasoning of another vendor, and 1 more)", "tools[0] (web_search)"]
        );
    }

    #[test]
    fn what_a_client_wrote_makes_no_large_or_broken_header() {
        let mut ledger = Ledger::default();
        for i in 0..1_000 {
            ledger.drop_as(&format!("input[{i}].{}", "\u{fc}\r\n".repeat(500)), &"x".repeat(500));
        }
        let words = ledger.finish();
        assert_eq!(words.len(), 41);
        assert_eq!(words[40], "and 960 more");
        let line = words.join(", ");
        assert!(line.len() < 8_000 && line.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{line}");
    }
}
