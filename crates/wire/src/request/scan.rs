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

/// The same for Responses.
const READ_RESPONSES: [&str; 17] = [
    "model",
    "input",
    "instructions",
    "prompt",
    "previous_response_id",
    "conversation",
    "store",
    "background",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "max_output_tokens",
    "metadata",
    "prompt_cache_key",
];

/// What may stand in place of `input`: the vendor knows what was said.
const INSTEAD_OF_INPUT: [&str; 3] = ["prompt", "previous_response_id", "conversation"];

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

/// Notes the spans of the top-level members and of the messages (Responses: of what is in `input`).
pub(super) fn scan(dialect: Dialect, text: &str) -> Result<Found, RequestError> {
    let found = Found { members: Vec::with_capacity(16), messages: Vec::new() };
    let mut top = Top { text, found, input: dialect == Dialect::Responses, in_messages: false };
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
    let read: &[&str] = if dialect == Dialect::Responses { &READ_RESPONSES } else { &READ };
    for name in read {
        if members.iter().filter(|(key, _)| key == name).count() > 1 {
            return Err(RequestError::field(name, "given more than once"));
        }
    }
    for (key, _) in members {
        // Some servers read names without regard to case: to them this is the field, said again or said unseen.
        if let Some(name) = read.iter().find(|name| key != *name && folded(key) == **name) {
            return Err(RequestError::field(name, &format!("given as `{key}`, which servers read differently")));
        }
    }
    let raw = |name: &str| {
        let value = members.iter().find(|(key, _)| key == name).and_then(|(_, span)| text.get(span.clone()));
        value.filter(|value| *value != "null")
    };
    let model = match raw("model") {
        Some(model) => walk::string(model).ok_or_else(|| RequestError::field("model", "must be a string"))?,
        // A stored prompt brings its own.
        None if dialect == Dialect::Responses && raw("prompt").is_some() => String::new(),
        None => return Err(RequestError::field("model", "field required")),
    };
    if dialect == Dialect::Responses {
        input(&raw)?;
    } else if raw("messages").is_none() {
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
        (Dialect::Messages, RequestKind::CountTokens | RequestKind::Compact) => {
            raw("max_tokens").and_then(whole_number)
        }
        (Dialect::Responses, _) => raw("max_output_tokens").and_then(whole_number),
        (Dialect::Chat, _) => {
            raw("max_completion_tokens").and_then(whole_number).or_else(|| raw("max_tokens").and_then(whole_number))
        }
    };
    Ok(Fields { model, stream, max_tokens })
}

/// `input` is a string or an array, or there is something in its place.
fn input<'t>(raw: &impl Fn(&str) -> Option<&'t str>) -> Result<(), RequestError> {
    match raw("input") {
        Some(input) if input.starts_with(['"', '[']) => Ok(()),
        Some(_) => Err(RequestError::field("input", "must be a string or an array")),
        None if INSTEAD_OF_INPUT.iter().any(|name| raw(name).is_some()) => Ok(()),
        None => Err(RequestError::field("input", "field required")),
    }
}

/// A name as Go's servers compare it: by its lower case, with the two letters beyond ASCII that fold into it.
fn folded(name: &str) -> String {
    let fold = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
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
    /// The conversation stands in `input`, not in `messages`.
    input: bool,
    in_messages: bool,
}

impl Top<'_> {
    fn span(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + part.len()
    }

    /// The items of an `input`; a string is one.
    fn items(&self, input: &str) -> Vec<Range<usize>> {
        if input.starts_with('"') {
            return vec![self.span(input)];
        }
        walk::array(input).unwrap_or_default().into_iter().map(|item| self.span(item)).collect()
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
            if self.input || key != "messages" {
                let value: &RawValue = map.next_value()?;
                let span = self.span(value.get());
                if self.input && key == "input" {
                    self.found.messages = self.items(value.get());
                }
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
