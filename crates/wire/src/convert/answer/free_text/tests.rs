//! Free text goes through JSON arguments unchanged, however they are divided and written.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The text of arguments that come in these pieces.
fn unwrapped(pieces: &[&str]) -> String {
    let mut unwrap = Unwrap::default();
    let mut out: String = pieces.iter().map(|piece| unwrap.push(piece)).collect();
    out.push_str(&unwrap.finish());
    out
}

/// A text in pieces of one character each.
fn characters(text: &str) -> Vec<&str> {
    text.split_inclusive(|_: char| true).collect()
}

#[test]
fn escapes_of_every_kind_are_undone() {
    let arguments = r#" { "input" : "a\n\t\"\\\/é😀\b\f\r" } "#;
    assert_eq!(unwrapped(&[arguments]), "a\n\t\"\\/é😀\u{8}\u{c}\r");
    assert_eq!(unwrapped(&characters(arguments)), "a\n\t\"\\/é😀\u{8}\u{c}\r");
}

#[test]
fn half_a_character_is_replaced_and_harms_nothing_after_it() {
    for (arguments, text) in [
        (r#"{"input":"\ud83d"}"#, "\u{fffd}"),
        (r#"{"input":"\ud83dx"}"#, "\u{fffd}x"),
        (r#"{"input":"\ud83d\n"}"#, "\u{fffd}\n"),
        (r#"{"input":"\ude00x"}"#, "\u{fffd}x"),
        (r#"{"input":"\ud83dA"}"#, "\u{fffd}A"),
        (r#"{"input":"\uzzzzx"}"#, "\u{fffd}zzzzx"),
    ] {
        assert_eq!(unwrapped(&[arguments]), text, "{arguments}");
        assert_eq!(unwrapped(&characters(arguments)), text, "{arguments}");
    }
}

#[test]
fn arguments_of_another_form_are_given_as_they_are() {
    for arguments in [r#"{"patch":"x"}"#, r#"{"input":5}"#, "*** Begin Patch", r#""x""#, "[1]", r#"{"inputs":"x"}"#] {
        assert_eq!(unwrapped(&[arguments]), arguments);
        assert_eq!(unwrapped(&characters(arguments)), arguments);
    }
    assert_eq!(unwrapped(&[r#"{"inp"#]), r#"{"inp"#);
}

#[test]
fn a_call_without_a_text_has_an_empty_one() {
    for arguments in ["", " ", "{}", r#"{"input":""}"#] {
        assert_eq!(unwrapped(&[arguments]), "");
    }
}

#[test]
fn what_follows_the_text_is_left_out() {
    assert_eq!(unwrapped(&[r#"{"input":"a","more":"b"}"#]), "a");
}

proptest! {
    #[test]
    fn any_text_survives_any_division(text in any::<String>(), size in 1..9_usize) {
        let arguments = json!({"input": text}).to_string();
        let letters: Vec<char> = arguments.chars().collect();
        let pieces: Vec<String> = letters.chunks(size).map(|piece| piece.iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        prop_assert_eq!(unwrapped(&pieces), text);
    }

    #[test]
    fn what_is_put_in_comes_out(texts in prop::collection::vec(any::<String>(), 0..5)) {
        let wrapped: String = texts.iter().map(|text| escaped(text)).collect();
        let arguments = format!("{}{wrapped}{}", AROUND.0, AROUND.1);
        let read: serde_json::Value = serde_json::from_str(&arguments).unwrap();
        prop_assert_eq!(read, json!({"input": texts.concat()}));
        prop_assert_eq!(unwrapped(&[&arguments]), texts.concat());
    }

    #[test]
    fn nothing_is_a_panic(pieces in prop::collection::vec(r#"[{}":,\\ud83de0inputx ]{0,6}"#, 0..8)) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let together = pieces.concat();
        prop_assert_eq!(unwrapped(&pieces), unwrapped(&[&together]));
    }
}

#[test]
fn white_space_without_end_is_given_as_it_is() {
    let mut unwrap = Unwrap::default();
    let given = " ".repeat(MAX_OPENING + 10);
    let text: String = given.chars().map(|c| unwrap.push(&c.to_string())).collect();
    assert_eq!(text, given);
    assert_eq!(unwrap.push("{\"input\":\"x\"}"), "{\"input\":\"x\"}");
}
