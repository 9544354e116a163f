//! The one scan over a body: where its members and messages stand, and the few fields that the gateway needs.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::walk::{self, Text};
use super::{RequestError, RequestKind};
use crate::dialect::Dialect;

/// Fields that the gateway or a policy reads: said twice, two readers could take different values.
const READ: [&str; 16] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "system",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "metadata",
    "prompt_cache_key",
    "thinking",
    "thread",
    "n",
];

/// Where things stand in a body.
pub(super) struct Found {
    pub(super) members: Vec<(String, Range<usize>)>,
    pub(super) messages: Vec<Range<usize>>,
}

/// The fields every request is asked for.
pub(super) struct Fields {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) max_tokens: Option<u64>,
}

/// Notes the spans of the top-level members and of the messages.
pub(super) fn scan(text: &str) -> Result<Found, RequestError> {
    let mut top =
        Top { text, found: Found { members: Vec::with_capacity(16), messages: Vec::new() }, in_messages: false };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(&mut top).and_then(|()| reader.end());
    match read.map_err(|error| (error.classify(), error)) {
        Ok(()) => Ok(top.found),
        Err((Category::Data, _)) if top.in_messages => Err(RequestError::field("messages", "must be an array")),
        Err((Category::Data, _)) => Err(RequestError::whole("the body must be a JSON object".to_owned())),
        Err((_, error)) => Err(RequestError::whole(format!("the body is not valid JSON: {error}"))),
    }
}

/// Reads the fields that the gateway needs and names the one that is wrong.
pub(super) fn fields(
    dialect: Dialect,
    kind: RequestKind,
    text: &str,
    members: &[(String, Range<usize>)],
) -> Result<Fields, RequestError> {
    for name in READ {
        if members.iter().filter(|(key, _)| key == name).count() > 1 {
            return Err(RequestError::field(name, "given more than once"));
        }
    }
    let raw = |name: &str| {
        let value = members.iter().find(|(key, _)| key == name).and_then(|(_, span)| text.get(span.clone()));
        value.filter(|value| *value != "null")
    };
    let model = raw("model").ok_or_else(|| RequestError::field("model", "field required"))?;
    let model = walk::string(model).ok_or_else(|| RequestError::field("model", "must be a string"))?;
    if raw("messages").is_none() {
        return Err(RequestError::field("messages", "field required"));
    }
    let stream = match raw("stream") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(RequestError::field("stream", "must be true or false")),
    };
    let max_tokens = match (dialect, kind) {
        (Dialect::Messages, RequestKind::Turn) => {
            let raw = raw("max_tokens").ok_or_else(|| RequestError::field("max_tokens", "field required"))?;
            Some(
                whole_number(raw)
                    .ok_or_else(|| RequestError::field("max_tokens", "must be a whole number, 0 or more"))?,
            )
        }
        (Dialect::Messages, RequestKind::CountTokens) => raw("max_tokens").and_then(whole_number),
        (Dialect::Responses, _) => raw("max_output_tokens").and_then(whole_number),
        (Dialect::Chat, _) => {
            raw("max_completion_tokens").and_then(whole_number).or_else(|| raw("max_tokens").and_then(whole_number))
        }
    };
    Ok(Fields { model, stream, max_tokens })
}

/// A count; `4096.0`, as some clients write it, included.
fn whole_number(raw: &str) -> Option<u64> {
    let digits = match raw.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|byte| byte == b'0') => whole,
        _ => raw,
    };
    digits.parse().ok()
}

struct Top<'t> {
    text: &'t str,
    found: Found,
    in_messages: bool,
}

impl Top<'_> {
    fn span(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.len()
    }

    /// The span of the array whose elements were just read: its bracket is the first one after the member before it.
    fn around(&self, elements: &[Range<usize>]) -> Range<usize> {
        let after = |at: usize, bracket: char| self.text[at..].find(bracket).map_or(at, |found| at + found);
        let start = after(self.found.members.last().map_or(0, |(_, span)| span.end), '[');
        let end = after(elements.last().map_or(start, |last| last.end), ']');
        start..end + 1
    }
}

impl<'de> Visitor<'de> for &mut Top<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            if key != "messages" {
                let value: &RawValue = map.next_value()?;
                let span = self.span(value.get());
                self.found.members.push((key, span));
                continue;
            }
            self.in_messages = true;
            let elements: Elements<'de> = map.next_value()?;
            self.in_messages = false;
            let spans: Vec<Range<usize>> = elements.0.iter().map(|element| self.span(element.get())).collect();
            let whole = self.around(&spans);
            self.found.members.push((key, whole));
            self.found.messages = spans;
        }
        Ok(())
    }
}

/// An array's elements; anything else is an error of type, not of syntax.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<&'de RawValue>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::with_capacity(32);
                while let Some(element) = seq.next_element()? {
                    out.push(element);
                }
                Ok(out)
            }
        }
        reader.deserialize_seq(All).map(Elements)
    }
}
