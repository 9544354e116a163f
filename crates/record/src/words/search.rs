//! The search language: words that must all be there, `"phrases"`, `-without`, `beginning*`.

use std::fmt::Write as _;

use super::tokens::words;

/// A query has at most so many words.
const MOST_WORDS: usize = 64;

/// What to look for in a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// All of these; at least one.
    with: Vec<Term>,
    /// None of these.
    without: Vec<Term>,
}

/// Words that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// Letters and digits only, at least one word.
    words: Vec<String>,
    /// The last word may go on.
    prefix: bool,
}

impl Term {
    /// Its words, and of each whether it may go on.
    fn each(&self) -> impl Iterator<Item = (&str, bool)> {
        let last = self.words.len().saturating_sub(1);
        self.words.iter().enumerate().map(move |(at, word)| (word.as_str(), at == last && self.prefix))
    }

    /// Whether they stand in a text next to each other.
    fn is_in(&self, words: &[&str]) -> bool {
        words.windows(self.words.len()).any(|window| {
            let mut both = window.iter().zip(self.each());
            both.all(|(word, (wanted, open))| if open { word.starts_with(wanted) } else { *word == wanted })
        })
    }
}

/// Why a text is no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Nothing but punctuation.
    #[error("the search has no words: write at least one letter or digit")]
    Empty,
    /// Only what must not be there.
    #[error(
        "the search only says what to leave out (-word): add a word to look for, or quote a word that begins with a dash"
    )]
    OnlyWithout,
    /// More than anybody types.
    #[error("the search has more than {MOST_WORDS} words")]
    TooLong,
}

impl Search {
    /// Reads a query. Words are read as texts are: `/etc/passwd` is the phrase `"etc passwd"`.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let mut count = 0;
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (raw, after) = next(rest);
            let words = words(raw.text);
            if !words.is_empty() {
                count += words.len();
                let term = Term { words, prefix: raw.prefix };
                if raw.without { without.push(term) } else { with.push(term) }
            }
            rest = after.trim_start();
        }
        match (with.is_empty(), without.is_empty()) {
            (true, true) => Err(SearchError::Empty),
            (true, false) => Err(SearchError::OnlyWithout),
            _ if count > MOST_WORDS => Err(SearchError::TooLong),
            _ => Ok(Self { with, without }),
        }
    }

    /// The query as an expression for FTS5's `MATCH`, for a table with the tokenizer `ascii`, which cuts at the spaces that
    /// [`super::parts`] puts and nowhere else.
    pub(crate) fn fts5(&self) -> String {
        let term = |term: &Term| {
            let phrase = format!("\"{}\"", term.words.join(" "));
            if term.prefix { phrase + " *" } else { phrase }
        };
        let mut out = String::new();
        for (index, with) in self.with.iter().enumerate() {
            let _ = write!(out, "{}{}", if index == 0 { "(" } else { " AND " }, term(with));
        }
        out.push(')');
        for without in &self.without {
            let _ = write!(out, " NOT {}", term(without));
        }
        out
    }

    /// It is one word, or the beginning of one: what has it anywhere is found.
    pub(crate) fn is_plain(&self) -> bool {
        self.with.len() == 1 && self.without.is_empty() && !self.has_phrases()
    }

    /// Some of its words have to follow each other.
    pub(crate) fn has_phrases(&self) -> bool {
        self.with.iter().chain(&self.without).any(|term| term.words.len() > 1)
    }

    /// Whether a text with these words is found, as far as that is known without their order: `None` if it is not, otherwise whether
    /// it certainly is. `has` says of a word, or of the beginning of one, whether it is there.
    pub(crate) fn among(&self, has: impl Fn(&str, bool) -> bool) -> Option<bool> {
        let all = |term: &Term| term.each().all(|(word, open)| has(word, open));
        if !self.with.iter().all(all) {
            return None;
        }
        let mut certain = self.with.iter().all(|term| term.words.len() == 1);
        for term in self.without.iter().filter(|term| all(term)) {
            if term.words.len() == 1 {
                return None;
            }
            certain = false;
        }
        Some(certain)
    }

    /// Whether a text of these words, in their order, is found.
    pub(crate) fn fits(&self, words: &[&str]) -> bool {
        self.with.iter().all(|term| term.is_in(words)) && !self.without.iter().any(|term| term.is_in(words))
    }

    /// The words that a text must have, in any order, as text for PostgreSQL, to be cast to `tsquery`.
    pub(crate) fn tsquery_of_words(&self) -> String {
        let words = self.with.iter().flat_map(Term::each);
        let words = words.map(|(word, open)| format!("'{word}'{}", if open { ":*" } else { "" }));
        words.collect::<Vec<_>>().join(" & ")
    }

    /// The query as text for PostgreSQL, to be cast to `tsquery`: the words need no parser.
    pub(crate) fn tsquery(&self) -> String {
        let term = |term: &Term| {
            let last = term.words.len().saturating_sub(1);
            let words = term.words.iter().enumerate();
            let words =
                words.map(|(at, word)| format!("'{word}'{}", if at == last && term.prefix { ":*" } else { "" }));
            format!("({})", words.collect::<Vec<_>>().join(" <-> "))
        };
        let with = self.with.iter().map(term);
        let without = self.without.iter().map(|without| format!("!{}", term(without)));
        with.chain(without).collect::<Vec<_>>().join(" & ")
    }
}

/// A term as it is written.
struct Raw<'a> {
    text: &'a str,
    without: bool,
    prefix: bool,
}

/// The first term of `text`, which begins with no space, and what comes after it. A quote that is not closed goes to the end.
fn next(text: &str) -> (Raw<'_>, &str) {
    let bare = text.strip_prefix('-');
    let (without, body) = (bare.is_some(), bare.unwrap_or(text));
    if let Some(quoted) = body.strip_prefix('"') {
        let (inside, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        let open = after.strip_prefix('*');
        return (Raw { text: inside, without, prefix: open.is_some() }, open.unwrap_or(after));
    }
    let end = body.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(body.len());
    let (word, after) = body.split_at(end);
    (Raw { text: word, without, prefix: word.ends_with('*') }, after)
}

#[cfg(test)]
mod tests;
