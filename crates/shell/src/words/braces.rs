//! Brace expansion: `{a,b}`, `{1..3}`.

use std::borrow::Cow;

use crate::{
    limits,
    syntax::scan::{self, Open},
};

/// The words that a word's braces make; itself where there are none. At most a bounded number, and whether words of a list
/// were left out for that. Of a range the first stand for the others.
pub(super) fn expand(word: &str) -> (Vec<Cow<'_, str>>, bool) {
    if !word.contains('{') {
        return (vec![Cow::Borrowed(word)], false);
    }
    let mut cut = false;
    let mut open = vec![Cow::Borrowed(word)];
    let mut done = Vec::new();
    // Each round resolves one pair of braces; words only grow in number, and that is bounded.
    while let Some(word) = open.pop() {
        if done.len() + open.len() >= limits::BRACES {
            cut |= !open.is_empty() || first(&word, &mut cut).is_some();
            done.push(word);
            break;
        }
        match first(&word, &mut cut) {
            Some(parts) => open.extend(parts.into_iter().rev().map(Cow::Owned)),
            None => done.push(word),
        }
    }
    (done, cut)
}

/// The words that the first braces make, `None` where there are none.
fn first(word: &str, cut: &mut bool) -> Option<Vec<String>> {
    let bytes = word.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'{'
            && let Some((end, commas)) = pair(bytes, at + 1)
        {
            let inside = word.get(at + 1..end)?;
            let items = if commas.is_empty() { range(inside) } else { list(word, at + 1, end, &commas) };
            if let Some(items) = items {
                *cut |= !commas.is_empty() && items.len() > limits::BRACES;
                let (before, after) = (word.get(..at)?, word.get(end + 1..)?);
                return Some(
                    items.into_iter().take(limits::BRACES).map(|item| format!("{before}{item}{after}")).collect(),
                );
            }
        }
        at = skip(bytes, at);
    }
    None
}

/// The place of the closing brace, and of the commas at its level.
fn pair(bytes: &[u8], mut at: usize) -> Option<(usize, Vec<usize>)> {
    let mut depth = 0_usize;
    let mut commas = Vec::new();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some((at, commas)),
            b'}' => depth -= 1,
            b',' if depth == 0 => commas.push(at),
            b' ' | b'\t' | b'\n' => return None,
            _ => {}
        }
        at = skip(bytes, at);
    }
    None
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
    let (from, to) = inside.split_once("..")?;
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let (low, high) =
            (from.min(to), from.max(to).min(from.min(to).saturating_add(i64::try_from(limits::BRACES).unwrap_or(64))));
        return Some((low..=high).map(|number| number.to_string()).collect());
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
