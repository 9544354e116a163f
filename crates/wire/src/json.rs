//! Reading and editing JSON text in place: spans of members, splices, and a parser that refuses duplicate keys.
//!
//! Nothing here re-serialises what it does not change: an edit replaces a byte range and leaves the rest.

use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::turn::Unreadable;

/// The members of an object, in order, duplicates included, each with the span of its value in `text`.
///
/// `None` when `text` is not one JSON object.
pub fn members(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(entry) = map.next_entry()? {
                out.push(entry);
            }
            Ok(out)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(found.into_iter().map(|(key, raw)| (key, span_in(text, raw.get()))).collect())
}

/// The elements of an array, each with its span in `text`. `None` when `text` is not one JSON array.
pub fn elements(text: &str) -> Option<Vec<Range<usize>>> {
    let found: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(found.into_iter().map(|raw| span_in(text, raw.get())).collect())
}

/// The span of the value of `key` in the object `text`: the last one, as most readers take it.
pub fn member(text: &str, key: &str) -> Option<Range<usize>> {
    members(text)?.into_iter().rev().find(|(k, _)| k == key).map(|(_, span)| span)
}

/// One step into a JSON text.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Into an object's member.
    Key(&'a str),
    /// Into an array's element.
    Index(usize),
}

/// The span of the value at `path`, if it is there.
pub fn find(text: &str, path: &[Step<'_>]) -> Option<Range<usize>> {
    let mut span = 0..text.len();
    for step in path {
        let here = &text[span.clone()];
        let inner = match step {
            Step::Key(key) => member(here, key)?,
            Step::Index(index) => elements(here)?.get(*index)?.clone(),
        };
        span = span.start + inner.start..span.start + inner.end;
    }
    Some(span)
}

/// `text` with the value at `path` replaced by the JSON text `value`; `None` when nothing is there.
pub fn replace(text: &str, path: &[Step<'_>], value: &str) -> Option<String> {
    let span = find(text, path)?;
    Some(splice(text, &[(span, value)]))
}

/// `text` with each range replaced. Ranges must be in order and must not overlap.
pub(crate) fn splice(text: &str, edits: &[(Range<usize>, impl AsRef<str>)]) -> String {
    let grown: usize = edits.iter().map(|(_, new)| new.as_ref().len()).sum();
    let mut out = String::with_capacity(text.len() + grown);
    let mut at = 0;
    for (span, new) in edits {
        out.push_str(&text[at..span.start]);
        out.push_str(new.as_ref());
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// `text` with `key` set in the object at `path`: replaced where it is, else added at the end; `None` when there is no object.
pub(crate) fn set(text: &str, path: &[Step<'_>], key: &str, value: &str) -> Option<String> {
    let full = [path, &[Step::Key(key)]].concat();
    if let Some(out) = replace(text, &full, value) {
        return Some(out);
    }
    let object = find(text, path)?;
    let inside = text[object.clone()].trim_end().strip_suffix('}')?.trim_end();
    let comma = if inside.ends_with('{') { "" } else { "," };
    let grown = format!("{inside}{comma}{}:{value}}}", quote(key));
    Some(splice(text, &[(object, grown)]))
}

/// `text` without the member `key`, its comma included; `None` when it is not there.
pub fn remove(text: &str, path: &[Step<'_>], key: &str) -> Option<String> {
    let object = find(text, path)?;
    let inside = &text[object.clone()];
    let value = member(inside, key)?;
    let before = inside[..value.start].trim_end().strip_suffix(':')?.trim_end();
    // The key's literal ends at its closing quote; its opening one is the last before it that no backslash escapes.
    let literal = before.strip_suffix('"')?;
    let open = literal.char_indices().rev().find(|(at, c)| *c == '"' && !escaped(literal, *at))?.0;
    let (mut from, mut to) = (open, value.end);
    let head = inside[..from].trim_end();
    let tail = &inside[to..];
    if head.ends_with(',') {
        from = head.len() - 1;
    } else if tail.trim_start().starts_with(',') {
        to += tail.len() - tail.trim_start().len() + 1;
    }
    Some(splice(text, &[(object.start + from..object.start + to, "")]))
}

fn escaped(text: &str, at: usize) -> bool {
    text[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// `text` as a JSON string literal.
pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// Parses `text`, refusing objects with a repeated key: two readers could take different values.
pub fn parse_strict(text: &str) -> Result<Value, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => Unreadable::CutOff,
        serde_json::error::Category::Data => Unreadable::DuplicateKeys,
        _ => Unreadable::NotJson,
    })
}

/// The span of `part`, which must be a slice of `text`.
pub(crate) fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = seq.next_element_seed(Strict)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if out.contains_key(&key) {
                return Err(de::Error::custom("repeated key"));
            }
            let value = map.next_value_seed(Strict)?;
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests;
