//! Keeps what is told short: long texts, long lists and deep trees are cut, and say so.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// The most bytes of an event's data, as JSON. With the envelope an event stays under 4 KiB.
const DATA: usize = 3500;

/// The most bytes of a name: a session's, a model's, an event type's.
pub(crate) const NAME: usize = 200;

/// The most bytes of a text such as an error or a preview.
pub(crate) const TEXT: usize = 400;

/// How much is left of what is too long: bytes of a text, entries of a list or an object, levels.
struct Measure {
    text: usize,
    entries: usize,
    depth: usize,
}

/// Tried in this order until the whole fits.
const MEASURES: [Measure; 3] = [
    Measure { text: TEXT, entries: 24, depth: 6 },
    Measure { text: 100, entries: 8, depth: 4 },
    Measure { text: 40, entries: 6, depth: 2 },
];

/// The text, or its beginning with the number of bytes that were left out. At most 30 bytes longer than `most`.
pub(crate) fn short(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    Cow::Owned(format!("{kept}… ({} more bytes)", text.len() - kept.len()))
}

/// The data, cut so far that it fits.
pub(crate) fn fitted(data: Value) -> Value {
    if size(&data) <= DATA {
        return data;
    }
    let cuts = MEASURES.iter().map(|measure| cut(&data, measure, 0));
    let mut fitting = cuts.filter(|cut| size(cut) <= DATA);
    fitting.next().unwrap_or_else(|| json!({"cut": "this event is too large to be told; the record has it"}))
}

fn size(data: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, data);
    count.0
}

fn cut(value: &Value, measure: &Measure, depth: usize) -> Value {
    match value {
        Value::String(text) => Value::String(short(text, measure.text).into_owned()),
        Value::Array(_) | Value::Object(_) if depth == measure.depth => Value::String("…".to_owned()),
        Value::Array(entries) => {
            let mut kept: Vec<Value> =
                entries.iter().take(measure.entries).map(|entry| cut(entry, measure, depth + 1)).collect();
            if entries.len() > kept.len() {
                kept.push(Value::String(format!("… ({} more)", entries.len() - kept.len())));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            let keep = members.iter().take(measure.entries);
            let mut kept: Map<String, Value> =
                keep.map(|(key, value)| (short(key, NAME).into_owned(), cut(value, measure, depth + 1))).collect();
            if members.len() > kept.len() {
                let more = members.len() - kept.len();
                kept.insert("…".to_owned(), Value::String(format!("{more} more")));
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,2000}".prop_map(Value::String),
            "[\\x00-\\x1f\"\\\\]{0,900}".prop_map(Value::String),
        ];
        leaf.prop_recursive(8, 200, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::Array),
                prop::collection::vec((".{0,300}", inner), 0..40)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_bounded(data in any_json()) {
            let before = data.to_string().len();
            let told = fitted(data.clone());
            prop_assert!(told.to_string().len() <= DATA);
            prop_assert!(before > DATA || told == data);
        }
    }

    #[test]
    fn a_cut_is_visible() {
        let told = fitted(json!({"text": "a".repeat(5000), "list": vec!["b"; 30], "kept": 1}));
        assert_eq!(told["text"], format!("{}… (4600 more bytes)", "a".repeat(400)));
        assert_eq!(told["list"][24], "… (6 more)");
        assert_eq!(told["kept"], 1);
    }

    #[test]
    fn a_text_is_cut_between_its_letters() {
        assert_eq!(short("äöü", 3), "ä… (4 more bytes)");
        assert_eq!(short("äöü", 6), "äöü");
    }
}
