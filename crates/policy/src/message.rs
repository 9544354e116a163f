//! The words that people and models read about a block: templates, readable arguments, bounded lengths.

use luthien_wire::turn::ToolCall;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent is told about a block. One that learns the reason can try again around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Feedback {
    /// That something was blocked.
    None,
    /// The tool's name, and that a policy blocked it.
    #[default]
    Constant,
    /// The kind of harm, too.
    Category,
    /// All that the policy can say: rule or template, what was seen, why.
    Full,
}

/// The most characters of arguments or reasons that a message shows.
pub(crate) const SHOWN: usize = 4000;

/// `template` with each `{name}` replaced by its value, in one pass, so that a value's own braces stay text.
///
/// `{name:.2f}` rounds a number; `{{` and `}}` are braces. Names that are not in `values` stay as they are.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            out.push_str(&rest[..1]);
            rest = &rest[2..];
        } else if let Some((value, used)) = placeholder(rest, values) {
            out.push_str(&value);
            rest = &rest[used..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// The value of the placeholder that `text` begins with, and its length.
fn placeholder(text: &str, values: &[(&str, &str)]) -> Option<(String, usize)> {
    let inner = text.strip_prefix('{')?;
    let end = inner.find('}')?;
    let (name, format) = inner[..end].split_once(':').unwrap_or((&inner[..end], ""));
    let (_, value) = values.iter().find(|(key, _)| *key == name)?;
    let digits = format.strip_prefix('.').and_then(|f| f.strip_suffix('f')).and_then(|n| n.parse::<u8>().ok());
    let shown = match (digits, value.parse::<f64>()) {
        (Some(digits), Ok(number)) => format!("{number:.*}", usize::from(digits)),
        _ => (*value).to_owned(),
    };
    Some((shown, end + 2))
}

/// A tool's name as a message may show it. A model can call a tool whatever it likes: only what names are made of is shown,
/// so that no words get out by way of a name.
pub(crate) fn tool_name(name: &str) -> String {
    const MOST: usize = 64;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    if !name.is_empty() && name.len() <= MOST && name.chars().all(is_name) {
        name.to_owned()
    } else {
        "(not a name)".to_owned()
    }
}

/// A call's arguments for people: indented JSON whose strings keep their line breaks, or the raw text where it is no JSON.
pub(crate) fn readable_arguments(call: &ToolCall) -> String {
    let pretty = call.arguments.as_ref().ok().and_then(|value| serde_json::to_string_pretty(value).ok());
    clip(&pretty.map_or_else(|| call.raw.clone(), |json| with_line_breaks(&json)), SHOWN)
}

/// JSON text with the escapes of line breaks and tabs written out.
fn with_line_breaks(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(other) => out.extend([c, other]),
            None => out.push(c),
        }
    }
    out
}

/// The first `most` characters of `text`, and how many more there are.
pub(crate) fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
    }
}

#[cfg(test)]
mod tests;
