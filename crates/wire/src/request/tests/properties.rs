//! What holds for every request.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::request::{Request, RequestKind};

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = vec((key(), inner.clone()), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "(type|text|content|role|source|data|refusal|tool_calls|system|name|input|is_error|output|stdout|summary)"
            .prop_map(String::from),
        ".{0,6}",
    ]
}

fn block() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,20}".prop_map(|text| json!({"type": "text", "text": text})),
        (".{0,9}", any::<bool>()).prop_map(
            |(text, bad)| json!({"type": "tool_result", "tool_use_id": "t", "content": text, "is_error": bad})
        ),
        ".{0,9}".prop_map(
            |text| json!({"type": "tool_result", "content": [{"type": "text", "text": text}, {"type": "image"}]})
        ),
        ".{0,9}".prop_map(|text| json!({"type": "thinking", "thinking": text, "signature": "s"})),
        ".{0,9}".prop_map(|text| json!({"type": "input_text", "text": text})),
        ".{0,9}".prop_map(|text| json!({"stdout": text, "stderr": "", "outcome": {"type": "timeout"}})),
        anything().prop_map(|input| json!({"type": "tool_use", "id": "t", "name": "n", "input": input})),
        anything(),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = "(user|assistant|system|developer|tool|function|odd)";
    prop_oneof![
        (role, ".{0,20}").prop_map(|(role, text)| json!({"role": role, "content": text})),
        (role, vec(block(), 0..4), anything())
            .prop_map(|(role, blocks, extra)| json!({"output_config": extra, "role": role, "content": blocks})),
        item(),
        anything(),
    ]
}

/// An item that is no message.
fn item() -> impl Strategy<Value = Value> {
    let kind = "(function_call|custom_tool_call|mcp_call|shell_call|reasoning|message|item_reference|odd)(_output)?";
    let output = prop_oneof![".{0,20}".prop_map(Value::from), vec(block(), 0..4).prop_map(Value::from), anything()];
    (kind, output, anything()).prop_map(|(kind, output, extra)| {
        json!({"type": kind, "output": output, "call_id": "c", "arguments": "{}", "summary": extra})
    })
}

/// A request in a dialect, packed or laid out.
fn asked() -> impl Strategy<Value = (Dialect, String)> {
    let system =
        prop_oneof![Just(Value::Null), ".{0,9}".prop_map(Value::from), vec(block(), 0..3).prop_map(Value::from)];
    let single = prop::option::weighted(0.2, ".{0,20}");
    (dialect(), vec(message(), 0..5), single, system, ".{1,8}", anything(), any::<[bool; 3]>()).prop_map(
        |(dialect, messages, single, system, model, extra, [stream, late, pretty])| {
            let (key, instructions, single) = match dialect {
                Dialect::Responses => ("input", "instructions", single),
                Dialect::Messages | Dialect::Chat => ("messages", "system", None),
            };
            let messages = single.map_or_else(|| messages.into(), Value::from);
            let mut body = Map::new();
            if late {
                body.insert("metadata".to_owned(), extra);
                body.insert(key.to_owned(), messages);
                body.insert("model".to_owned(), model.into());
            } else {
                body.insert("model".to_owned(), model.into());
                body.insert(key.to_owned(), messages);
                body.insert("extra".to_owned(), extra);
            }
            body.insert(instructions.to_owned(), system);
            body.insert("max_tokens".to_owned(), 9.into());
            body.insert("stream".to_owned(), stream.into());
            let body = Value::Object(body);
            (dialect, if pretty { format!("{body:#}") } else { body.to_string() })
        },
    )
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Messages), Just(Dialect::Chat), Just(Dialect::Responses)]
}

fn read(dialect: Dialect, body: &str) -> Request {
    Request::parse(dialect, RequestKind::Turn, Bytes::copy_from_slice(body.as_bytes())).expect("a request")
}

