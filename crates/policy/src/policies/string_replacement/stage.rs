//! Replacing in a stream: each pair is a stage that holds back only what may be the beginning of its text.

use super::casing::follow;

/// One text and what stands in its place.
#[derive(Debug)]
pub(super) struct Pair {
    from: Vec<char>,
    to: String,
    any_case: bool,
}

/// How a text begins, compared with a pair's.
enum Start {
    /// With all of it, this many bytes.
    Whole(usize),
    /// It is a beginning of it and ends there.
    Partly,
    /// Otherwise.
    Not,
}

impl Pair {
    pub(super) fn new(from: &str, to: String, any_case: bool) -> Self {
        Self { from: from.chars().collect(), to, any_case }
    }

    fn start_of(&self, text: &str) -> Start {
        let mut len = 0;
        let mut chars = text.chars();
        for &wanted in &self.from {
            match chars.next() {
                None => return Start::Partly,
                Some(c) if c == wanted || (self.any_case && same_letter(c, wanted)) => len += c.len_utf8(),
                Some(_) => return Start::Not,
            }
        }
        Start::Whole(len)
    }
}

fn same_letter(a: char, b: char) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(&b) } else { a.to_lowercase().eq(b.to_lowercase()) }
}

/// A text block on its way through all stages.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What each stage holds back.
    held: Vec<String>,
    /// How many texts were replaced.
    pub(super) replacements: usize,
    /// Whether any replacement differs from what it replaced.
    pub(super) changed: bool,
}

impl Line {
    /// What can go out after `text` has come in. `pairs` are the same at every call.
    pub(super) fn push(&mut self, pairs: &[Pair], text: &str) -> String {
        self.held.resize(pairs.len(), String::new());
        let mut text = text.to_owned();
        for (stage, pair) in pairs.iter().enumerate() {
            text = self.stage(stage, pair, text);
        }
        text
    }

    /// What is still held back, when the block ends.
    pub(super) fn end(&mut self, pairs: &[Pair]) -> String {
        self.held.resize(pairs.len(), String::new());
        let mut text = String::new();
        for (stage, pair) in pairs.iter().enumerate() {
            text = self.stage(stage, pair, text);
            // Less than the pair's text, so no match is in it.
            text.push_str(&std::mem::take(&mut self.held[stage]));
        }
        text
    }

    fn stage(&mut self, stage: usize, pair: &Pair, text: String) -> String {
        let mut whole = std::mem::take(&mut self.held[stage]);
        let whole = if whole.is_empty() {
            text
        } else {
            whole.push_str(&text);
            whole
        };
        let mut out = String::with_capacity(whole.len());
        let mut rest = whole.as_str();
        while let Some(c) = rest.chars().next() {
            match pair.start_of(rest) {
                Start::Whole(len) => {
                    let (found, after) = rest.split_at(len);
                    self.replace(pair, found, &mut out);
                    rest = after;
                }
                Start::Partly => {
                    rest.clone_into(&mut self.held[stage]);
                    return out;
                }
                Start::Not => {
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out
    }

    fn replace(&mut self, pair: &Pair, found: &str, out: &mut String) {
        let to = if pair.any_case { follow(found, &pair.to) } else { pair.to.clone() };
        self.replacements += 1;
        self.changed |= to != found;
        out.push_str(&to);
    }
}
