//! How much of a text is followed. What is beyond is said, never silently left out.

/// Bytes of text that are looked at.
pub(crate) const INPUT: usize = 64 * 1024;
/// Bytes of a text that go to the grammar; longer ones are only read by the forgiving reader.
pub(crate) const GRAMMAR: usize = 16 * 1024;
/// How often the grammar may report progress (each is a hundred operations) before it is given up: a fixed part and one for so many bytes.
pub(crate) const GRAMMAR_STEPS: usize = 30;
/// Bytes of text for which one more report is allowed.
pub(crate) const GRAMMAR_BYTES_A_STEP: usize = 16;
/// Heredocs of a text that goes to the grammar, whose scanner reads to the end of the text for each.
pub(crate) const GRAMMAR_HEREDOCS: usize = 32;
/// Heredocs whose marks have commands in them that have heredocs, and so on.
pub(crate) const MARKS: usize = 8;
/// Levels of nesting that are followed, of all sorts together.
pub(crate) const DEPTH: usize = 28;
/// Commands that are looked at.
pub(crate) const COMMANDS: usize = 1000;
/// Bytes that all expansions together may make.
pub(crate) const EXPANDED: usize = 1024 * 1024;
/// Bytes that are looked at, however often the same ones: loops, functions and substitutions read a text again and again.
pub(crate) const WORK: usize = 16 * 1024 * 1024;
/// What a byte costs that the grammar reads, and what reading costs in any case, in bytes of `WORK`.
pub(crate) const GRAMMAR_WORK: (usize, usize) = (128, 4096);
/// Words that one word's braces may make. Of a range of numbers the first and the last are kept.
pub(crate) const BRACES: usize = 64;
/// Words that a loop, `find` or `xargs` goes through, values of a variable, calls in a piece of code.
pub(crate) const LOOP: usize = 64;
/// Bytes of a command's output that are kept; what is longer counts as not known.
pub(crate) const VALUE: usize = INPUT;
/// Effects that are kept.
pub(crate) const EFFECTS: usize = 4000;
