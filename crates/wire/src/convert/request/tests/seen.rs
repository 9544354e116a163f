//! Whatever a conversion makes a text of has been seen by the policies that read texts.

use super::*;

/// What no policy has replaced.
const CANARY: &str = "canary";

/// Members that hold texts, contents or something that may be one.
const NAMES: [&str; 14] = [
    "text", "content", "refusal", "title", "context", "output", "source", "data", "stdout", "stderr", "input",
    "summary", "x", "role",
];

const KINDS: [&str; 24] = [
    "text",
    "input_text",
    "output_text",
    "refusal",
    "document",
    "search_result",
    "compaction",
    "mid_conv_system",
    "tool_result",
    "content",
    "message",
    "function_call_output",
    "shell_call_output",
    "custom_tool_call_output",
    "summary_text",
    "thinking",
    "image",
    "tool_use",
    "web_search_tool_result",
    "fallback",
    "reasoning",
    "odd",
    "",
    "base64",
];

const ROLES: [&str; 6] = ["user", "assistant", "system", "developer", "tool", "odd"];

fn kind() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::weighted(0.9, prop::sample::select(&KINDS[..]))
}

/// Objects with a type of those above or none, and members of any of the names, nested.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![8 => Just(json!(CANARY)), 1 => Just(Value::Null), 1 => Just(json!(1))];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let members = prop::collection::vec((prop::sample::select(&NAMES[..]), inner.clone()), 1..4);
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => (kind(), members).prop_map(|(kind, members)| object(kind, members)),
            // What is likely to be read as something.
            2 => (prop::sample::select(&KINDS[..]), prop::collection::vec(inner, 1..3)).prop_map(|(kind, inner)| {
                json!({"type": kind, "text": CANARY, "content": inner, "title": CANARY, "context": CANARY})
            }),
        ]
    })
}

fn object(kind: Option<&str>, members: Vec<(&str, Value)>) -> Value {
    let mut out: Map<String, Value> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(kind) = kind {
        out.insert("type".to_owned(), kind.into());
    }
    if let Some(role) = out.get_mut("role") {
        *role = "user".into();
    }
    out.into()
}

/// Blocks that a client sends, around whatever.
fn block() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(anything(), 0..3);
    prop_oneof![
        Just(json!({"type": "text", "text": CANARY})),
        Just(json!({"type": "input_text", "text": CANARY})),
        anything(),
        list().prop_map(|inner| json!({"type": "tool_result", "tool_use_id": "a", "content": inner})),
        list().prop_map(|inner| json!({"type": "document", "title": CANARY, "context": CANARY,
                                       "source": {"type": "content", "content": inner}})),
        Just(
            json!({"type": "document", "title": CANARY, "source": {"type": "text", "media_type": "text/plain", "data": CANARY}})
        ),
        list().prop_map(|inner| json!({"type": "search_result", "title": CANARY, "source": CANARY, "content": inner})),
        Just(
            json!({"type": "search_result", "title": CANARY, "source": CANARY, "content": [{"type": "text", "text": CANARY}]})
        ),
        Just(json!({"type": "compaction", "content": CANARY})),
        Just(json!({"type": "mid_conv_system", "text": CANARY})),
        list().prop_map(|inner| json!({"type": "mid_conv_system", "content": inner})),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let content =
        prop_oneof![Just(json!(CANARY)), prop::collection::vec(block(), 1..3).prop_map(Value::from), anything(),];
    (prop::sample::select(&ROLES[..]), kind(), content, prop::option::weighted(0.1, anything())).prop_map(
        |(role, kind, content, output)| {
            let mut out = json!({"role": role, "content": content, "tool_call_id": "a", "call_id": "a"});
            if let Some(kind) = kind {
                out["type"] = kind.into();
            }
            if let Some(output) = output {
                out["output"] = output;
            }
            out
        },
    )
}

/// Items of Responses; messages elsewhere are of no use with a type.
fn item() -> impl Strategy<Value = Value> {
    let output = prop_oneof![
        Just(json!(CANARY)),
        prop::collection::vec(block(), 1..3).prop_map(Value::from),
        Just(json!([{"stdout": CANARY, "stderr": CANARY, "outcome": {"type": "exit", "exit_code": 1}}])),
        anything(),
    ];
    let kinds = ["function_call_output", "custom_tool_call_output", "shell_call_output", "computer_call_output"];
    prop_oneof![
        message(),
        (prop::sample::select(kinds.to_vec()), output)
            .prop_map(|(kind, output)| json!({"type": kind, "call_id": "a", "output": output})),
    ]
}

