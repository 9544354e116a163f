//! What commands do, as tables. They are the files below `tables/`; `tables/README.md` says how they are read.

mod parse;

use std::{collections::HashMap, sync::LazyLock};

use crate::{
    analysis::{Kind, Object, Word},
    options::{Arguments, Reading},
};

const SOURCES: &[(&str, &str)] = &[
    ("files", include_str!("tables/files.txt")),
    ("system", include_str!("tables/system.txt")),
    ("network", include_str!("tables/network.txt")),
    ("vcs", include_str!("tables/vcs.txt")),
    ("containers", include_str!("tables/containers.txt")),
    ("packages", include_str!("tables/packages.txt")),
    ("cloud", include_str!("tables/cloud.txt")),
    ("databases", include_str!("tables/databases.txt")),
    ("macos", include_str!("tables/macos.txt")),
    ("wrappers", include_str!("tables/wrappers.txt")),
];

/// Commands that patterns are most likely to stand for.
const HIDDEN: &[&str] = &[
    "rm", "cat", "sh", "bash", "nc", "dd", "curl", "wget", "chmod", "python3", "python", "perl", "base64", "mv", "cp",
];

/// Parsed once. A line that cannot be read is left out; a test holds that there is none.
static TABLE: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    for (_, source) in SOURCES {
        parse::read(source, &mut table);
    }
    table
});

/// All that is known of a command.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Options that take the next argument.
    pub(crate) values: Vec<&'static str>,
    /// Whether `-abc` is one option.
    pub(crate) long: bool,
    /// Whether some rule wraps another command.
    pub(crate) wraps: bool,
    pub(crate) rules: Vec<Rule>,
}

/// What is known of a command, or of one of its subcommands. All rules that fit apply.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    /// The operands it must begin with. `x*` is a beginning, `**` any number of operands.
    pub(crate) sub: Vec<&'static str>,
    pub(crate) values: Vec<&'static str>,
    pub(crate) clauses: Vec<Clause>,
}

/// One thing that a rule says.
#[derive(Debug)]
pub(crate) struct Clause {
    /// All of which must hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) act: Act,
}

/// Options and operands of which one must be given.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) not: bool,
    pub(crate) any: Vec<&'static str>,
}

/// What a clause does.
#[derive(Debug)]
pub(crate) enum Act {
    Effect(Kind, Object, Vec<Select>),
    Recursive,
    Force,
    Wrap(Wrap),
    /// The first operand is no file unless one of these is given: `sed`'s script.
    Script(Vec<&'static str>),
}

/// Which arguments an effect is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Select {
    /// The command names none.
    None,
    /// Operands from one up to (not including) another; counted from the end where negative.
    Operands(isize, Option<isize>),
    /// The values of an option.
    Option(&'static str),
    /// The values of an option that begin with `@`, without it.
    At(&'static str),
    /// The value of an operand `key=value`.
    Key(&'static str),
    /// All arguments as one text.
    Text,
    /// The file that a URL is saved as.
    Saved,
}

/// How a command wraps another.
#[derive(Debug)]
pub(crate) struct Wrap {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) form: Form,
    /// Whether the wrapper counts as a command of its own.
    pub(crate) keep: bool,
    /// Whether the inner command runs somewhere else.
    pub(crate) remote: bool,
    /// Whether it gets another user's rights, and the options that say whose.
    pub(crate) privilege: bool,
    pub(crate) users: Vec<&'static str>,
    /// Whether `name=value` may stand in front of the inner command.
    pub(crate) sets: bool,
    /// Whether its input becomes the inner command's arguments.
    pub(crate) input: bool,
}

/// Where the inner command is.
#[derive(Debug)]
pub(crate) enum Form {
    /// After so many operands.
    Skip(usize),
    /// After `--`.
    Dashes,
    /// After so many operands, as shell text.
    Join(usize),
    /// The shell text in an option's value.
    Text(Vec<&'static str>),
    /// After an option.
    After(Vec<&'static str>),
}

/// What is known of a command.
pub(crate) fn entry(name: &str) -> Option<&'static Entry> {
    TABLE.get(name)
}

/// The name of a command that is known.
pub(crate) fn name(name: &str) -> Option<&'static str> {
    TABLE.get_key_value(name).map(|(name, _)| *name)
}

/// A command that a pattern (`c?t`) may stand for.
pub(crate) fn matching(pattern: &str) -> Option<&'static str> {
    // What is worth hiding comes first.
    if let Some(name) = HIDDEN.iter().find(|name| fits(pattern.as_bytes(), name.as_bytes())) {
        return Some(name);
    }
    let mut names: Vec<&'static str> =
        TABLE.keys().copied().filter(|name| fits(pattern.as_bytes(), name.as_bytes())).collect();
    names.sort_unstable();
    names.first().copied()
}

/// Whether a pattern of `*` and `?` fits all of a name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || Some(&byte) == name.get(seen) => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, seen) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

impl Entry {
    pub(crate) fn reading<'a>(&'a self, values: &'a [&'static str], most: usize) -> Reading<'a> {
        Reading { values: [&self.values, values], long: self.long, most }
    }
}

impl Rule {
    /// How many of the operands are the subcommand; `None` where it is another.
    pub(crate) fn matches(&self, operands: &[&Word]) -> Option<usize> {
        let mut at = 0;
        let mut anywhere = false;
        for &pattern in &self.sub {
            if pattern == "**" {
                anywhere = true;
                continue;
            }
            let rest = operands.get(at..).unwrap_or_default();
            let found =
                rest.iter().take(if anywhere { usize::MAX } else { 1 }).position(|word| one_of(pattern, &word.text));
            match found {
                Some(offset) => at += offset + 1,
                None => return None,
            }
            anywhere = false;
        }
        Some(at)
    }

    pub(crate) fn wraps(&self) -> impl Iterator<Item = &Wrap> {
        self.clauses.iter().filter_map(|clause| match &clause.act {
            Act::Wrap(wrap) => Some(wrap),
            _ => None,
        })
    }
}

/// Whether a word is one of `a|b|c*`.
fn one_of(patterns: &str, word: &str) -> bool {
    patterns
        .split('|')
        .any(|pattern| if pattern.contains('*') { fits(pattern.as_bytes(), word.as_bytes()) } else { pattern == word })
}

impl Wrap {
    pub(crate) fn holds(&self, given: &Arguments<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(given))
    }
}

impl Condition {
    /// Whether one of the options is given, or one of the operands (`=text`, a pattern).
    pub(crate) fn holds(&self, given: &Arguments<'_>) -> bool {
        let any = self.any.iter().any(|&item| match item.strip_prefix('=') {
            Some(operand) => given.operands.iter().any(|word| one_of(operand, &word.text)),
            None => match item.split_once('=') {
                Some((option, value)) => given.values(option).any(|given| one_of(value, given.text)),
                None => given.has(item),
            },
        });
        any != self.not
    }
}

#[cfg(test)]
mod tests;
