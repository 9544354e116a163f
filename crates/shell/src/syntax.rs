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
    /// Whether it was read by the grammar.
    pub(crate) parsed: bool,
    /// Whether the grammar finds a fault in it, or cannot read it within its limits.
    pub(crate) faulty: bool,
}

/// Reads a script by the grammar, or where that fails by the reader that forgives.
///
/// The grammar takes some texts for others than bash does and finds no fault (a line that begins with a backslash goes on the one before). So both read the text, and
/// where they do not find the same commands, the one that loses none is believed.
pub(crate) fn read(text: &str) -> Script {
    let tree = tree::read(text);
    let simple = |nodes: &[Node]| matches!(nodes, [] | [Node::Simple(_)]) && !text.contains(['\n', '\\']);
    let faulty = tree.is_none();
    match tree {
        Some(nodes) if simple(&nodes) => Script { nodes, parsed: true, faulty },
        tree => {
            let flat = flat::read(text);
            match tree {
                Some(nodes) if commands(&nodes) == commands(&flat) => Script { nodes, parsed: true, faulty },
                _ => Script { nodes: flat, parsed: false, faulty },
            }
        }
    }
}

/// The words of all commands, in one order.
fn commands(nodes: &[Node]) -> Vec<&[String]> {
    let mut out = Vec::new();
    let mut open: Vec<&Node> = nodes.iter().collect();
    while let Some(node) = open.pop() {
        match node {
            Node::Simple(simple) if simple.words.first().is_some_and(|word| !word.starts_with('[')) => {
                out.push(simple.words.as_slice());
            }
            Node::Pipeline(inner)
            | Node::List(inner)
            | Node::Maybe(inner)
            | Node::Subshell(inner)
            | Node::For(_, _, inner) => open.extend(inner),
            Node::Either(first, second) => open.extend([first.as_ref(), second.as_ref()]),
            Node::Redirected(inner, _) => open.push(inner),
            Node::Function(_, body) => open.push(body),
            Node::Simple(_) | Node::Text(_) => {}
        }
    }
    out.sort_unstable();
    out
}

/// `name=value` or `name+=value` at the beginning of a word, divided.
pub(crate) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let plain = name.split_once('[').map_or(name, |(before, index)| if index.ends_with(']') { before } else { "" });
    is_name(plain).then_some((plain, value))
}

/// An assignment, and what its index runs (`a[$(rm x)]=1`) as one to nothing.
pub(crate) fn assignments(word: &str) -> Option<impl Iterator<Item = (String, String)>> {
    let (name, value) = assignment(word)?;
    let index = word.get(name.len()..).filter(|rest| rest.starts_with('[')).and_then(|rest| rest.split_once(']'));
    let index = index.map(|(index, _)| ("_".to_owned(), index.to_owned()));
    Some(index.into_iter().chain([(name.to_owned(), value.to_owned())]))
}

/// Whether a text can be a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}