fn asked() -> impl Strategy<Value = (Dialect, Value)> {
    let system = prop_oneof![
        Just(Value::Null),
        Just(json!(CANARY)),
        // The first entry is left alone (W-44).
        prop::collection::vec(anything(), 0..2).prop_map(|rest| {
            let mut list = vec![json!({"type": "text", "text": "first"})];
            list.extend(rest);
            list.into()
        }),
        Just(json!([{"type": "text", "text": "first"}, {"type": "text", "text": CANARY}])),
    ];
    let list = prop::collection::vec(item(), 1..3);
    (prop::sample::select(Dialect::ALL.to_vec()), system, list).prop_map(|(dialect, system, list)| {
        let body = match dialect {
            Dialect::Messages => json!({"model": "m", "max_tokens": 9, "system": system, "messages": list}),
            Dialect::Chat => json!({"model": "m", "system": system, "messages": list}),
            Dialect::Responses => json!({"model": "m", "instructions": system, "input": list}),
        };
        (dialect, body)
    })
}

/// The first canary that stands where a model reads a text: below these members, and not below reasoning or arguments.
fn left(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains(CANARY).then(|| text.clone()),
        Value::Array(list) => list.iter().find_map(left),
        Value::Object(map) => {
            let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
            if ["thinking", "redacted_thinking", "reasoning", "image", "image_url", "input_image"].contains(&kind) {
                return None;
            }
            let beside = ["input", "arguments", "id", "name"];
            map.iter()
                .filter(|(name, _)| !beside.contains(&name.as_str()) || kind.is_empty())
                .find_map(|(_, value)| left(value))
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_becomes_text_was_seen((from, body) in asked()) {
        let asked = parse(from, &body);
        let edits: Vec<_> = asked.texts().into_iter().map(|slot| (slot.span, "seen".to_owned())).collect();
        let asked = asked.with_texts(&edits);
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            if let Ok(converted) = request(&asked, to, "m") {
                let sent: Value = serde_json::from_slice(&converted.body).unwrap();
                let system = if to == Dialect::Messages { "system" } else { "instructions" };
                let parts = [&sent[system], &sent["messages"], &sent["input"]];
                prop_assert_eq!(parts.into_iter().find_map(left), None, "{} to {}: {}\n{}", from, to, body, sent);
            }
        }
    }
}

#[test]
fn documents_findings_and_compacted_histories_are_read() {
    let content = json!([
        {"type": "document", "title": "t1", "context": "t2", "source": {"type": "text", "data": "t3"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "t4"}]}},
        {"type": "search_result", "title": "t5", "source": "t6", "content": [{"type": "text", "text": "t7"}]},
        {"type": "compaction", "content": "t8"},
        {"type": "mid_conv_system", "content": [{"type": "text", "text": "t9"}]},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}},
    ]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    let asked = parse(Dialect::Messages, &body);
    let seen: Vec<String> = asked.texts().into_iter().map(|slot| slot.text).collect();
    assert_eq!(seen, ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"]);
    let read: Vec<Part> = asked.conversation().into_iter().flat_map(|message| message.parts).collect();
    let text = |text: &str| Part::Text(text.to_owned());
    let expected = [
        text("t1\nt2\nt3"),
        text("t4"),
        text("t5\nt6\nt7"),
        text("t8"),
        text("t9"),
        Part::Other("document".to_owned()),
    ];
    assert_eq!(read, expected);
}

#[test]
fn forms_that_policies_do_not_read_are_refused() {
    let nested = (0..9)
        .fold(json!("deep"), |inner, _| json!([{"type": "document", "source": {"type": "content", "content": inner}}]));
    let say =
        |content: Value| json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]});
    let give = |item: Value| json!({"model": "m", "input": [item]});
    for (from, body, at) in [
        (Dialect::Chat, say(json!(["bare"])), "messages[0].content[0]"),
        (Dialect::Responses, give(json!({"type": "", "role": "user", "content": "x"})), "input[0]"),
        (
            Dialect::Responses,
            give(json!({"type": "function_call_output", "call_id": "c", "output": {"k": "x"}})),
            "input[0].output",
        ),
        (
            Dialect::Responses,
            json!({"model": "m", "input": "hi", "instructions": [{"role": "user", "content": "x"}]}),
            "instructions",
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 9, "system": [{"text": "x"}], "messages": []}),
            "system[0]",
        ),
        (
            Dialect::Messages,
            say(json!([{"type": "search_result", "content": [{"text": "x"}]}])),
            "messages[0].content[0]",
        ),
    ] {
        let refused =
            request(&parse(from, &body), if from == Dialect::Chat { Dialect::Messages } else { Dialect::Chat }, "m");
        assert_eq!(refused.unwrap_err().param.as_deref(), Some(at), "{body}");
    }
    let refused = request(&parse(Dialect::Messages, &say(nested)), Dialect::Chat, "m").unwrap_err();
    assert!(refused.message.contains("nested too deep"), "{refused}");
}
