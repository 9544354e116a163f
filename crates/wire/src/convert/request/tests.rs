//! Conversations between dialects: whatever both can say survives the way there and back, and what arrives is legal.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::conversation::{Message, Part, Role};
use crate::request::RequestKind;

mod exact;
mod legal;
mod script;
mod seen;

use script::conversation;

/// A body of this dialect, for another.
fn sent(from: Dialect, body: &Value, to: Dialect) -> Value {
    let converted = request(&parse(from, body), to, "m").unwrap();
    serde_json::from_slice(&converted.body).unwrap()
}

fn parse(dialect: Dialect, body: &Value) -> Request {
    Request::parse(dialect, RequestKind::Turn, body.to_string().into()).unwrap()
}

/// What a body says, in one form for all dialects.
fn said(dialect: Dialect, body: &Value) -> Vec<(Role, Vec<Part>)> {
    let mut out: Vec<(Role, Vec<Part>)> = Vec::new();
    for Message { role, parts } in parse(dialect, body).conversation() {
        let role = if role == Role::Tool { Role::User } else { role };
        for part in parts {
            let (role, part) = plain(role.clone(), part);
            let Some(part) = part else { continue };
            match out.last_mut() {
                Some((last, before)) if *last == role => add(before, part),
                _ => out.push((role, vec![part])),
            }
        }
    }
    out
}

/// Neighbouring texts are one.
fn add(before: &mut Vec<Part>, part: Part) {
    match (before.last_mut(), part) {
        (Some(Part::Text(last)), Part::Text(text)) => {
            last.push_str("\n\n");
            last.push_str(&text);
        }
        (_, part) => before.push(part),
    }
}

fn plain(role: Role, part: Part) -> (Role, Option<Part>) {
    match part {
        Part::Thinking(_) => (role, None),
        Part::Text(text) => {
            if text == "[go on]" {
                return (role, None);
            }
            let inside = text.strip_prefix("<system>\n").and_then(|text| text.strip_suffix("\n</system>"));
            let role = if inside.is_some() { Role::System } else { role };
            (role, Some(Part::Text(inside.unwrap_or(&text).to_owned())))
        }
        Part::ToolResult { id, text, is_error } => {
            let text = script::marked(&text, is_error);
            (role, Some(Part::ToolResult { id, text, is_error: false }))
        }
        part => (role, Some(part)),
    }
}

fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    Dialect::ALL.into_iter().flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to))).filter(|(a, b)| a != b)
}

#[test]
fn all_pieces_of_a_turns_reasoning_come_back() {
    let piece = |text: &str, data: &str| {
        let told =
            json!({"reasoning_content": text, "reasoning_details": [{"type": "reasoning.encrypted", "data": data}]});
        json!({"type": "thinking", "thinking": text, "signature": crate::convert::envelope::seal(Dialect::Chat, &told)})
    };
    let content = json!([piece("a", "1"), {"type": "text", "text": "said"}, piece("b", "2")]);
    let body = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content}]});
    let message = &sent(Dialect::Messages, &body, Dialect::Chat)["messages"][1];
    assert_eq!(message["reasoning_content"], "a\n\nb");
    let data: Vec<&Value> =
        message["reasoning_details"].as_array().unwrap().iter().map(|element| &element["data"]).collect();
    assert_eq!(data, ["1", "2"]);
}

#[test]
fn reasoning_that_nothing_follows_is_left_out() {
    let told = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"});
    let sealed = json!({"type": "thinking", "thinking": "", "signature": crate::convert::envelope::seal(Dialect::Responses, &told)});
    let asked = |content: Value| {
        let body = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"},
            {"role": "assistant", "content": content}, {"role": "user", "content": "more"}]});
        let items = sent(Dialect::Messages, &body, Dialect::Responses)["input"].clone();
        items.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(asked(json!([sealed])), ["message", "message"]);
    assert_eq!(asked(json!([sealed, {"type": "text", "text": "a"}])), ["message", "reasoning", "message", "message"]);
}

