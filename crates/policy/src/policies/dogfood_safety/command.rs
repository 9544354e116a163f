//! The command in a shell tool's arguments, in the readings that a shell may give it.

use luthien_wire::turn::ToolCall;
use serde_json::Value;

use super::variables;

/// The texts to look at: the command as written, with its variables put in, and as a shell reads it without quotes and
/// escapes.
pub(super) fn readings(call: &ToolCall) -> Vec<String> {
    let mut readings = vec![shown(call)];
    match &call.arguments {
        // A tool may take a program and its arguments in fields of their own.
        Ok(arguments) => readings.push(parts(arguments).join(" ")),
        Err(_) => readings.push(unescaped(&call.raw)),
    }
    readings.dedup();
    // Twice, since a variable may hold another.
    let once: Vec<String> = readings.iter().filter_map(|text| variables::put_in(text)).collect();
    let twice: Vec<String> = once.iter().filter_map(|text| variables::put_in(text)).collect();
    readings.extend(once);
    readings.extend(twice);
    let bare: Vec<String> = readings.iter().map(|text| without_quoting(text)).collect();
    readings.extend(bare);
    readings
}

/// The command for people: every text in the arguments but the description, or all of them raw where they are no JSON.
pub(super) fn shown(call: &ToolCall) -> String {
    call.arguments.as_ref().map_or_else(|_| call.raw.clone(), |arguments| parts(arguments).join("\n"))
}

/// The texts of each field. Tools name theirs `command`, `cmd`, `script`…: which one a tool reads is not ours to guess.
fn parts(arguments: &Value) -> Vec<String> {
    let mut parts = Vec::new();
    match arguments.as_object() {
        Some(object) => {
            for (_, value) in object.iter().filter(|(key, _)| *key != "description") {
                texts(value, &mut parts);
            }
        }
        None => texts(arguments, &mut parts),
    }
    parts
}

/// Collects the texts in `value`; a list of texts is one command with its arguments.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => {
            let mut words = Vec::new();
            for item in items {
                texts(item, &mut words);
            }
            out.push(words.join(" "));
        }
        Value::Object(object) => {
            for item in object.values() {
                texts(item, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Broken JSON text with the escapes of its strings undone, as far as they are whole.
fn unescaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'r') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let digits: String = chars.clone().take(4).collect();
                match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                    Some(decoded) => {
                        out.push(decoded);
                        chars.nth(3);
                    }
                    None => out.push('u'),
                }
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The text with a shell's line continuations joined and its quotes and backslashes gone.
fn without_quoting(text: &str) -> String {
    text.replace("\\\n", " ").replace("\\\r\n", " ").replace(['"', '\'', '\\'], "")
}
