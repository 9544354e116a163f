//! Exports as Markdown, for reading.

use std::collections::BTreeMap;

use crate::history::messages::{Message, MessageType};
use crate::history::session::Turn;
use crate::store::SessionRow;

/// What is before the turns.
pub(super) fn head(session: &SessionRow, labels: &BTreeMap<String, String>) -> String {
    let mut out = format!("# Session {}\n\n", one_line(&session.session_id));
    line(&mut out, &format!("- From {} to {}", session.first, session.last));
    line(&mut out, &format!("- Models: {}", one_line(&session.models.join(", "))));
    if !session.users.is_empty() {
        let users: Vec<_> = session.users.iter().map(|user| named(user, labels)).collect();
        line(&mut out, &format!("- Users: {}", users.join(", ")));
    }
    line(&mut out, &format!("- Turns: {}", session.turns));
    line(&mut out, &format!("- Turns with a policy intervention: {}", session.interventions));
    out
}

/// A user's name with the id behind it, or the id.
fn named(user: &str, labels: &BTreeMap<String, String>) -> String {
    match labels.get(user) {
        Some(label) => format!("{} ({})", one_line(label), one_line(user)),
        None => one_line(user),
    }
}

/// One turn.
pub(super) fn turn(turn: &Turn, number: u64, labels: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    line(&mut out, &format!("\n## Turn {number} ({})", turn.timestamp));
    let user = turn.user_id.as_deref().map(|user| format!(", user {}", named(user, labels))).unwrap_or_default();
    line(&mut out, &format!("\nCall {}, model {}{user}", turn.call_id, one_line(&turn.model)));
    if let Some(original) = &turn.original_request_messages {
        line(&mut out, "\n*The request was changed by policy. As the client sent it:*");
        write_messages(&mut out, original, turn.new_from);
        line(&mut out, "\n*As it was sent:*");
    }
    write_messages(&mut out, &turn.request_messages, turn.new_from);
    if let Some(original) = &turn.original_response_messages {
        line(&mut out, "\n*The answer was changed by policy. As the model gave it:*");
        write_messages(&mut out, original, 0);
        line(&mut out, "\n*As the client got it:*");
    }
    write_messages(&mut out, &turn.response_messages, 0);
    if let Some(error) = &turn.error {
        line(&mut out, "\n### Error");
        fenced(&mut out, error);
    }
    for note in &turn.annotations {
        let policy = || format!("Policy {}", one_line(&note.policy_name));
        let by = if note.policy_name == "gateway" { "Gateway".to_owned() } else { policy() };
        line(&mut out, &format!("\n> {by}: {}", one_line(&note.summary)));
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn write_messages(out: &mut String, messages: &[Message], from: usize) {
    for message in messages.iter().skip(from) {
        write_message(out, message);
    }
}

fn write_message(out: &mut String, message: &Message) {
    let title = match message.message_type {
        MessageType::System => "System",
        MessageType::User => "User",
        MessageType::Assistant => "Assistant",
        MessageType::ToolCall => "Tool call",
        MessageType::ToolResult => "Tool result",
        MessageType::Unknown => "Other",
    };
    let tool = message.tool_name.as_deref().map(|name| format!(" {}", one_line(name))).unwrap_or_default();
    line(out, &format!("\n### {title}{tool}"));
    fenced(out, &message.content);
}

/// What others wrote stands in a fence that it cannot close.
fn fenced(out: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    line(out, &format!("\n{fence}text\n{text}\n{fence}"));
}

/// A name or a short text within a line, without what Markdown and HTML would take for their own.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '&' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