#[test]
fn a_history_that_ends_with_the_model_asks_for_a_new_turn() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello "}]});
    let messages = sent(Dialect::Chat, &body, Dialect::Messages)["messages"].clone();
    assert_eq!(messages[2], json!({"role": "user", "content": [{"type": "text", "text": "[go on]"}]}));
    let items = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, {"role": "developer", "content": "short"}]);
    let messages =
        sent(Dialect::Responses, &json!({"model": "m", "input": items}), Dialect::Messages)["messages"].clone();
    assert_eq!(messages.as_array().map(Vec::len), Some(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_is_the_same_in_every_dialect(script in conversation()) {
        for (from, to) in pairs() {
            let body = script.body(from);
            prop_assert_eq!(said(to, &sent(from, &body, to)), said(from, &body), "{} to {}: {}", from, to, body);
        }
    }

    #[test]
    fn there_and_back_nothing_is_lost(script in conversation()) {
        for (from, over) in pairs() {
            let body = script.body(from);
            let back = sent(over, &sent(from, &body, over), from);
            prop_assert_eq!(said(from, &back), said(from, &body), "{} over {}: {}", from, over, body);
            for member in kept(from, over) {
                prop_assert_eq!(&back[member], &body[member], "{} over {}: {}", from, over, member);
            }
        }
    }

    #[test]
    fn what_arrives_is_legal(script in conversation()) {
        for (from, to) in pairs() {
            let body = sent(from, &script.body(from), to);
            prop_assert_eq!(legal::fault(to, &body), None, "{} to {}: {}", from, to, body);
        }
    }

    #[test]
    fn what_arrives_is_legal_in_whatever_order_a_client_wrote_it(items in script::disorder()) {
        let body = json!({"model": "m", "input": items});
        for to in [Dialect::Messages, Dialect::Chat] {
            let body = sent(Dialect::Responses, &body, to);
            prop_assert_eq!(legal::fault(to, &body), None, "{}", body);
        }
    }

    #[test]
    fn reasoning_comes_back_to_its_vendor_exactly_and_to_no_other(script in conversation()) {
        for (client, vendor) in pairs() {
            let body = script.body_with_reasoning(client, vendor);
            let (back, expected) = (sent(client, &body, vendor), script.reasoning(vendor));
            prop_assert_eq!(exact::reasoning(vendor, &back), expected, "{} of {}: {}", client, vendor, body);
            for other in Dialect::ALL.into_iter().filter(|other| *other != vendor) {
                let converted = request(&parse(client, &body), other, "m").unwrap();
                let text = String::from_utf8(converted.body.to_vec()).unwrap();
                prop_assert!(!text.contains(script::THOUGHT) && !text.contains("luthien1."), "{}", text);
            }
        }
    }
}

/// Members that both dialects can say.
fn kept(from: Dialect, over: Dialect) -> &'static [&'static str] {
    match (from, over) {
        (Dialect::Messages, _) => {
            &["max_tokens", "system", "tools", "tool_choice", "temperature", "metadata", "stream", "new"]
        }
        // The temperature gives way to the effort.
        (Dialect::Chat, Dialect::Messages) => &["max_tokens", "tools", "tool_choice", "user", "stream", "new"],
        (Dialect::Responses, Dialect::Messages) => &[
            "max_output_tokens",
            "instructions",
            "tools",
            "tool_choice",
            "temperature",
            "safety_identifier",
            "stream",
            "new",
        ],
        (Dialect::Chat, _) => &[
            "max_tokens",
            "tools",
            "tool_choice",
            "temperature",
            "user",
            "stream",
            "new",
            "parallel_tool_calls",
            "top_p",
            "metadata",
            "prompt_cache_key",
            "verbosity",
            "reasoning_effort",
            "response_format",
            "service_tier",
        ],
        (Dialect::Responses, _) => &[
            "max_output_tokens",
            "instructions",
            "tools",
            "tool_choice",
            "temperature",
            "safety_identifier",
            "stream",
            "new",
            "parallel_tool_calls",
            "top_p",
            "metadata",
            "prompt_cache_key",
            "text",
            "service_tier",
        ],
    }
}
