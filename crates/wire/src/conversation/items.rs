//! The items of a Responses `input`, each a message of its own.

use serde_json::{Map, Value};

use super::parts::{self, argument, last, plain, value};
use super::{Message, Part, Role};
use crate::request::walk::{self, Members};

/// Members of a call that say nothing about what is called, or hold what came of it.
const BESIDE: [&str; 9] =
    ["type", "id", "call_id", "status", "output", "outputs", "result", "results", "encrypted_content"];

/// An item; what names no type is a message, and a string one of the user's.
pub(super) fn item(raw: &str) -> Message {
    let Some(members) = walk::object(raw) else {
        return match walk::string(raw) {
            Some(text) => Message { role: Role::User, parts: vec![Part::Text(text)] },
            None => Message { role: Role::Other(String::new()), parts: Vec::new() },
        };
    };
    let kind = last(&members, "type").and_then(walk::string);
    match kind.as_deref() {
        None | Some("message") => {
            let parts = last(&members, "content").map(parts::content).unwrap_or_default();
            Message { role: Role::read(last(&members, "role")), parts }
        }
        Some("reasoning") => Message { role: Role::Assistant, parts: vec![reasoning(&members)] },
        Some(kind) if kind.ends_with("_output") => Message { role: Role::Tool, parts: vec![result(&members)] },
        Some(kind) if kind.ends_with("_call") || kind == "mcp_approval_request" => {
            Message { role: Role::Assistant, parts: call(kind, &members) }
        }
        Some(kind) => Message { role: Role::Other(String::new()), parts: vec![Part::Other(kind.to_owned())] },
    }
}

/// What the vendor shows of the model's reasoning: the summary, then the text itself.
fn reasoning(members: &Members<'_>) -> Part {
    let texts: Vec<_> = ["summary", "content"]
        .iter()
        .filter_map(|name| last(members, name).and_then(walk::array))
        .flatten()
        .map(plain)
        .filter(|text| !text.is_empty())
        .collect();
    if texts.is_empty() { Part::Other("reasoning".to_owned()) } else { Part::Thinking(texts.join("\n\n")) }
}

/// A call; one that the vendor's server ran has its result with it.
fn call(kind: &str, members: &Members<'_>) -> Vec<Part> {
    let get = |name: &str| last(members, name);
    let id = id(members);
    let name = get("name").and_then(walk::string);
    let name = name.unwrap_or_else(|| kind.strip_suffix("_call").unwrap_or("mcp").to_owned());
    let asked = ["input", "action", "operation", "actions"].iter().find_map(|name| get(name));
    let input = match (get("arguments"), asked) {
        (Some(arguments), _) => argument(arguments),
        (None, Some(asked)) => value(asked),
        (None, None) => {
            let said = members.iter().filter(|(key, _)| !BESIDE.contains(&&**key));
            Value::Object(said.map(|(key, raw)| (key.to_string(), value(raw))).collect::<Map<_, _>>())
        }
    };
    let failure = get("error").filter(|raw| *raw != "null");
    let output = get("output").or_else(|| get("outputs")).or_else(|| get("results")).filter(|raw| *raw != "null");
    let mut out = vec![Part::ToolCall { id: id.clone(), name, input }];
    if let Some(came) = failure.or(output) {
        let text = walk::string(came).unwrap_or_else(|| plain(came));
        out.push(Part::ToolResult { id, text, is_error: failure.is_some() });
    }
    out
}

fn result(members: &Members<'_>) -> Part {
    let text = last(members, "output").map(plain).unwrap_or_default();
    let is_error = last(members, "status").is_some_and(|status| walk::is(status, "failed"));
    Part::ToolResult { id: id(members), text, is_error }
}

fn id(members: &Members<'_>) -> String {
    last(members, "call_id").or_else(|| last(members, "id")).and_then(walk::string).unwrap_or_default()
}
