//! Brace expansion: `{a,b}`, `{1..3}`.

use std::borrow::Cow;

use crate::{
    limits,
    syntax::scan::{self, Open},
};

/// Bytes that `1..9` may have: two whole numbers.
const LONGEST_RANGE: usize = 64;

/// What a word's braces make.
pub(super) struct Expanded<'a> {
    /// At least one word.
    pub(super) words: Vec<Cow<'a, str>>,
    /// Whether these are all.
    pub(super) all: bool,
}

/// The words that a word's braces make; itself where there are none. At most a bounded number.
pub(super) fn expand(word: &str) -> Expanded<'_> {
    if !word.contains('{') {
        return Expanded { words: vec![Cow::Borrowed(word)], all: true };
    }
    let mut open = vec![Cow::Borrowed(word)];
    let mut done = Vec::new();
    let mut all = true;
    // Each round resolves one pair of braces; words only grow in number, and that is bounded.
    while let Some(word) = open.pop() {
        match first(&word) {
            Some(_) if done.len() + open.len() >= limits::BRACES => {
                all = false;
                done.push(word);
            }
            Some(parts) => {
                all &= parts.len() <= limits::BRACES;
                open.extend(parts.into_iter().take(limits::BRACES).rev().map(Cow::Owned));
            }
            None => done.push(word),
        }
    }
    Expanded { words: done, all }
}

/// A pair of braces: where they open and close, and the commas at their level.
struct Pair {
    start: usize,
    end: usize,
    commas: Vec<usize>,
}

/// The words that the first braces make, one more than are kept where there are too many; `None` where there are none.
fn first(word: &str) -> Option<Vec<String>> {
    pairs(word.as_bytes()).into_iter().find_map(|pair| {
        let items = if pair.commas.is_empty() {
            range(word.get(pair.start..pair.end)?)
        } else {
            list(word, pair.start, pair.end, &pair.commas)
        };
        let (before, after) = (word.get(..pair.start - 1)?, word.get(pair.end + 1..)?);
        let items = items?.into_iter().take(limits::BRACES + 1);
        Some(items.map(|item| format!("{before}{item}{after}")).collect())
    })
}

/// All pairs, by where they open. A blank ends what is open.
fn pairs(bytes: &[u8]) -> Vec<Pair> {
    let mut open: Vec<Pair> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => open.push(Pair { start: at + 1, end: at, commas: Vec::new() }),
            b'}' => found.extend(open.pop().map(|pair| Pair { end: at, ..pair })),
            b',' => {
                if let Some(pair) = open.last_mut() {
                    pair.commas.push(at);
                }
            }
            b' ' | b'\t' | b'\n' => open.clear(),
            _ => {}
        }
        at = skip(bytes, at);
    }
    found.sort_unstable_by_key(|pair| pair.start);
    found
}

fn list(word: &str, start: usize, end: usize, commas: &[usize]) -> Option<Vec<String>> {
    let mut from = start;
    let mut items = Vec::new();
    for &to in commas.iter().chain([&end]) {
        items.push(word.get(from..to)?.to_owned());
        from = to + 1;
    }
    Some(items)
}

/// The items of `1..9` or `a..e`.
fn range(inside: &str) -> Option<Vec<String>> {
    if inside.len() > LONGEST_RANGE {
        return None;
    }
    let (from, to) = inside.split_once("..")?;
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let (low, high) = (from.min(to), from.max(to));
        let kept = low.saturating_add(i64::try_from(limits::BRACES).unwrap_or(64) - 2);
        let last = (high > kept).then_some(high);
        return Some((low..=high.min(kept)).chain(last).map(|number| number.to_string()).collect());
    }
    match (from.as_bytes(), to.as_bytes()) {
        ([from], [to]) if from.is_ascii_alphabetic() && to.is_ascii_alphabetic() => {
            Some((*from.min(to)..=*from.max(to)).map(|letter| char::from(letter).to_string()).collect())
        }
        _ => None,
    }
}

/// The place behind what begins at `at`; what is quoted or substituted is one thing.
fn skip(bytes: &[u8], at: usize) -> usize {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'\\'), _) => at + 2,
        (Some(b'\''), _) => scan::single_end(bytes, at + 1) + 1,
        (Some(b'"'), _) => scan::close(bytes, at + 1, Open::Double) + 1,
        (Some(b'`'), _) => scan::close(bytes, at + 1, Open::Backquote) + 1,
        (Some(b'$'), Some(b'\'')) => scan::ansi_end(bytes, at + 2) + 1,
        (Some(b'$'), Some(b'{')) => scan::close(bytes, at + 2, Open::Brace) + 1,
        (Some(b'$' | b'<' | b'>'), Some(b'(')) => scan::close(bytes, at + 2, Open::Paren(0)) + 1,
        _ => at + 1,
    }
}
