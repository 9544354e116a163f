//! Text on its way to a terminal.

use proptest::prelude::*;

use super::*;

#[test]
fn escape_sequences_become_visible() {
    assert_eq!(visible("a\u{1b}[2Jb"), "a\u{241b}[2Jb");
    assert_eq!(visible("\u{9b}31m"), "\\u{9b}31m");
    assert_eq!(visible("rm \u{202e}fdp.exe"), "rm \\u{202e}fdp.exe");
    assert_eq!(visible("one\r\ntwo\rthree\tfour\u{7f}"), "one\ntwo\u{240d}three    four\u{2421}");
}

#[test]
fn plain_text_is_borrowed() {
    assert!(matches!(visible("héllo\n世界"), Cow::Borrowed(_)));
}

#[test]
fn colours_need_a_terminal_that_takes_them() {
    let none = |_: &str| None;
    assert!(Palette::decide(true, none).on);
    assert!(!Palette::decide(false, none).on);
    assert!(!Palette::decide(true, |name| (name == "NO_COLOR").then(|| "1".to_owned())).on);
    assert!(!Palette::decide(true, |name| (name == "TERM").then(|| "dumb".to_owned())).on);
    assert!(Palette::decide(true, |name| (name == "NO_COLOR").then(String::new)).on);
}

#[test]
fn clipping_counts_columns() {
    assert_eq!(clip("abcdef", 6), "abcdef");
    assert_eq!(clip("abcdefg", 6), "abcde\u{2026}");
    assert_eq!(clip("世界世界", 5), "世界\u{2026}");
    assert_eq!(pad("世", 4), "世  ");
}

#[test]
fn wrapping_breaks_at_spaces() {
    assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
    assert_eq!(wrap("a\n\nb", 20), ["a", "", "b"]);
}

proptest! {
    #[test]
    fn nothing_that_is_printed_is_obeyed(text in any::<String>()) {
        let shown = visible(&text);
        prop_assert!(!shown.chars().any(|c| c != '\n' && c.is_control()));
    }

    #[test]
    fn wrapped_lines_fit(text in "[ a-z世]{0,200}", columns in 8usize..60) {
        for line in wrap(&text, columns) {
            prop_assert!(line.width() <= columns);
        }
    }
}
