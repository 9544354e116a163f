//! Two texts beside each other, narrow and wide.

use super::*;

#[test]
fn narrow_terminals_get_signs() {
    let lines = beside("keep\ncall rm", "keep\nblocked\nwhy", 80, Palette::plain());
    assert_eq!(lines, ["  keep", "- call rm", "+ blocked", "+ why"]);
}

#[test]
fn wide_terminals_get_columns() {
    let lines = beside("keep\ncall rm", "keep\nblocked", 101, Palette::plain());
    let row = |l: &str, r: &str| format!("{} \u{2502} {r}", pad(l, 49));
    assert_eq!(lines, [row("original", "final"), row("keep", "keep"), row("call rm", "blocked")]);
}

#[test]
fn texts_are_made_safe() {
    let lines = beside("a", "\u{1b}[2J", 80, Palette::plain());
    assert_eq!(lines, ["- a", "+ \u{241b}[2J"]);
}
