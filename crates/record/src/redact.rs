//! What is not to be stored or told is found by patterns, and `[redacted]` stands in its place.

mod json;
mod stream;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde_json::Value;

pub use self::stream::closed;

/// What stands in the place of what was found.
pub const MARK: &str = "[redacted]";

/// What stands in the place of a body that is no text, in which nothing can be found.
const NO_TEXT: &[u8] = b"[redacted: a body that is not text]";

/// How large a compiled pattern may be, in bytes.
const LARGEST: usize = 4 << 20;

/// A pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{name}` cannot be used: {why}")]
pub struct PatternError {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// Finds and replaces; the default finds nothing. Cloning shares it. Takes time that grows with the text alone.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Option<Arc<Patterns>>);

#[derive(Debug)]
struct Patterns {
    /// Finds which of them are there in one pass.
    any: RegexSet,
    each: Vec<Regex>,
}

impl Redactor {
    /// With these patterns, each with its name.
    pub fn new<'a>(patterns: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PatternError> {
        let (mut each, mut sources) = (Vec::new(), Vec::new());
        for (name, source) in patterns {
            let refused = |why: String| PatternError { name: name.to_owned(), why };
            let pattern = RegexBuilder::new(source).size_limit(LARGEST).build();
            let pattern = pattern.map_err(|error| refused(error.to_string()))?;
            if pattern.is_match("") {
                return Err(refused("it finds every text, an empty one included".to_owned()));
            }
            each.push(pattern);
            sources.push(source);
        }
        if each.is_empty() {
            return Ok(Self::default());
        }
        let any = RegexSetBuilder::new(&sources).size_limit(LARGEST * sources.len()).build();
        let any = any.map_err(|error| PatternError { name: "all together".to_owned(), why: error.to_string() })?;
        Ok(Self(Some(Arc::new(Patterns { any, each }))))
    }

    /// Nothing is looked for.
    pub fn is_idle(&self) -> bool {
        self.0.is_none()
    }

    /// Where something stands in a text: ranges in order that do not touch.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let Some(patterns) = &self.0 else { return Vec::new() };
        let there = patterns.any.matches(text);
        let each = there.iter().filter_map(|at| patterns.each.get(at));
        let mut all: Vec<Range<usize>> =
            each.flat_map(|pattern| pattern.find_iter(text).map(|found| found.range())).collect();
        all.sort_by_key(|range| range.start);
        let mut out: Vec<Range<usize>> = Vec::with_capacity(all.len());
        for range in all {
            match out.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => out.push(range),
            }
        }
        out
    }

    /// A text with what was found replaced.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let found = self.found(text);
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(replaced(text, &found)) }
    }

    /// The same in place.
    pub fn text_in(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.text(text) {
            *text = redacted;
        }
    }

    /// Every text of a JSON value, names of members included. True if anything was found.
    pub fn value(&self, value: &mut Value) -> bool {
        !self.is_idle() && json::value(self, value, None)
    }

    /// A body: JSON, an event stream or any other text; what is no text is replaced whole. `None`: nothing was found.
    /// In an event stream, texts that come in pieces are looked at together.
    pub fn body(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.is_idle() || body.is_empty() {
            return None;
        }
        let text = match std::str::from_utf8(body) {
            Ok(text) => Cow::Borrowed(text),
            // Cut off within a character.
            Err(error) if error.error_len().is_none() => String::from_utf8_lossy(body),
            Err(_) => return Some(NO_TEXT.to_vec()),
        };
        let redacted = match stream::events(&text) {
            Some(events) => stream::redacted(self, &text, events),
            None => json::redacted(self, &text),
        };
        let redacted = match redacted {
            None => self.text(&text),
            // Whatever is found over the parts together.
            Some(redacted) => Cow::Owned(self.text(&redacted).into_owned()),
        };
        (*redacted != *text).then(|| redacted.into_owned().into_bytes())
    }
}

/// The text with a mark in place of each range.
fn replaced(text: &str, ranges: &[Range<usize>]) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        out.push_str(&text[from..range.start]);
        out.push_str(MARK);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests;
