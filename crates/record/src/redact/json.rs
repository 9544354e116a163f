//! Finding in JSON: in its texts as they read, not as they are written, and in a member's name and value together.

use serde_json::Value;

use super::{MARK, Redactor};

/// How deeply texts that are JSON themselves are read.
const DEEPEST: usize = 3;

/// A JSON text with what was found replaced; the rest keeps its bytes. `None` where nothing was found.
pub(super) fn redacted(redactor: &Redactor, text: &str) -> Option<String> {
    within(redactor, text, 0)
}

fn within(redactor: &Redactor, text: &str, depth: usize) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    // The name of the member whose value comes next.
    let mut name: Option<String> = None;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let (end, new) = match byte {
            b'"' => {
                let end = string_end(bytes, at);
                let Ok(value) = serde_json::from_str::<String>(&text[at..end]) else {
                    at = end;
                    continue;
                };
                let is_name = bytes[end..].trim_ascii_start().first() == Some(&b':');
                let new = string(redactor, &value, name.take().as_deref().filter(|_| !is_name), depth);
                name = is_name.then_some(value);
                (end, new)
            }
            b'-' | b'0'..=b'9' => {
                let end = at + bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                (end, number(redactor, &text[at..end], name.take().as_deref()))
            }
            b':' | b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => {
                name = None;
                at += 1;
                continue;
            }
        };
        if let Some(new) = new {
            out.push_str(&text[copied..at]);
            out.push_str(&Value::String(new).to_string());
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Behind the quote that ends the string which begins at `from`, or the end of the text.
fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A text, the value of a member of this name if it is one.
fn string(redactor: &Redactor, value: &str, name: Option<&str>, depth: usize) -> Option<String> {
    let inner = (depth < DEEPEST && value.trim_start().starts_with(['{', '[']))
        .then(|| within(redactor, value, depth + 1))
        .flatten();
    let mut text = inner.unwrap_or_else(|| value.to_owned());
    redactor.text_in(&mut text);
    if let Some(name) = name {
        let before = format!("\"{name}\":\"");
        let whole = format!("{before}{text}\"");
        let ranges: Vec<_> = redactor
            .found(&whole)
            .into_iter()
            .map(|range| {
                range.start.saturating_sub(before.len())..range.end.saturating_sub(before.len()).min(text.len())
            })
            .filter(|range| range.start < range.end)
            .collect();
        if !ranges.is_empty() {
            text = super::replaced(&text, &ranges);
        }
    }
    (text != value).then_some(text)
}

/// A number, alone and with the name of its member.
fn number(redactor: &Redactor, text: &str, name: Option<&str>) -> Option<String> {
    let alone = !redactor.found(text).is_empty();
    let named = || {
        let before = format!("\"{}\":", name.unwrap_or_default());
        let found = redactor.found(&format!("{before}{text}"));
        name.is_some() && found.iter().any(|range| range.end > before.len())
    };
    (alone || named()).then(|| MARK.to_owned())
}

/// The same in a value that has been read. True if anything was found.
pub(super) fn value(redactor: &Redactor, value: &mut Value, name: Option<&str>) -> bool {
    match value {
        Value::String(text) => match string(redactor, text, name, 0) {
            Some(redacted) => {
                *text = redacted;
                true
            }
            None => false,
        },
        Value::Number(digits) => match number(redactor, &digits.to_string(), name) {
            Some(redacted) => {
                *value = Value::String(redacted);
                true
            }
            None => false,
        },
        Value::Array(items) => {
            let mut found = false;
            for item in items {
                found |= self::value(redactor, item, None);
            }
            found
        }
        Value::Object(members) => {
            let mut found = false;
            for (name, member) in members.iter_mut() {
                found |= self::value(redactor, member, Some(name));
            }
            if members.keys().any(|name| !redactor.found(name).is_empty()) {
                let renamed = std::mem::take(members).into_iter();
                *members = renamed.map(|(name, member)| (redactor.text(&name).into_owned(), member)).collect();
                found = true;
            }
            found
        }
        Value::Null | Value::Bool(_) => false,
    }
}
