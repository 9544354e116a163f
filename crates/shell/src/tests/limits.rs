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
#[case::open_braces("{")]
#[case::open_braces_with_commas("{,")]
#[case::heredocs_on_lines("<<a\n")]
#[case::heredocs_in_marks("<<$(")]
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

/// What nobody finds beyond a limit is said: a reader who must not miss anything refuses it.
#[rstest]
#[case::items_in_braces(format!("rm -rf {{{},/}}", "a,".repeat(70)))]
#[case::pairs_of_braces(format!("rm -rf {}{{b,/}}", "{a,b}".repeat(7)))]
#[case::values_of_a_loop(format!("for i in {} /; do rm -rf $i; done", "a ".repeat(70)))]
#[case::values_of_a_variable(format!("{}rm -rf $x", (0..70).fold(String::new(), |text, n| text + "if a; then x=/" + &n.to_string() + "; fi; ")))]
#[case::replaced_inputs(format!("printf '{}/' | xargs -I% rm -rf %", "a\\n".repeat(70)))]
#[case::words_of_find(format!("find {} / -name x -delete", "a ".repeat(70)))]
#[case::long_code(format!("(echo '{}'; echo '{}'; echo rm -rf /) | sh", "a ".repeat(16_000), "a ".repeat(16_500)))]
#[case::calls_in_code(format!("python3 -c \"{}os.system('rm -rf /')\"", "os.system('a');".repeat(70)))]
fn what_is_beyond_a_limit_is_said(#[case] text: String) {
    assert_ne!(analyze(&text).unknown, []);
}

/// Where more than one of a sort is named, all are looked at.
#[rstest]
#[case::loops("for i in 1 2 3 4 5 6 7 8 9 /x; do rm $i; done")]
#[case::variables(
    "if a; then x=1; fi; if a; then x=2; fi; if a; then x=3; fi; if a; then x=4; fi; if a; then x=5; fi; if a; then x=6; fi; if a; then x=7; fi; if a; then x=8; fi; if a; then x=/x; fi; rm $x"
)]
#[case::lines("printf 'a\\nb\\nc\\nd\\n/x' | xargs -I% rm %")]
#[case::inputs("echo 1 2 3 4 5 6 7 8 9 a b c d /x | xargs rm")]
#[case::last_of_a_range("cd /; rm /x{1..300}")]
#[case::behind_braces("rm {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b} /x")]
fn several_are_all_looked_at(#[case] text: &str) {
    let deleted: Vec<String> = analyze(text).effects.into_iter().filter_map(|effect| effect.target).collect();
    assert!(deleted.iter().any(|target| target == "/x" || target == "/x300"), "{deleted:?}");
}

/// How many bytes are looked at is bounded, however often a text leads back to the same ones.
#[rstest]
#[case::expansions_that_give_nothing(format!("x={}; f() {{ y={}; }}; {}", "a".repeat(8_000), "${x:0:0}".repeat(500), "f; ".repeat(1_000)))]
#[case::replacements(format!("x={}; y=${{x//a/$x}}", "a".repeat(30_000)))]
#[case::texts_read_again(format!("x='{}'; {}", "a=b;".repeat(3_000), "eval \"$x\"; ".repeat(90)))]
#[case::substitutions_in_loops(format!("for i in {}; do {}; done", "a ".repeat(60), "echo $i $(echo $i $(echo $i $(echo $i)));".repeat(20)))]
fn more_work_than_is_allowed_is_said(#[case] text: String) {
    assert!(analyze(&text).unknown.contains(&Unknown::TooMuch));
}

/// A format that is used for each of many values makes more text than is kept.
#[test]
fn long_output_of_printf_is_not_known() {
    let text = format!("printf '{}%s' {} | sh", "a".repeat(30_000), "a ".repeat(10_000));
    assert!(analyze(&text).unknown.iter().any(|unknown| matches!(unknown, Unknown::Code { .. })));
}
