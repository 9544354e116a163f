//! Which tools are shells, and the command that a call gives them.

use std::borrow::Cow;
use std::sync::Arc;

use luthien_wire::turn::ToolCall;
use serde_json::Value;

use crate::rules::effects::{Effects, is_tool};

/// Names of shell tools in the agents that are in use; compared in any case, and behind a server's name.
const TOOLS: &[&str] = &[
    "bash",
    "bash_tool",
    "bash_code_execution",
    "execute_bash",
    "run_bash",
    "run_shell",
    "shell_exec",
    "run_terminal_command",
    "start_process",
    "interact_with_process",
    "monitor",
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

/// Where such tools take their command. Which of them a tool reads is not ours to guess: where there are several, all count.
const FIELDS: &[&str] = &["command", "cmd", "commands", "script", "code", "chars", "input"];

/// The command of a shell tool: what a shell would read.
pub(super) fn of(call: &ToolCall) -> Option<Cow<'_, str>> {
    in_arguments(&call.name, call.arguments.as_ref().ok()?)
}

/// The same for a call by its tool and arguments.
pub(super) fn in_arguments<'a>(tool: &str, arguments: &'a Value) -> Option<Cow<'a, str>> {
    let mut given = given(tool, arguments).into_iter();
    let first = given.next()?.line();
    Some(given.fold(first, |all, one| Cow::Owned(format!("{all}\n{}", one.line()))))
}

/// What a call of a shell tool does. Each of its commands is read for itself: which of them the tool takes is not known, and the
/// one must not make the other part of a text.
pub(super) fn effects(call: &ToolCall, read: &dyn Fn(&str) -> Arc<Effects>) -> Option<Arc<Effects>> {
    let mut each = given(&call.name, call.arguments.as_ref().ok()?).into_iter().map(|given| match given {
        Given::Words(words) => {
            let argv: Vec<String> = texts(words).into_iter().flatten().map(str::to_owned).collect();
            Arc::new(Effects::of_argv(&argv).patching(argv.iter().flat_map(|word| word.lines())))
        }
        text => read(&text.line()),
    });
    let first = each.next()?;
    Some(each.fold(first, |all, one| Arc::new(Effects::of(all.analysis().clone().then(one.analysis().clone())))))
}

/// What a shell tool is given.
#[derive(Clone, Copy)]
enum Given<'a> {
    Text(&'a str),
    /// Commands, one after the other.
    Lines(&'a Value),
    /// A program and its arguments.
    Words(&'a Value),
}

impl<'a> Given<'a> {
    /// As one would type it.
    fn line(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Lines(lines) => Cow::Owned(texts(lines).into_iter().flatten().collect::<Vec<_>>().join("\n")),
            Self::Words(words) => {
                Cow::Owned(texts(words).into_iter().flatten().map(quoted).collect::<Vec<_>>().join(" "))
            }
        }
    }
}

fn given<'a>(tool: &str, arguments: &'a Value) -> Vec<Given<'a>> {
    if !is_tool(tool, TOOLS) {
        return Vec::new();
    }
    let read = |field: &str, value: &'a Value| {
        if let Value::String(text) = value {
            return Some(Given::Text(text));
        }
        let alone = texts(value)?.count() == 1;
        Some(if field == "commands" || alone { Given::Lines(value) } else { Given::Words(value) })
    };
    match arguments {
        Value::Object(members) => FIELDS.iter().filter_map(|field| read(field, members.get(*field)?)).collect(),
        other => read("", other).into_iter().collect(),
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

#[cfg(test)]
mod tests;
