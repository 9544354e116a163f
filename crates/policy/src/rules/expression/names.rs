//! The names that an expression may use: variables with their fields, functions with their arguments.

use crate::rules::config::On;

/// A variable.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// What it is asked about where this variable is there; empty: anything.
    pub(super) on: &'static [On],
    /// Its fields, where it has a fixed set of them.
    pub(super) fields: &'static [&'static str],
}

const fn plain(name: &'static str) -> Variable {
    Variable { name, on: &[], fields: &[] }
}

pub(super) const VARIABLES: &[Variable] = &[
    Variable { name: "tool", on: &[On::ToolCall], fields: &["name", "args", "command", "effects", "raw", "form"] },
    Variable { name: "text", on: &[On::Text], fields: &[] },
    Variable { name: "turn", on: &[On::Turn], fields: &["text", "texts", "calls"] },
    Variable { name: "earlier", on: &[On::ToolCall, On::Text], fields: &["text", "texts", "calls"] },
    Variable {
        name: "request",
        on: &[],
        fields: &["model", "dialect", "stream", "max_tokens", "system", "messages", "last", "tools", "body"],
    },
    Variable { name: "history", on: &[], fields: &["calls", "results"] },
    plain("dialect"),
    plain("model"),
    plain("session"),
    plain("user"),
];

/// The types that an expression may name.
pub(super) const TYPES: &[&str] =
    &["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

/// How a function's arguments are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// From so many to so many values.
    Values(usize, usize),
    /// One value, then a regular expression in quotes.
    Regex,
    /// One value, then globs in quotes.
    Globs,
    /// One value, then words in quotes.
    Words,
    /// Patterns of paths in quotes, or none.
    AnyGlobs,
    /// Patterns of whole lines in quotes.
    Lines,
    /// An effect's kind, what it is about, and patterns of which, all in quotes.
    Deed,
}

/// A function.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// It is called on a value: `value.name()`.
    pub(super) member: bool,
    pub(super) takes: Takes,
}

const fn global(name: &'static str, takes: Takes) -> Function {
    Function { name, member: false, takes }
}

const fn member(name: &'static str, takes: Takes) -> Function {
    Function { name, member: true, takes }
}

const ONE: Takes = Takes::Values(1, 1);
const NONE: Takes = Takes::Values(0, 0);

pub(super) const FUNCTIONS: &[Function] = &[
    global("shell", ONE),
    global("re", Takes::Regex),
    global("matches", Takes::Regex),
    global("glob", Takes::Globs),
    global("contains_any", Takes::Words),
    global("path", ONE),
    global("lower", ONE),
    global("size", ONE),
    global("string", ONE),
    global("int", ONE),
    global("uint", ONE),
    global("double", ONE),
    global("bool", ONE),
    global("bytes", ONE),
    global("dyn", ONE),
    global("type", ONE),
    member("reads", Takes::AnyGlobs),
    member("writes", Takes::AnyGlobs),
    member("deletes", Takes::AnyGlobs),
    member("sends", Takes::AnyGlobs),
    member("connects", Takes::AnyGlobs),
    member("executes", Takes::Globs),
    member("runs", Takes::Lines),
    member("does", Takes::Deed),
    member("network", NONE),
    member("privilege", NONE),
    member("fetched_code", NONE),
    member("decoded_code", NONE),
    member("remote_shell", NONE),
    member("size", NONE),
    member("contains", ONE),
    member("startsWith", ONE),
    member("endsWith", ONE),
    member("matches", Takes::Regex),
    member("charAt", ONE),
    member("indexOf", Takes::Values(1, 2)),
    member("lastIndexOf", Takes::Values(1, 2)),
    member("join", Takes::Values(0, 1)),
    member("lowerAscii", NONE),
    member("upperAscii", NONE),
    member("trim", NONE),
    member("replace", Takes::Values(2, 3)),
    member("split", Takes::Values(1, 2)),
    member("substring", Takes::Values(1, 2)),
];
