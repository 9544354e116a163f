//! Reads one level of JSON text at a time and gives slices of it, so that spans are kept and odd texts still read.
//!
//! Made for text that has been checked to be JSON, which it trusts and so only skims; of other text it makes something
//! or nothing, but never panics. Half surrogates, which JavaScript clients send, become U+FFFD. Repeated keys are all given.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr2};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The members of an object, in order: keys decoded, values as JSON text.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// A string, decoded. `None` when `raw` is no JSON string.
pub(crate) fn string(raw: &str) -> Option<String> {
    decoded(raw).map(Cow::into_owned)
}

/// Whether `raw` is this string.
pub(crate) fn is(raw: &str, text: &str) -> bool {
    decoded(raw).is_some_and(|found| found == text)
}

/// The members of an object, repeated ones included. `None` when `raw` is no object.
pub(crate) fn object(raw: &str) -> Option<Members<'_>> {
    let mut scan = Scan::new(raw);
    let mut out = Vec::with_capacity(4);
    if !scan.takes(b'{') {
        return None;
    }
    while !scan.takes(b'}') {
        out.push((scan.key()?, scan.value()?));
        scan.takes(b',');
    }
    Some(out)
}

/// The elements of an array, each as JSON text. `None` when `raw` is no array.
pub(crate) fn array(raw: &str) -> Option<Vec<&str>> {
    let mut scan = Scan::new(raw);
    let mut out = Vec::new();
    if !scan.takes(b'[') {
        return None;
    }
    while !scan.takes(b']') {
        out.push(scan.value()?);
        scan.takes(b',');
    }
    Some(out)
}

fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.trim_ascii().strip_prefix('"')?.strip_suffix('"')?;
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner)).filter(|inner| !inner.contains('"'));
    }
    let text = serde_json::from_str(raw).or_else(|_| serde_json::from_str::<Text>(raw).map(|text| text.0));
    text.ok().map(Cow::Owned)
}

/// Skims JSON text, a value at a time.
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let skip = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.at += skip;
        rest.get(skip).copied()
    }

    /// Goes over this byte if it is next.
    pub(super) fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// A member's key, decoded, and the colon after it.
    pub(super) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = decoded(self.value()?)?;
        self.takes(b':').then_some(key)
    }

    /// The next value, whole.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let bytes = self.text.as_bytes();
        let end = match first {
            b'"' => end_of_string(bytes, self.at)?,
            b'{' | b'[' => end_of_nest(bytes, self.at)?,
            b',' | b':' | b'}' | b']' => return None,
            _ => {
                let over = |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                bytes.iter().skip(self.at).position(over).map_or(bytes.len(), |length| self.at + length)
            }
        };
        let value = self.text.get(self.at..end)?;
        self.at = end;
        Some(value)
    }
}

/// Where the string that starts at `at` ends.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..)?;
        let found = memchr2(b'"', b'\\', rest)?;
        if rest[found] == b'"' {
            return Some(at + found + 1);
        }
        at += found + 2;
    }
}

/// Where the object or array that starts at `at` ends.
fn end_of_nest(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
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

#[cfg(test)]
mod tests;
