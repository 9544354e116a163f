//! What each vendor demands of a conversation, checked on bodies alone.

use super::*;

/// The first thing in a body that its vendor would refuse.
pub(super) fn fault(dialect: Dialect, body: &Value) -> Option<String> {
    match dialect {
        Dialect::Messages => messages(body),
        Dialect::Chat => chat(body),
        Dialect::Responses => responses(body),
    }
}

fn messages(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array()?;
    let mut expected = "user";
    let mut open: Vec<&Value> = Vec::new();
    for message in messages {
        if message["role"] != expected {
            return Some(format!("{expected} was to speak: {message}"));
        }
        expected = if expected == "user" { "assistant" } else { "user" };
        let blocks = message["content"].as_array()?;
        if blocks.is_empty() {
            return Some("an empty message".to_owned());
        }
        let mut last = "";
        for block in blocks {
            let kind = block["type"].as_str()?;
            match kind {
                "tool_result" if !last.is_empty() && last != "tool_result" => {
                    return Some("a result behind a text".to_owned());
                }
                "tool_result" => match open.iter().position(|id| *id == &block["tool_use_id"]) {
                    Some(at) => drop(open.remove(at)),
                    None => return Some(format!("a result without a call: {block}")),
                },
                "tool_use" => open.push(&block["id"]),
                "text" if block["text"].as_str()?.trim().is_empty() => return Some("an empty text".to_owned()),
                "text" if last == "tool_use" => return Some("a text behind a call".to_owned()),
                _ => {}
            }
            last = kind;
        }
        if message["role"] == "user" && !open.is_empty() {
            return Some(format!("calls without results: {open:?}"));
        }
    }
    None
}

fn chat(body: &Value) -> Option<String> {
    let mut open: Vec<&Value> = Vec::new();
    for message in body["messages"].as_array()? {
        if message["role"] == "tool" {
            match open.iter().position(|id| *id == &message["tool_call_id"]) {
                Some(at) => drop(open.remove(at)),
                None => return Some(format!("a result without a call: {message}")),
            }
            continue;
        }
        if !open.is_empty() {
            return Some(format!("calls without results before {message}"));
        }
        open.extend(message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]));
    }
    (!open.is_empty()).then(|| "calls without results at the end".to_owned())
}

fn responses(body: &Value) -> Option<String> {
    let mut open: Vec<&Value> = Vec::new();
    for item in body["input"].as_array()? {
        match item["type"].as_str()? {
            "function_call" => open.push(&item["call_id"]),
            "function_call_output" => match open.iter().position(|id| *id == &item["call_id"]) {
                Some(at) => drop(open.remove(at)),
                None => return Some(format!("a result without a call: {item}")),
            },
            "message" if !open.is_empty() && item["role"] != "assistant" => {
                return Some(format!("calls without results before {item}"));
            }
            _ => {}
        }
    }
    (!open.is_empty()).then(|| "calls without results at the end".to_owned())
}
