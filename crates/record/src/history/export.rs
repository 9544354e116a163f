//! A session as a file.

use super::messages::{Message, MessageType};
use super::session::Conversation;

/// The session as one JSON document.
pub fn json(conversation: &Conversation) -> String {
    serde_json::to_string_pretty(conversation).unwrap_or_default()
}

/// The session as JSON lines: one turn a line.
pub fn jsonl(conversation: &Conversation) -> String {
    let mut out = String::new();
    for turn in &conversation.turns {
        out.push_str(&serde_json::to_string(turn).unwrap_or_default());
        out.push('\n');
    }
    out
}

/// The session for reading: what is new in each turn, answers, and what policies changed, original beside final.
pub fn markdown(conversation: &Conversation) -> String {
    let mut out = format!("# Session {}\n\n", one_line(&conversation.session_id));
    line(&mut out, &format!("- From {} to {}", conversation.first_timestamp, conversation.last_timestamp));
    line(&mut out, &format!("- Models: {}", one_line(&conversation.models_used.join(", "))));
    line(&mut out, &format!("- Turns: {}", conversation.turns.len()));
    line(&mut out, &format!("- Turns with a policy intervention: {}", conversation.total_policy_interventions));
    for (index, turn) in conversation.turns.iter().enumerate() {
        line(&mut out, &format!("\n## Turn {} ({})", index + 1, turn.timestamp));
        line(&mut out, &format!("\nCall {}, model {}", turn.call_id, one_line(&turn.model)));
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
            let by = if note.policy_name == "gateway" {
                "Gateway"
            } else {
                &*format!("Policy {}", one_line(&note.policy_name))
            };
            let text = format!("\n> {by}: {}", one_line(&note.summary));
            line(&mut out, &text);
        }
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
