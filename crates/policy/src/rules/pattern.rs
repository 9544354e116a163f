//! The patterns that rules name: regular expressions, globs and words, compiled when the rules are loaded.

use std::borrow::Cow;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::{Regex, RegexBuilder};

use super::effects::Deed;

/// The largest compiled pattern, in bytes.
const LARGEST: usize = 1 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// A regular expression, found anywhere.
    Regex(Regex),
    /// One of several globs, about the whole text.
    Globs(Globs),
    /// An effect, and what it is about.
    Deed(Deed),
}

/// Some globs, and what they say of paths.
#[derive(Clone, Debug)]
pub(crate) struct Globs {
    set: GlobSet,
    /// The folders above what they say.
    above: GlobSet,
}

impl Pattern {
    /// A regular expression.
    pub(crate) fn regex(source: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(source).size_limit(LARGEST).build();
        built.map(Self::Regex).map_err(|error| format!("not a regular expression: {}", one_line(&error.to_string())))
    }

    /// Any of these words, anywhere.
    pub(crate) fn words(words: &[String]) -> Result<Self, String> {
        if words.is_empty() {
            return Err("the list of words is empty".to_owned());
        }
        Self::regex(&words.iter().map(|word| regex::escape(word)).collect::<Vec<_>>().join("|"))
    }

    /// Whether the text has it.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Regex(regex) => regex.is_match(text),
            Self::Globs(globs) => globs.matches(text),
            Self::Deed(_) => false,
        }
    }
}

impl Globs {
    /// Any of these patterns of paths: `*` stays within a segment, `**` does not, `~` is any home. An empty list matches nothing.
    pub(crate) fn paths(sources: &[String]) -> Result<Self, String> {
        let everywhere: Vec<String> = sources.iter().flat_map(|source| homes(source)).collect();
        let above: Vec<&str> = everywhere.iter().flat_map(|source| folders(source)).collect();
        Ok(Self {
            set: set(everywhere.iter().map(String::as_str), true)?,
            // A pattern may be whole and its beginning not: then nothing is known to lie above it.
            above: set(above.into_iter(), true).or_else(|_| set(std::iter::empty(), true))?,
        })
    }

    /// Any of these patterns of texts: `*` is anything.
    pub(crate) fn lines(sources: &[String]) -> Result<Self, String> {
        let set_of = |sources: &[String]| set(sources.iter().map(String::as_str), false);
        Ok(Self { set: set_of(sources)?, above: set_of(&[])? })
    }

    /// Whether one of them says the whole text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.set.is_match(text)
    }

    /// Whether one of them says the path, or a folder that it lies in. No system opens longer paths than it takes the folders of.
    pub(crate) fn holds(&self, path: &str) -> bool {
        const LONGEST: usize = 4096;
        if path.len() > LONGEST && self.set.is_match(path) {
            return true;
        }
        let mut at = &path[..path.floor_char_boundary(LONGEST)];
        loop {
            if self.set.is_match(at) {
                return true;
            }
            match at.rfind('/') {
                Some(0) => return at.len() > 1 && self.set.is_match("/"),
                Some(end) => at = &at[..end],
                None => return false,
            }
        }
    }

    /// Whether something that one of them says may lie below the path, as far as it is written out.
    pub(crate) fn may_lie_below(&self, path: &str) -> bool {
        let path = path.strip_suffix("/*").unwrap_or(path);
        self.above.is_match(if path.is_empty() { "/" } else { path })
    }
}

fn set<'a>(sources: impl Iterator<Item = &'a str>, of_paths: bool) -> Result<GlobSet, String> {
    let wrong = |error: globset::Error| format!("not a pattern: {}", one_line(&error.to_string()));
    let mut set = GlobSetBuilder::new();
    for source in sources {
        set.add(GlobBuilder::new(source).literal_separator(of_paths).backslash_escape(true).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// A pattern below `~` in every way in which homes are written.
fn homes(source: &str) -> Vec<String> {
    match source.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            ["~", "/root", "/home/*", "/Users/*"].iter().map(|home| format!("{home}{rest}")).collect()
        }
        _ => vec![source.to_owned()],
    }
}

/// The patterns of the folders above a pattern, up to a `**` or a brace that goes over a slash.
fn folders(source: &str) -> Vec<&str> {
    let mut folders = if source.starts_with('/') && source.len() > 1 { vec!["/"] } else { Vec::new() };
    let ends = source.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0 && at + 1 < source.len());
    for folder in ends.map(|at| &source[..at]) {
        let last = folder.rsplit('/').next().unwrap_or(folder);
        if last == "**" || last.matches('{').count() != last.matches('}').count() {
            break;
        }
        folders.push(folder);
    }
    folders
}

/// An error of several lines in one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path with `.`, `..`, doubled and closing slashes gone. What leads above the root stays at the root; a relative path may
/// keep leading `..`.
pub(crate) fn normalised(path: &str) -> Cow<'_, str> {
    let plain = !path.contains("//")
        && !path.split('/').any(|part| part == "." || part == "..")
        && (path == "/" || !path.ends_with('/'));
    if plain {
        return Cow::Borrowed(path);
    }
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." && last != "~" => {
                    parts.pop();
                }
                _ if absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    })
}

#[cfg(test)]
mod tests;