/// The spans that an edit moved along are those that reading the new body finds.
fn assert_as_if_read_anew(request: &Request) -> Result<(), TestCaseError> {
    let anew = read(request.dialect(), request.text());
    prop_assert_eq!(anew.message_spans(), request.message_spans());
    prop_assert_eq!(&anew.members, &request.members);
    prop_assert_eq!(anew.model(), request.model());
    Ok(())
}

proptest! {
    #[test]
    fn nothing_makes_reading_panic(dialect in dialect(), body in vec(any::<u8>(), 0..200)) {
        let read = Request::parse(dialect, RequestKind::Turn, body.into());
        prop_assert!(read.is_err());
    }

    #[test]
    fn a_damaged_body_is_read_or_refused((dialect, body) in asked(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(request) = Request::parse(dialect, RequestKind::Turn, bytes.into()) {
            let texts = request.texts();
            prop_assert!(texts.iter().all(|slot| request.text().get(slot.span.clone()).is_some()));
            prop_assert!(request.conversation().len() >= request.message_count());
        }
    }

    #[test]
    fn spans_are_those_of_the_values((dialect, body) in asked()) {
        let request = read(dialect, &body);
        let value: Value = serde_json::from_str(&body).expect("json");
        for (key, member) in value.as_object().expect("an object") {
            let raw = request.raw(key).expect("a member");
            prop_assert_eq!(&serde_json::from_str::<Value>(raw).expect("json"), member);
        }
        let messages = match dialect {
            Dialect::Messages | Dialect::Chat => &value["messages"],
            Dialect::Responses => &value["input"],
        };
        let messages = messages.as_array().map_or(std::slice::from_ref(messages), Vec::as_slice);
        prop_assert_eq!(messages.len(), request.message_count());
        for (span, message) in request.message_spans().iter().zip(messages) {
            prop_assert_eq!(&serde_json::from_str::<Value>(&body[span.clone()]).expect("json"), message);
        }
    }

    #[test]
    fn another_model_changes_its_span_alone((dialect, body) in asked(), model in ".{0,20}") {
        let request = read(dialect, &body);
        let span = request.span("model").expect("a model");
        let other = request.with_model(&model);
        prop_assert_eq!(other.model(), &model);
        prop_assert_eq!(&other.text()[..span.start], &body[..span.start]);
        prop_assert!(other.text().ends_with(&body[span.end..]));
        assert_as_if_read_anew(&other)?;
    }

    #[test]
    fn edits_change_their_spans_alone((dialect, body) in asked(), wanted in vec(prop::option::of(".{0,20}"), 24)) {
        let request = read(dialect, &body);
        let slots = request.texts();
        let edits: Vec<_> = slots
            .iter()
            .zip(&wanted)
            .filter_map(|(slot, new)| new.clone().map(|new| (slot.span.clone(), new)))
            .collect();
        let edited = request.with_texts(&edits);
        assert_as_if_read_anew(&edited)?;
        let before = edits.first().map_or(body.len(), |(span, _)| span.start);
        prop_assert_eq!(&edited.text()[..before], &body[..before]);

        // What stands between the edits is there in order, byte for byte, and the new texts between.
        let now = edited.texts();
        prop_assert_eq!(now.len(), slots.len());
        let (mut old_at, mut new_at) = (0, 0);
        for (number, (was, is)) in slots.iter().zip(&now).enumerate() {
            prop_assert_eq!(&body[old_at..was.span.start], &edited.text()[new_at..is.span.start]);
            prop_assert_eq!(&is.place, &was.place);
            let new = wanted.get(number).and_then(Clone::clone).unwrap_or_else(|| was.text.clone());
            prop_assert_eq!(&is.text, &new);
            (old_at, new_at) = (was.span.end, is.span.end);
        }
        prop_assert_eq!(&body[old_at..], &edited.text()[new_at..]);
        let again = request.with_texts(&edits);
        prop_assert_eq!(again.body(), edited.body());
    }
}
