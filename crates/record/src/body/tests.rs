//! How bodies are cut and put together again.

use luthien_wire::Dialect;
use proptest::prelude::*;
use serde_json::json;

use super::identity::understand;
use super::manifest::{Piece, pieces, put};
use super::marks::{cut, put_back};
use super::pack::{Packer, unpack};
use super::split::{Part, split};

fn spans(body: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    for part in split(Dialect::Messages, body).parts {
        match part {
            Part::Inline(span) | Part::Content(span) => out.push(span),
            Part::Messages(slices) => out.extend(slices),
        }
    }
    out
}

#[test]
fn messages_are_cut_with_the_separator_before_them() {
    let body = br#"{"model":"m","messages":[ {"a":1} , {"b":"]},"}],"max_tokens":7,"tools":[{}]}"#;
    let outline = split(Dialect::Messages, body);
    let texts: Vec<_> = spans(body).into_iter().map(|span| std::str::from_utf8(&body[span]).expect("text")).collect();
    assert_eq!(
        texts,
        [r#"{"model":"m","messages":["#, r#" {"a":1}"#, r#" , {"b":"]},"}"#, r#"],"max_tokens":7,"tools":[{}]}"#]
    );
    assert_eq!((outline.max_tokens, outline.tools, outline.messages.len()), (Some(7), true, 2));
}

#[test]
fn the_items_of_an_input_are_cut_like_messages() {
    let body = br#"{"model":"m","messages":[1],"instructions":"be","input":[{"a":1} ,"x"],"max_output_tokens":7}"#;
    let outline = split(Dialect::Responses, body);
    let texts: Vec<_> =
        outline.messages.iter().map(|span| std::str::from_utf8(&body[span.clone()]).expect("text")).collect();
    assert_eq!(texts, [r#"{"a":1}"#, r#""x""#]);
    assert_eq!((outline.max_tokens, outline.system.map(|span| &body[span])), (Some(7), Some(&b"\"be\""[..])));
    let lone = split(Dialect::Responses, br#"{"input":"x"}"#);
    assert_eq!((lone.messages.len(), lone.text), (0, Some(9..12)));
}

#[test]
fn a_large_member_is_a_content() {
    let body = json!({"model": "m", "system": "s".repeat(600), "messages": []}).to_string();
    let parts = split(Dialect::Messages, body.as_bytes()).parts;
    assert!(matches!(&parts[..], [Part::Inline(_), Part::Content(system), Part::Inline(_)] if system.len() == 602));
}

#[test]
fn what_is_no_object_is_one_part() {
    for body in ["", "[1, 2]", "{\"a\": 1} x", "{\"a\" 1}", "{\"a\": \"", "{\"a\": [}"] {
        assert!(
            matches!(&split(Dialect::Messages, body.as_bytes()).parts[..], [Part::Inline(span)] if *span == (0..body.len())),
            "{body}"
        );
    }
    let long = vec![b'x'; 1000];
    assert!(matches!(&split(Dialect::Messages, &long).parts[..], [Part::Content(span)] if *span == (0..1000)));
}

#[test]
fn spelling_and_cache_marks_are_not_what_a_message_is() {
    let same = [
        r#"{"role":"user","content":"hi"}"#,
        r#"{"content": [{"text": "hi", "type": "text"}], "role": "user"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}"#,
    ];
    let understood: Vec<_> = same.map(|text| understand(text.as_bytes()).expect("a message")).into();
    assert_eq!(understood[0], understood[1]);
    assert_eq!(understood[0], understood[2]);
    assert_eq!(understood[0].preview.as_deref(), Some("hi"));

    // What a tool was called with is its own matter.
    let call = |input: &str| {
        format!(r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"n","input":{input}}}]}}"#)
    };
    let (with, without) = (call(r#"{"cache_control":1}"#), call("{}"));
    assert_ne!(understand(with.as_bytes()), understand(without.as_bytes()));
    assert_eq!(understand(b"[1]"), None);
}

#[test]
fn a_preview_is_what_the_user_wrote() {
    let preview = |content: serde_json::Value| {
        understand(json!({"role": "user", "content": content}).to_string().as_bytes())
            .and_then(|message| message.preview)
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(preview(json!([text("<system-reminder>x"), text(" fix\n the  bug ")])).as_deref(), Some("fix the bug"));
    assert_eq!(preview(json!([{"type": "tool_result", "tool_use_id": "t", "content": "out"}])), None);
    assert_eq!(preview(json!("é".repeat(500))).map(|text| text.chars().count()), Some(200));
    assert_eq!(preview(json!([{"type": "input_text", "text": "fix it"}])).as_deref(), Some("fix it"));
    for added in [
        "<environment_context>\n<cwd>/</cwd>\n</environment_context>",
        "# AGENTS.md instructions for /\n",
        " <user_instructions>",
        "<user_shell_command>\nls",
    ] {
        let message = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": added}]});
        let understood = understand(message.to_string().as_bytes()).expect("a message");
        assert_eq!((understood.preview, understood.aside), (None, true), "{added}");
    }
    assert_eq!(understand(b"\"fix it\"").and_then(|text| text.preview).as_deref(), Some("fix it"));
}

#[test]
fn a_message_with_and_without_a_mark_has_one_content() {
    let with = br#",{"role":"user","content":[{"type":"text","text":"say \"cache_control\"" , "cache_control" : {"type":"ephemeral"}}]}"#;
    let without = br#",{"role":"user","content":[{"type":"text","text":"say \"cache_control\""}]}"#;
    let found = cut(with).expect("a mark");
    assert_eq!(found.rest, without);
    assert_eq!(put_back(&found.rest, &found.marks).as_deref(), Some(&with[..]));
    assert_eq!(cut(without), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_any_text_add_up_to_it(body in r#"[{}\[\]",:a\\ 0]{0,60}"#) {
        let mut at = 0;
        for span in spans(body.as_bytes()) {
            prop_assert_eq!(span.start, at);
            at = span.end;
        }
        prop_assert_eq!(at, body.len());
    }

    #[test]
    fn the_parts_of_messages_add_up_to_their_body(list in r#"[{}\[\]",:a ]{0,60}"#) {
        let body = format!("{{\"messages\": [{list}], \"a\": 1}}");
        let whole: Vec<u8> = spans(body.as_bytes()).into_iter().flat_map(|span| body.as_bytes()[span].to_vec()).collect();
        prop_assert_eq!(whole, body.into_bytes());
    }

    #[test]
    fn marks_go_back_where_they_were(parts in proptest::collection::vec(
        prop_oneof![Just(",\"cache_control\":"), Just("{\"a\":1}"), Just(","), Just("\"cache_control\""), Just(" : "), Just("[1]"), Just("\"")], 0..20,
    )) {
        let message = parts.concat().into_bytes();
        if let Some(found) = cut(&message) {
            prop_assert_eq!(put_back(&found.rest, &found.marks), Some(message));
        }
    }

    #[test]
    fn what_is_packed_comes_back(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000), proptest::collection::vec(0..3_u8, 0..5000),
    ]) {
        prop_assert_eq!(unpack(&Packer::new().pack(&bytes)), Some(bytes));
    }

    #[test]
    fn damaged_stores_are_noticed_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (unpack(&bytes), pieces(&bytes), put_back(b"abc", &bytes));
    }

    #[test]
    fn a_manifest_is_read_as_written(inline in proptest::collection::vec(any::<u8>(), 0..300), hash in any::<[u8; 32]>()) {
        let written = [Piece::Inline(&inline), Piece::Content(hash), Piece::Chain(hash)];
        let mut out = Vec::new();
        for piece in &written {
            put(&mut out, piece);
        }
        prop_assert_eq!(pieces(&out).expect("a manifest"), written);
    }
}
