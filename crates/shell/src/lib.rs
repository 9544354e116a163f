//! Reads shell commands and says what they do, so that policies decide on effects and not on text.
//!
//! [`analyze`] takes a script, [`analyze_argv`] a command that is already divided into its arguments. Both follow pipes, substitutions,
//! variables, wrappers (`sudo`, `xargs`, `sh -c`, `ssh`…) and plain encodings down to the commands that run, and look each up in tables of
//! what commands do. Nothing is run and no file is looked at. Input is taken for hostile: what is followed is bounded ([`Unknown`] says what
//! was not), and no text makes it panic.

mod analysis;
mod decoders;
mod effects;
mod flow;
mod interpreters;
mod limits;
mod options;
mod paths;
mod syntax;
mod tables;
mod walk;
mod words;

pub use analysis::{Analysis, Assignment, Command, Effect, Kind, Object, Redirect, Unknown, Via, Word};

/// Reads a script as bash would.
pub fn analyze(text: &str) -> Analysis {
    walk::Walker::new().analyze(text)
}

/// Reads a command given as its arguments, the first being the program: nothing in them is expanded, but what a shell among them
/// is told to run is read.
pub fn analyze_argv(argv: &[String]) -> Analysis {
    walk::Walker::new().analyze_argv(argv)
}

#[cfg(test)]
mod tests;
