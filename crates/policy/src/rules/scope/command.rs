//! Which tools are shells, and the command that a call gives them.

use std::borrow::Cow;

use luthien_wire::turn::ToolCall;
use serde_json::Value;

/// Names of shell tools in the agents that are in use; compared in any case.
const TOOLS: &[&str] = &[
    "bash",
    "sh",
    "shell",
    "shell_call",
    "local_shell",
    "local_shell_call",
    "container.exec",
    "terminal",
    "execute",
    "exec",
    "exec_command",
    "run_command",
    "execute_command",
    "run_shell_command",
    "run_terminal_cmd",
    "run_in_terminal",
    "shell_command",
    "powershell",
    "write_stdin",
    "unified_exec",
];

/// Where such tools take their command, in the order of preference.
const FIELDS: &[&str] = &["command", "cmd", "commands", "script", "code", "chars", "input"];

/// The command of a shell tool: what a shell would read.
pub(super) fn of(call: &ToolCall) -> Option<Cow<'_, str>> {
    in_arguments(&call.name, call.arguments.as_ref().ok()?)
}

/// The same for a call by its tool and arguments.
pub(super) fn in_arguments<'a>(tool: &str, arguments: &'a Value) -> Option<Cow<'a, str>> {
    match given(tool, arguments)? {
        Given::Text(text) => Some(Cow::Borrowed(text)),
        Given::Lines(lines) => Some(Cow::Owned(texts(lines)?.collect::<Vec<_>>().join("\n"))),
        // As one would type it.
        Given::Words(words) => Some(Cow::Owned(texts(words)?.map(quoted).collect::<Vec<_>>().join(" "))),
    }
}

/// A program with its arguments, where a shell tool is given these.
pub(super) fn argv(call: &ToolCall) -> Option<Vec<String>> {
    match given(&call.name, call.arguments.as_ref().ok()?)? {
        Given::Words(words) => texts(words).map(|words| words.map(str::to_owned).collect()),
        Given::Text(_) | Given::Lines(_) => None,
    }
}

/// What a shell tool is given.
enum Given<'a> {
    Text(&'a str),
    /// Commands, one after the other.
    Lines(&'a Value),
    /// A program and its arguments.
    Words(&'a Value),
}

fn given<'a>(tool: &str, arguments: &'a Value) -> Option<Given<'a>> {
    if !TOOLS.iter().any(|name| tool.eq_ignore_ascii_case(name)) {
        return None;
    }
    let read = |field: &str, value: &'a Value| {
        if let Value::String(text) = value {
            return Some(Given::Text(text));
        }
        let alone = texts(value)?.count() == 1;
        Some(if field == "commands" || alone { Given::Lines(value) } else { Given::Words(value) })
    };
    match arguments {
        Value::Object(members) => FIELDS.iter().find_map(|field| read(field, members.get(*field)?)),
        other => read("", other),
    }
}

fn texts(value: &Value) -> Option<impl Iterator<Item = &str>> {
    let words = value.as_array()?;
    words.iter().all(Value::is_string).then(|| words.iter().filter_map(Value::as_str))
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '=' | '@' | '%' | '+' | ',');
    if !word.is_empty() && word.chars().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}
