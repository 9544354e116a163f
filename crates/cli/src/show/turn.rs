//! Turns as text: who said what, what was changed, and what the policies decided.

use std::fmt::Write as _;

use luthien_record::history::{Conversation, Message, MessageType, Turn};
use luthien_record::model::{Decision, Status};
use luthien_record::store::TransactionDetail;
use serde_json::Value;

use super::Look;
use crate::compare::beside;
use crate::terminal::{Paint, visible, visible_line, wrap};
use crate::when;

/// Agents' instructions run to hundreds of lines, the same in every session: so many of them are shown.
const INSTRUCTIONS: usize = 4;

/// Who stands as the author of what the gateway did by itself.
const GATEWAY: &str = "gateway";

/// A conversation from its turn number `first` on. `calls` bring the decisions of its turns.
pub(crate) fn conversation(whole: &Conversation, first: usize, calls: &[TransactionDetail], look: &Look) -> String {
    let mut out = String::new();
    let p = look.palette;
    let _ = writeln!(out, "{} {}", p.bold("Session"), visible_line(&whole.session_id));
    for (number, turn) in (first..).zip(&whole.turns) {
        let call = calls.iter().find(|call| call.id.to_string() == turn.call_id);
        out.push('\n');
        out.push_str(&one(number, turn, call, look));
    }
    out
}

fn one(number: usize, turn: &Turn, call: Option<&TransactionDetail>, look: &Look) -> String {
    let p = look.palette;
    let mut out = String::new();
    let at = when::second(turn.timestamp, &look.zone);
    let _ = writeln!(
        out,
        "{} {}",
        p.bold(&format!("── {number}. {at} · {}", visible_line(&turn.model))),
        p.dim(&turn.call_id)
    );
    if let Some(note) = trouble(turn) {
        let _ = writeln!(out, "{}", p.paint(Paint::Yellow, &visible_line(&note)));
    }
    let new = turn.request_messages.get(turn.new_from..).unwrap_or_default();
    match &turn.original_request_messages {
        Some(original) if turn.request_was_modified => {
            changed("request", original.get(turn.new_from..).unwrap_or_default(), new, look, &mut out);
        }
        _ => plain(new, look, &mut out),
    }
    match &turn.original_response_messages {
        // There was no answer, and what the client got instead stands above.
        Some(original) if original.is_empty() && turn.error.is_some() => {}
        Some(original) if turn.response_was_modified => {
            changed("answer", original, &turn.response_messages, look, &mut out);
        }
        _ => plain(&turn.response_messages, look, &mut out),
    }
    for note in turn.annotations.iter().filter(|note| note.policy_name == GATEWAY) {
        let _ = writeln!(out, "{}", p.dim(&visible_line(&note.summary)));
    }
    for decision in call.map(|call| call.decisions.as_slice()).unwrap_or_default() {
        let _ = writeln!(out, "{}", decided(decision, look));
    }
    out
}

fn trouble(turn: &Turn) -> Option<String> {
    let what = match turn.status {
        Status::Completed => return turn.error.clone(),
        Status::UpstreamError => "the upstream refused or failed",
        Status::UpstreamBroken => "the upstream broke off",
        Status::Refused => "the gateway refused",
        Status::ClientDisconnected => "the client went before the end",
        Status::Interrupted => "stopped before the end",
    };
    Some(match &turn.error {
        None => what.to_owned(),
        // What the next start recorded says it already.
        Some(error) if error.contains(what) => error.clone(),
        Some(error) => format!("{what}: {error}"),
    })
}

fn plain(messages: &[Message], look: &Look, out: &mut String) {
    for message in messages {
        let (label, paint) = speaker(message);
        let label = look.palette.paint(paint, &format!("{label:<9}"));
        let text = body(message);
        let shown = visible(&text);
        let lines = wrap(&shown, look.width.saturating_sub(10));
        let most = if message.message_type == MessageType::System { INSTRUCTIONS } else { usize::MAX };
        for (i, line) in lines.iter().take(most).enumerate() {
            let lead = if i == 0 { label.as_str() } else { "         " };
            let _ = writeln!(out, "{lead} {line}");
        }
        if lines.len() > most {
            let more = format!("          … {} more lines; --json has all", lines.len() - most);
            let _ = writeln!(out, "{}", look.palette.dim(&more));
        }
    }
}

fn changed(what: &str, original: &[Message], last: &[Message], look: &Look, out: &mut String) {
    let _ = writeln!(out, "{}", look.palette.paint(Paint::Yellow, &format!("the {what} was changed:")));
    for line in beside(&flat(original), &flat(last), look.width, look.palette) {
        let _ = writeln!(out, "{line}");
    }
}

fn flat(messages: &[Message]) -> String {
    let parts: Vec<String> =
        messages.iter().map(|message| format!("{}: {}", speaker(message).0, body(message))).collect();
    parts.join("\n")
}

fn speaker(message: &Message) -> (&'static str, Paint) {
    match message.message_type {
        MessageType::System => ("system", Paint::Dim),
        MessageType::User => ("user", Paint::Cyan),
        MessageType::Assistant => ("model", Paint::Green),
        MessageType::ToolCall => ("calls", Paint::Bold),
        MessageType::ToolResult => ("result", Paint::Dim),
        MessageType::Unknown => ("other", Paint::Dim),
    }
}

fn body(message: &Message) -> String {
    if message.message_type != MessageType::ToolCall {
        return message.content.clone();
    }
    let name = message.tool_name.as_deref().unwrap_or("(no name)");
    let arguments = message.tool_input.as_ref().map_or_else(|| message.content.clone(), readable);
    let gap = if arguments.starts_with('\n') { "" } else { " " };
    format!("{name}{gap}{arguments}")
}

/// Arguments for reading: members on lines of their own, texts with their line breaks.
fn readable(input: &Value) -> String {
    let Value::Object(members) = input else { return input.to_string() };
    let parts: Vec<String> = members
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}: {text}"),
            other => format!("{key}: {other}"),
        })
        .collect();
    if parts.len() == 1 { parts.concat() } else { format!("\n  {}", parts.join("\n  ")) }
}

fn decided(decision: &Decision, look: &Look) -> String {
    let p = look.palette;
    let (mark, paint) = match decision.action.as_str() {
        "block" => ("\u{2716} blocked", Paint::Red),
        "replace" => ("\u{270e} changed", Paint::Yellow),
        _ => ("\u{2713} passed", Paint::Green),
    };
    let target = match decision.target.get("kind").and_then(Value::as_str) {
        Some("tool_call") => {
            format!("the call of {}", decision.target.get("name").and_then(Value::as_str).unwrap_or("a tool"))
        }
        Some("text") => "a text".to_owned(),
        Some("request") => "the request".to_owned(),
        Some("turn") => "the answer".to_owned(),
        _ => "something".to_owned(),
    };
    let mut notes = vec![visible_line(&decision.policy)];
    notes.extend(decision.score.map(|score| format!("score {score:.2}")));
    notes.push(when::taken(decision.micros));
    if decision.mode == "shadow" {
        notes.push("shadow: recorded only".to_owned());
    }
    if decision.failed {
        notes.push("could not decide; on_error did".to_owned());
    }
    let head = format!("{} {} ({})", p.paint(paint, mark), visible_line(&target), notes.join(", "));
    match &decision.reason {
        Some(reason) => format!("{head}\n  {}", wrap(&visible_line(reason), look.width.saturating_sub(2)).join("\n  ")),
        None => head,
    }
}
