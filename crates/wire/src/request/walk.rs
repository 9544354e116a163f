//! Reads one level of JSON text at a time and gives slices of it, so that spans are kept and odd texts still read.
//!
//! Half surrogates, which JavaScript clients send, become U+FFFD instead of an error; repeated keys are all given.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A string, decoded. `None` when `raw` is no JSON string.
pub(crate) fn string(raw: &str) -> Option<String> {
    let raw = raw.trim_ascii_start();
    if !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text>(raw).ok().map(|text| text.0)
}

/// The members of an object, repeated ones included, each with the JSON text of its value.
pub(crate) fn object(raw: &str) -> Option<Vec<(String, &str)>> {
    if !raw.trim_ascii_start().starts_with('{') {
        return None;
    }
    let members: Members<'_> = serde_json::from_str(raw).ok()?;
    Some(members.0.into_iter().map(|(key, value)| (key.0, value.get())).collect())
}

/// The elements of an array, each as JSON text.
pub(crate) fn array(raw: &str) -> Option<Vec<&str>> {
    if !raw.trim_ascii_start().starts_with('[') {
        return None;
    }
    let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// A decoded string, as a value or a key.
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Lenient;
        impl Visitor<'_> for Lenient {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // Asked for bytes, the reader lets half surrogates through.
        reader.deserialize_bytes(Lenient)
    }
}

struct Members<'a>(Vec<(Text, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(Text, &'de RawValue)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    out.push(entry);
                }
                Ok(out)
            }
        }
        reader.deserialize_map(All).map(Members)
    }
}
