//! A shell's variables, as far as a command itself sets them: `X="docker compose"; $X down`.

use std::collections::HashMap;

/// The longest value that is put in, in bytes.
const LONGEST: usize = 256;
/// How much longer a command may become, in bytes.
const GROWTH: usize = 16 << 10;

/// `text` with the variables that it sets put in, `$IFS` as a blank, and `$(which x)` as `x`. `None` where that is nothing
/// new.
pub(super) fn put_in(text: &str) -> Option<String> {
    let set = assigned(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let room = out.len() + rest.len() < text.len() + GROWTH;
        if let Some((value, used)) = value(rest, &set).filter(|_| room) {
            changed = true;
            out.push_str(value);
            rest = &rest[used..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// What stands for the expansion that `text` begins with, and the expansion's length.
fn value<'a>(text: &'a str, set: &HashMap<&str, &'a str>) -> Option<(&'a str, usize)> {
    for finder in ["$(which ", "$(command -v ", "$(type -p "] {
        if let Some(program) = text.strip_prefix(finder) {
            let end = program.bytes().take(LONGEST).position(|b| b == b')')?;
            return Some((&program[..end], finder.len() + end + 1));
        }
    }
    let braced = text.starts_with("${");
    let named = &text[if braced { 2 } else { 1 }..];
    let len = named.bytes().take_while(|b| is_name(*b)).count();
    let used = if braced { named[len..].starts_with('}').then_some(len + 3)? } else { len + 1 };
    match &named[..len] {
        "IFS" => Some((" ", used)),
        name => set.get(name).map(|value| (*value, used)),
    }
}

/// The variables that `text` sets.
fn assigned(text: &str) -> HashMap<&str, &str> {
    let set = text.match_indices('=').filter_map(|(at, _)| {
        let start = at - text[..at].bytes().rev().take_while(|b| is_name(*b)).count();
        let name = &text[start..at];
        let begins = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        Some((name, word(&text[at + 1..])?)).filter(|_| begins)
    });
    set.collect()
}

/// The word that `text` begins with, without quotes around it. A `$(…)` is one word, too.
fn word(text: &str) -> Option<&str> {
    let bytes = || text.bytes().take(LONGEST);
    let closing = |open: usize, close: u8| bytes().skip(open).position(|b| b == close).map(|len| open + len);
    match text.bytes().next()? {
        quote @ (b'"' | b'\'') => closing(1, quote).map(|end| &text[1..end]),
        b'`' => closing(1, b'`').map(|end| &text[..=end]),
        b'$' if text.starts_with("$(") => closing(2, b')').map(|end| &text[..=end]),
        _ => {
            let ends = |b: u8| b.is_ascii_whitespace() || matches!(b, b';' | b'&' | b'|' | b')' | b'"' | b'\'');
            let end = bytes().position(ends).or((text.len() <= LONGEST).then_some(text.len()))?;
            Some(&text[..end])
        }
    }
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
