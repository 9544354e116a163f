//! Hostile input: what is not followed is said, and nothing overflows the stack of a thread.

use rstest::rstest;

use crate::{Unknown, analyze};

#[rstest]
#[case::parentheses("(")]
#[case::substitutions("$(")]
#[case::quoted_substitutions("\"$(")]
#[case::arithmetic("$((")]
#[case::defaults("${a:-")]
#[case::groups("{ ")]
#[case::conditions("if ")]
#[case::loops("while a; do ")]
#[case::cases("case x in (")]
#[case::heredocs("<<a ")]
#[case::pipes("a|")]
#[case::backquotes("`")]
#[case::processes("<(")]
#[case::wrappers("sudo ")]
#[case::remote("ssh h ")]
#[case::doubling("x=$x$x;")]
#[case::functions("f() { f; }; f;")]
#[case::loops_of_loops("for i in a b c d e f g h; do ")]
fn repeated_without_end(#[case] piece: &str) {
    let text = piece.repeat(100_000);
    let analysis =
        std::thread::Builder::new().stack_size(2 << 20).spawn(move || analyze(&text)).unwrap().join().unwrap();
    assert!(analysis.unknown.contains(&Unknown::TooLong));
}

/// The grammar's scanner looks such characters up in a table that does not hold them.
#[rstest]
fn characters_far_from_ascii(
    #[values('\u{e9}', '\u{1f600}', '\u{e0001}', '\u{10ffff}')] c: char,
    #[values("{", "${", "<<", "x{1", "{1..", "[[ ", "$")] before: &str,
) {
    let analysis = analyze(&format!("rm x; echo {before}{c} {c}"));
    assert_eq!(analysis.commands[0].name, "rm");
}

#[test]
fn nesting_that_is_too_deep_is_said() {
    let text = format!("{}rm x{}", "(".repeat(200), ")".repeat(200));
    assert!(!analyze(&text).parsed);
    let text = (0..40).fold("rm x".to_owned(), |text, _| format!("echo $({text})"));
    assert_eq!(analyze(&text).unknown, [Unknown::TooDeep]);
}

#[test]
fn more_commands_than_are_followed_are_said() {
    assert_eq!(analyze(&"a\n".repeat(2000)).unknown, [Unknown::TooMuch]);
}
