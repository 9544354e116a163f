//! A session as a file.

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

/// The session for reading.
pub fn markdown(conversation: &Conversation) -> String {
    format!("# Session {}\n", conversation.session_id)
}
