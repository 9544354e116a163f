//! How much of a text is followed. What is beyond is said, never silently left out.

/// Bytes of text that are looked at.
pub(crate) const INPUT: usize = 64 * 1024;
/// Bytes of a text that go to the grammar; longer ones are only read by the forgiving reader.
pub(crate) const GRAMMAR: usize = 16 * 1024;
/// How often the grammar may report progress (each is a hundred operations) before it is given up: a fixed part and one for so many bytes.
pub(crate) const GRAMMAR_STEPS: usize = 30;
/// Bytes of text for which one more report is allowed.
pub(crate) const GRAMMAR_BYTES_A_STEP: usize = 16;
/// Levels of nesting that are followed, of all sorts together.
pub(crate) const DEPTH: usize = 28;
/// Commands that are looked at.
pub(crate) const COMMANDS: usize = 1000;
/// Bytes that all expansions together may make.
pub(crate) const EXPANDED: usize = 1024 * 1024;
/// Words that one word's braces may make.
pub(crate) const BRACES: usize = 64;
/// Values of a variable that are kept where it may have one of several.
pub(crate) const VALUES: usize = 8;
/// Words that a loop, `find` or `xargs` goes through.
pub(crate) const LOOP: usize = 64;
/// Bytes of a value, or of a command's output, that are kept.
pub(crate) const VALUE: usize = 32 * 1024;
/// Effects that are kept.
pub(crate) const EFFECTS: usize = 4000;
