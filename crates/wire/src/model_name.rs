//! The model that an answer names: put right where the client asked for it under another name.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::json;
use crate::sse::Frame;

const NAME: &[u8] = b"model";

/// The data of an event, or a whole answer, that names `model` wherever it names the model that answers; `None` where nothing
/// changes. The same in all dialects: it stands at the top, in the `message` that begins, or in the `response`.
pub fn renamed(data: &str, model: &str) -> Option<String> {
    // An escape could hide the name.
    if memmem::find(data.as_bytes(), NAME).is_none() && !data.contains("\\u") {
        return None;
    }
    let mut spans = Vec::new();
    for (key, span) in json::members(data)? {
        match key.as_str() {
            "model" => spans.push(span),
            "message" | "response" => within(data, &span, &mut spans),
            _ => {}
        }
    }
    let name = json::quote(model);
    let other = |span: &Range<usize>| data[span.clone()].starts_with('"') && data[span.clone()] != *name;
    let edits: Vec<(Range<usize>, &str)> = spans.into_iter().filter(other).map(|span| (span, name.as_str())).collect();
    (!edits.is_empty()).then(|| json::splice(data, &edits))
}

fn within(data: &str, outer: &Range<usize>, spans: &mut Vec<Range<usize>>) {
    let members = json::members(&data[outer.clone()]).unwrap_or_default();
    let named = members.into_iter().filter(|(key, _)| key == "model");
    spans.extend(named.map(|(_, span)| outer.start + span.start..outer.start + span.end));
}

/// The frame that names `model`; `None` where nothing changes.
pub fn renamed_frame(frame: &Frame, model: &str) -> Option<Frame> {
    let data = renamed(std::str::from_utf8(frame.data.as_deref()?).ok()?, model)?;
    let raw = Frame::write(std::str::from_utf8(&frame.event).ok()?, &data);
    Some(Frame { raw, event: frame.event.clone(), data: Some(Bytes::from(data)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_named_anew_wherever_an_answer_names_it_and_nowhere_else() {
        let cases = [
            (
                r#"{"type":"message_start","message":{"model": "b","content":[]}}"#,
                r#"{"type":"message_start","message":{"model": "a\"","content":[]}}"#,
            ),
            (
                r#"{"model":"b","choices":[{"delta":{"content":"{\"model\":\"b\"}"}}]}"#,
                r#"{"model":"a\"","choices":[{"delta":{"content":"{\"model\":\"b\"}"}}]}"#,
            ),
            (
                r#"{"response":{"id":"r","model":"b","tools":[{"model":"b"}]},"n":1}"#,
                r#"{"response":{"id":"r","model":"a\"","tools":[{"model":"b"}]},"n":1}"#,
            ),
            (r#"{"mod\u0065l":"b"}"#, r#"{"mod\u0065l":"a\""}"#),
        ];
        for (data, expected) in cases {
            assert_eq!(renamed(data, "a\"").as_deref(), Some(expected));
        }
        for data in [
            r#"{"model":"a\""}"#,
            r#"{"model":null}"#,
            r#"{"delta":{"model":"b"}}"#,
            "[DONE]",
            r#"{"message":"model"}"#,
        ] {
            assert_eq!(renamed(data, "a\""), None, "{data}");
        }
    }
}
