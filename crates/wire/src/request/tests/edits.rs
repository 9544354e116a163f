//! Edits change what they name and no byte before it.

use std::ops::Range;

use super::{AGENT, read};
use crate::dialect::Dialect::{Chat, Messages};

fn spans_of(body: &str, literal: &str) -> Range<usize> {
    let start = body.find(literal).expect("the literal");
    start..start + literal.len()
}

#[test]
fn another_model_changes_nothing_else() {
    let request = read(Messages, AGENT);
    let other = request.with_model("claude-\"x\"");
    assert_eq!(other.text(), AGENT.replacen("\"claude-opus-5-5\"", r#""claude-\"x\"""#, 1));
    assert_eq!(other.model(), "claude-\"x\"");
    assert_eq!(other.raw("tools"), request.raw("tools"));
    assert_eq!(other.texts().len(), request.texts().len());
    assert_eq!(request.with_model("claude-opus-5-5").body(), request.body());
}

#[test]
fn an_edit_keeps_all_before_it() {
    let request = read(Messages, AGENT);
    let slot = request.texts().into_iter().find(|slot| slot.text == "two").expect("the text");
    let edited = request.with_texts(&[(slot.span.clone(), "zwei\n\"\u{1f600}\"".to_owned())]);
    assert_eq!(edited.text(), AGENT.replacen("\"two\"", "\"zwei\\n\\\"\u{1f600}\\\"\"", 1));
    assert_eq!(edited.body()[..slot.span.start], request.body()[..slot.span.start]);
    assert_eq!(edited.raw("stream"), Some("true"));
    assert_eq!(edited.texts()[4].text, "zwei\n\"\u{1f600}\"");
    assert_eq!(edited.user_id(), request.user_id());
}

#[test]
fn edits_come_in_any_order() {
    let request =
        read(Chat, r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#);
    let [first, second] = request.texts().try_into().expect("two");
    let forward = [(first.span.clone(), "one".to_owned()), (second.span.clone(), "two".to_owned())];
    let backward = [forward[1].clone(), forward[0].clone()];
    assert_eq!(request.with_texts(&forward).body(), request.with_texts(&backward).body());
    assert_eq!(request.with_texts(&forward).texts()[1].text, "two");
}

#[test]
fn the_last_edit_of_a_span_counts() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let request = read(Chat, body);
    let span = spans_of(body, "\"a\"");
    let edits = [(span.clone(), "b".to_owned()), (span.clone(), "c".to_owned())];
    assert_eq!(request.with_texts(&edits).texts()[0].text, "c");
    let back = [(span.clone(), "b".to_owned()), (span, "a".to_owned())];
    assert_eq!(request.with_texts(&back).body(), request.body());
}

#[test]
fn an_edit_to_the_same_text_keeps_its_escapes() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"\u0061\/"}]}"#;
    let request = read(Chat, body);
    assert_eq!(request.with_texts(&[(spans_of(body, r#""\u0061\/""#), "a/".to_owned())]).body(), request.body());
}

#[test]
fn spans_that_are_no_literals_are_passed_over() {
    let body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"é\"}]}";
    let request = read(Chat, body);
    let start = spans_of(body, "é").start;
    for span in [0..5, start..start + 1, 3..3, body.len()..body.len() + 9, usize::MAX - 1..usize::MAX] {
        assert_eq!(request.with_texts(&[(span, "x".to_owned())]).body(), request.body());
    }
}
