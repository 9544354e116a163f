//! Streamed replacement equals whole replacement, and the events say what was done.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::RequestKind;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::casing::follow;
use super::*;
use crate::scripted;

const BLOCK: BlockId = BlockId { choice: 0, block: 0 };

fn policy(config: Value) -> Arc<dyn Policy> {
    scripted::policy("string_replacement", config)
}

/// What goes out for a block that comes in these pieces.
fn streamed(review: &dyn Review, block: BlockId, pieces: &[impl AsRef<str>]) -> String {
    let mut out = String::new();
    for piece in pieces {
        let piece = piece.as_ref();
        out.push_str(&review.text_delta(block, piece).unwrap_or_else(|| piece.to_owned()));
    }
    out + &review.text_end(block)
}

#[rstest]
#[case("COOL", "RADICAL")]
#[case("cool", "radical")]
#[case("Cool", "Radical")]
#[case("cOOl", "rADical")]
#[case("...", "radicAL")]
fn a_replacement_follows_the_case_of_its_source(#[case] source: &str, #[case] expected: &str) {
    assert_eq!(follow(source, "radicAL"), expected);
}

#[test]
fn a_match_across_pieces_is_replaced() {
    let review = policy(json!({"replacements": [["hello", "goodbye"]]})).review(&scripted::context());
    assert_eq!(streamed(&*review, BLOCK, &["he", "l", "lo hel"]), "goodbye hel");
}

#[test]
fn text_that_cannot_begin_a_match_is_not_held() {
    let review = policy(json!({"replacements": [["hello", "x"]]})).review(&scripted::context());
    assert_eq!(review.text_delta(BLOCK, "good morning"), None);
    assert_eq!(review.text_delta(BLOCK, " he").as_deref(), Some(" "));
    assert_eq!(review.text_delta(BLOCK, "y").as_deref(), Some("hey"));
}

#[test]
fn later_pairs_see_what_earlier_ones_wrote() {
    let review = policy(json!({"replacements": [["a", "b"], ["bb", "c"]]})).review(&scripted::context());
    assert_eq!(streamed(&*review, BLOCK, &["a", "b", "a"]), "cb");
}

#[test]
fn blocks_do_not_mix() {
    let review = policy(json!({"replacements": [["ab", "X"]]})).review(&scripted::context());
    let other = BlockId { choice: 1, block: 0 };
    assert_eq!(review.text_delta(BLOCK, "a").as_deref(), Some(""));
    assert_eq!(review.text_delta(other, "b"), None);
    assert_eq!(review.text_end(BLOCK), "a");
}

#[test]
fn the_response_event_has_the_counts() {
    let context = scripted::context();
    let review = policy(json!({"replacements": [["ab", "xyz"]]})).review(&context);
    streamed(&*review, BLOCK, &["ab a", "b ä"]);
    streamed(&*review, BlockId { choice: 0, block: 1 }, &["none"]);
    review.end();
    let (events, _) = context.events.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, "policy.string_replacement.response_modified");
    assert_eq!(
        events[0].data,
        json!({"blocks_modified": 1, "total_replacements": 2, "original_length": 11, "transformed_length": 13})
    );
}

#[test]
fn an_answer_that_did_not_change_has_no_event() {
    let context = scripted::context();
    let review = policy(json!({"replacements": [["ab", "xyz"]]})).review(&context);
    streamed(&*review, BLOCK, &["nothing"]);
    review.end();
    assert_eq!(context.events.take(), (Vec::new(), 0));
}

#[tokio::test]
async fn requests_are_edited_where_they_stand() {
    let body = concat!(
        r#"{"model":"m", "max_tokens":5,"system":"cat","messages":[{"role":"user","content":"cat"},"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"a  cat"},{"type":"tool_use","id":"t","name":"cat","input":{}}]},"#,
        r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"cat!"}]}],"x": 1.0}"#
    );
    let request = Request::parse(Dialect::Messages, RequestKind::Turn, Bytes::from_static(body.as_bytes())).unwrap();
    let context = scripted::context();
    let policy = policy(json!({"replacements": [["cat", "dog"]], "apply_to": "both"}));
    assert!(policy.watches().request);
    let RequestAction::Replace(edited) = policy.review(&context).request(&request).await.unwrap().action else {
        panic!("not edited")
    };
    let expected =
        body.replace(r#""content":"cat""#, r#""content":"dog""#).replace("a  cat", "a  dog").replace("cat!", "dog!");
    assert_eq!(edited.text(), expected);
    let (events, _) = context.events.take();
    assert_eq!(events[0].event_type, "policy.string_replacement.request_modified");
    assert_eq!(events[0].data["total_replacements"], 3);
}

#[test]
fn only_the_side_it_applies_to_is_watched() {
    let watches = policy(json!({"replacements": [["a", "b"]], "apply_to": "request"})).watches();
    assert_eq!(watches, Watch { request: true, ..Watch::default() });
    assert_eq!(policy(json!({})).watches(), Watch::default());
}

#[rstest]
#[case(json!({"replacements": [["", "x"]]}), "replacements[0][0]: must not be empty")]
#[case(json!({"replacements": [["a", "b"], ["c"]]}), "replacements[1]: invalid length 1")]
#[case(json!({"replacements": [["a", 1]]}), "replacements[0][1]: invalid type: integer `1`")]
#[case(json!({"apply_to": "all"}), "apply_to: unknown variant `all`")]
fn bad_settings_are_refused_by_path(#[case] config: Value, #[case] expected: &str) {
    let message = scripted::refused("string_replacement", config);
    assert!(message.starts_with(expected), "{message}");
}

/// Text over few letters, so that matches and near matches are common.
fn text(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['a', 'b', 'A', 'B', 'ß', 'é', 'É', ' ', '😀']), 0..most)
        .prop_map(String::from_iter)
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let from = text(5).prop_filter("not empty", |from| !from.is_empty());
    prop::collection::vec((from, text(4)), 0..4)
}

proptest! {
    #[test]
    fn the_streamed_sum_is_the_whole_replacement(pieces in prop::collection::vec(text(6), 0..10), pairs in pairs()) {
        let expected = pairs.iter().fold(pieces.concat(), |text, (from, to)| text.replace(from, to));
        let review = policy(json!({"replacements": pairs})).review(&scripted::context());
        prop_assert_eq!(streamed(&*review, BLOCK, &pieces), expected);
    }

    #[test]
    fn any_case_does_not_depend_on_the_cut(pieces in prop::collection::vec(text(6), 0..10), pairs in pairs()) {
        let config = json!({"replacements": pairs, "match_capitalization": true});
        let whole = streamed(&*policy(config.clone()).review(&scripted::context()), BLOCK, &[pieces.concat()]);
        let cut = streamed(&*policy(config).review(&scripted::context()), BLOCK, &pieces);
        prop_assert_eq!(cut, whole);
    }

    #[test]
    fn one_pair_in_any_case_replaces_what_a_regex_would(text in text(30), from in "[abé]{1,4}", to in "[xyZ]{0,5}") {
        let pattern = regex::Regex::new(&format!("(?i){from}")).unwrap();
        let expected = pattern.replace_all(&text, |found: &regex::Captures<'_>| follow(&found[0], &to)).into_owned();
        let review = policy(json!({"replacements": [[from, to]], "match_capitalization": true})).review(&scripted::context());
        prop_assert_eq!(streamed(&*review, BLOCK, &[text]), expected);
    }
}
