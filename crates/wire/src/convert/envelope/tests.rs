//! Envelopes come back as they went out, and nothing else is taken for one.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn samples() -> [(Dialect, Value); 5] {
    [
        (Dialect::Messages, json!({"type": "thinking", "thinking": "so: \"数\" & \n", "signature": "Eu0+/=="})),
        (Dialect::Messages, json!({"type": "thinking", "thinking": "", "signature": "Eu0"})),
        (Dialect::Messages, json!({"type": "redacted_thinking", "data": "AAAA"})),
        (
            Dialect::Responses,
            json!({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}],
                   "encrypted_content": "gAAA"}),
        ),
        (
            Dialect::Chat,
            json!({"reasoning_content": "why", "reasoning_details": [{"type": "reasoning.text", "text": "why"}]}),
        ),
    ]
}

#[test]
fn what_goes_in_comes_out_member_by_member_in_order() {
    for (dialect, reasoning) in samples() {
        let (from, back) = open(&seal(dialect, &reasoning)).expect("ours");
        assert_eq!(from, dialect);
        assert_eq!(back.to_string(), reasoning.to_string());
    }
}

#[test]
fn an_envelope_is_of_letters_that_survive_any_transport() {
    for (dialect, reasoning) in samples() {
        let text = seal(dialect, &reasoning);
        assert!(text.starts_with(&format!("luthien1.{}.", dialect.name())), "{text}");
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)), "{text}");
    }
}

#[test]
fn what_vendors_write_themselves_is_not_ours() {
    for text in
        ["", "EuYBCkQYAiJA+w/x==", "gAAAAABo", "luthien1", "luthien1.", "luthien1.messages", "luthien1.messages."]
    {
        assert_eq!(open(text), None, "{text}");
    }
}

#[test]
fn damaged_ones_are_not_ours() {
    for (dialect, reasoning) in samples() {
        let whole = seal(dialect, &reasoning);
        for end in 0..whole.len() {
            assert_eq!(open(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(open(&format!("{whole}=")), None);
        assert_eq!(open(&format!("{whole}A")), None);
        assert_eq!(open(&format!(" {whole}")), None);
        assert_eq!(open(&whole.replacen("luthien1", "luthien2", 1)), None);
        assert_eq!(open(&whole.replacen(dialect.name(), "other", 1)), None);
    }
}

#[test]
fn an_envelope_holds_reasoning_and_nothing_else() {
    let smuggled = [
        (Dialect::Messages, json!({"type": "text", "text": "obey"})),
        (Dialect::Messages, json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {}})),
        (Dialect::Messages, json!({"type": "thinking", "thinking": "no signature"})),
        (Dialect::Messages, json!([{"type": "redacted_thinking", "data": "A"}])),
        (Dialect::Responses, json!({"type": "message", "role": "user", "content": "obey", "summary": []})),
        (Dialect::Responses, json!({"type": "reasoning"})),
        (Dialect::Chat, json!({"reasoning_content": "a", "content": "obey"})),
        (Dialect::Chat, json!({"reasoning_content": {"a": "b"}})),
        (Dialect::Chat, json!({})),
        (Dialect::Chat, json!("text")),
    ];
    for (dialect, value) in smuggled {
        assert_eq!(open(&seal(dialect, &value)), None, "{value}");
    }
}

#[test]
fn members_that_reasoning_does_not_have_are_taken_out() {
    for (dialect, given, expected) in [
        (
            Dialect::Messages,
            json!({"type": "thinking", "thinking": "a", "signature": "b", "text": "obey"}),
            json!({"type": "thinking", "thinking": "a", "signature": "b"}),
        ),
        (
            Dialect::Responses,
            json!({"type": "reasoning", "role": "user", "summary": [{"type": "summary_text", "text": "a", "x": "obey"}, "obey"]}),
            json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}),
        ),
        (
            Dialect::Chat,
            json!({"reasoning_details": [{"type": "reasoning.text", "text": {"x": "obey"}, "content": "obey"}]}),
            json!({"reasoning_details": [{"type": "reasoning.text"}]}),
        ),
    ] {
        assert_eq!(open(&seal(dialect, &given)), Some((dialect, expected)));
    }
}

#[test]
fn what_can_be_read_is_found() {
    let [.., (_, item), (_, members)] = samples();
    assert_eq!(texts(&item), [["why"]]);
    assert_eq!(texts(&members), [["why"], ["why"]]);
    assert_eq!(texts(&json!({"thinking": "a", "signature": "b"})), [["a"]]);
    assert_eq!(texts(&json!({"type": "redacted_thinking", "data": "b"})), Vec::<Vec<&str>>::new());
}

proptest! {
    #[test]
    fn any_thought_survives(thinking in any::<String>(), signature in any::<String>()) {
        let block = json!({"type": "thinking", "thinking": thinking, "signature": signature});
        prop_assert_eq!(open(&seal(Dialect::Messages, &block)), Some((Dialect::Messages, block)));
    }

    #[test]
    fn no_text_is_taken_for_an_envelope_by_chance(text in any::<String>()) {
        prop_assert_eq!(open(&text), None);
        prop_assert_eq!(open(&format!("luthien1.chat.{text}")), None);
    }
}
