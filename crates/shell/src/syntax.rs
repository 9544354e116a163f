//! Shell text as commands and what holds them together: the form that both readers give.

mod flat;
pub(crate) mod scan;
mod tree;

use std::rc::Rc;

/// One part of a script. Words are source text; they are expanded when they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A command with its words.
    Simple(Simple),
    /// Commands whose output is the next one's input.
    Pipeline(Vec<Node>),
    /// The second runs if the first fails.
    Either(Box<Node>, Box<Node>),
    /// Parts that run one after the other.
    List(Vec<Node>),
    /// Parts of which it is not known whether they run, or how often.
    Maybe(Vec<Node>),
    /// The same in a shell of its own.
    Subshell(Vec<Node>),
    /// A part with redirections around it.
    Redirected(Box<Node>, Vec<Redirection>),
    /// A loop over words.
    For(String, Vec<String>, Vec<Node>),
    /// A function's definition.
    Function(String, Rc<Node>),
    /// Text in which only substitutions matter: conditions, arithmetic.
    Text(String),
}

/// A command before expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    pub(crate) assignments: Vec<(String, String)>,
    pub(crate) words: Vec<String>,
    pub(crate) redirections: Vec<Redirection>,
}

/// A redirection before expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redirection {
    /// To, from or between files and descriptors.
    File { operator: String, target: String },
    /// A heredoc's lines.
    Here { text: String, quoted: bool },
    /// The word after `<<<`.
    HereWord(String),
}

/// A script that has been read.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) nodes: Vec<Node>,
    /// Whether the grammar had no fault to find.
    pub(crate) parsed: bool,
    /// Whether parts were left out because they are nested too deep.
    pub(crate) too_deep: bool,
}

/// Reads a script by the grammar, or where that fails by the reader that forgives.
pub(crate) fn read(text: &str) -> Script {
    tree::read(text).unwrap_or_else(|| {
        let (nodes, too_deep) = flat::read(text);
        Script { nodes, parsed: false, too_deep }
    })
}

/// `name=value` or `name+=value` at the beginning of a word, divided.
pub(crate) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let plain = name.split_once('[').map_or(name, |(before, index)| if index.ends_with(']') { before } else { "" });
    is_name(plain).then_some((plain, value))
}

/// Whether a text can be a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
