//! Reads the input items of Responses. Neighbouring items of the model are one turn.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::super::citation::Citation;
use super::super::ask::{Call, Input, Outcome, Part, Role, Turn, What};
use super::super::ledger::{Ledger, refuse};
use super::super::searched::{self, Searched};
use super::super::{media, take};
use super::{chat_parts, reasoning, tools};
use crate::dialect::Dialect;

/// Adds what an item says to the conversation.
pub(super) fn item(turns: &mut Vec<Turn>, at: &str, item: Value, ledger: &mut Ledger) -> Result<(), Refused> {
    let mut item = take::members(item);
    if item.get("type").is_some_and(|kind| kind == "") {
        return Err(refuse(at, "an item of no type"));
    }
    let kind = take::kind(&mut item);
    match kind.as_str() {
        "message" | "" => message(turns, at, item, ledger)?,
        "reasoning" => {
            let opaque = item.get("encrypted_content").and_then(Value::as_str).map(str::to_owned);
            let mut whole = Map::new();
            whole.insert("type".to_owned(), kind.into());
            whole.extend(item);
            assistant(turns, at, reasoning(Dialect::Responses, opaque.as_deref(), Value::Object(whole)));
        }
        "function_call" => {
            let arguments = take::text(&mut item, "arguments").unwrap_or_default();
            call(turns, at, item, Input::Written(arguments));
        }
        "custom_tool_call" => {
            let input = take::text(&mut item, "input").unwrap_or_default();
            call(turns, at, item, Input::Free(input));
        }
        // Tools that the client runs: the model is to know what it did, under the tool's name.
        "local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call" => {
            let name = kind.trim_end_matches("_call").to_owned();
            let input = ["action", "operation", "actions"].into_iter().find_map(|name| take::some(&mut item, name));
            item.insert("name".to_owned(), name.into());
            call(turns, at, item, Input::Parsed(input.unwrap_or(Value::Object(Map::new()))));
        }
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "shell_call_output"
        | "apply_patch_call_output"
        | "computer_call_output" => {
            let id = take::text(&mut item, "call_id").or_else(|| take::text(&mut item, "id")).unwrap_or_default();
            let failed = item.get("status").is_some_and(|status| status == "failed");
            let parts = output(at, item.shift_remove("output"), ledger)?;
            let what = What::Outcome(Outcome { id, failed, parts });
            turns.push(Turn { role: Role::User, parts: vec![Part::new(at, what)] });
        }
        "item_reference" => return Err(refuse(at, "an item that is stored with its vendor: send the item itself")),
        "compaction" | "compaction_summary" | "context_compaction" => {
            return Err(refuse(at, "a compacted history that only its vendor can read"));
        }
        "web_search_call" => assistant(turns, at, What::Search(Searched::of_item(&Value::Object(item)))),
        kind if kind.ends_with("_call") || kind.starts_with("mcp_") || kind.starts_with("tool_search") => {
            ledger.drop_each(at, "a tool that the vendor ran");
        }
        _ => ledger.drop_as(at, &kind),
    }
    Ok(())
}

fn message(turns: &mut Vec<Turn>, at: &str, mut item: Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    let role = match take::text(&mut item, "role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        _ => return Err(refuse(at, "the role is none that the upstream knows")),
    };
    let parts = content(at, role, item.shift_remove("content"), ledger)?;
    match turns.last_mut() {
        Some(last) if role == Role::Assistant && last.role == role => last.parts.extend(parts),
        _ => turns.push(Turn { role, parts }),
    }
    Ok(())
}

fn content(at: &str, role: Role, content: Option<Value>, ledger: &mut Ledger) -> Result<Vec<Part>, Refused> {
    let list = match content {
        Some(Value::String(text)) => return Ok(vec![Part::text(at, text)]),
        Some(Value::Array(list)) => list,
        _ => return Ok(Vec::new()),
    };
    let mut out = Vec::with_capacity(list.len());
    for (i, value) in list.into_iter().enumerate() {
        let at = format!("{at}.content[{i}]");
        let mut value = take::members(value);
        let annotations = value.shift_remove("annotations");
        let what = part(&at, role, value, ledger)?;
        let text = if let Some(What::Text(text)) = &what { text.as_str() } else { "" };
        let read = |annotation: &Value| Citation::of_openai(annotation).filter(|_| role == Role::Assistant);
        let (sources, lost) = searched::sources(annotations, text, read);
        let place = format!("{at}.annotations");
        if lost {
            ledger.drop_each(&place, "annotations");
        }
        out.extend(what.map(|what| Part::new(at, what)));
        if !sources.is_empty() {
            out.push(Part::new(place, What::Cited(sources)));
        }
    }
    Ok(out)
}

fn part(at: &str, role: Role, mut part: Map<String, Value>, ledger: &mut Ledger) -> Result<Option<What>, Refused> {
    let kind = take::kind(&mut part);
    Ok(Some(match kind.as_str() {
        "input_text" | "output_text" | "text" => What::Text(take::text(&mut part, "text").unwrap_or_default()),
        "refusal" => What::Text(take::text(&mut part, "refusal").unwrap_or_default()),
        "input_image" | "computer_screenshot" => {
            let url = take::text(&mut part, "image_url").ok_or_else(|| refuse(at, media::STORED))?;
            chat_parts::image(at, url, take::some(&mut part, "detail"))?
        }
        "input_file" => {
            let mut text = |name: &str| take::text(&mut part, name);
            chat_parts::file(at, text("filename"), text("file_data"), text("file_url"))?
        }
        "input_audio" => What::Audio(part.shift_remove("input_audio").unwrap_or_default()),
        _ if role == Role::Assistant => {
            ledger.drop_as(at, &kind);
            return Ok(None);
        }
        _ => return Err(refuse(at, &format!("a part of type {kind:?} cannot be said in the dialect of the upstream"))),
    }))
}

/// What a tool gave back: a text, parts, or what typed tools give.
fn output(at: &str, output: Option<Value>, ledger: &mut Ledger) -> Result<Vec<Part>, Refused> {
    match output {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) if list.iter().all(is_printed) => {
            Ok(list.into_iter().map(|part| Part::text(at, printed(part))).collect())
        }
        Some(Value::Array(list)) => content(at, Role::User, Some(Value::Array(list)), ledger),
        Some(Value::Object(one)) if one.get("type").is_some_and(|kind| kind == "computer_screenshot") => {
            let what = part(at, Role::User, one, ledger)?;
            Ok(what.map(|what| Part::new(at, what)).into_iter().collect())
        }
        Some(Value::String(text)) => Ok(vec![Part::text(at, text)]),
        Some(_) => Err(refuse(&format!("{at}.output"), "a result is a text, or a list of parts")),
    }
}

/// Whether a part of a result is what one command of a shell printed: it has no type.
fn is_printed(part: &Value) -> bool {
    part.is_object() && part.get("type").is_none()
}

/// What a command printed, and how it ended where that is no success.
fn printed(part: Value) -> String {
    let mut part = take::members(part);
    let mut outcome = take::object(&mut part, "outcome");
    let mut texts: Vec<String> = ["stdout", "stderr"].iter().filter_map(|name| take::text(&mut part, name)).collect();
    texts.retain(|text| !text.is_empty());
    match outcome.get("exit_code").and_then(Value::as_i64) {
        Some(0) => {}
        Some(code) => texts.push(format!("[exit code {code}]")),
        None if take::kind(&mut outcome) == "timeout" => texts.push("[timeout]".to_owned()),
        None => {}
    }
    texts.join("\n")
}

fn call(turns: &mut Vec<Turn>, at: &str, mut item: Map<String, Value>, input: Input) {
    let id = take::text(&mut item, "call_id").or_else(|| take::text(&mut item, "id")).unwrap_or_default();
    let namespace = take::text(&mut item, "namespace");
    let name = tools::joined(namespace.as_deref(), take::text(&mut item, "name").unwrap_or_default());
    assistant(turns, at, What::Call(Call { id, name, input }));
}

fn assistant(turns: &mut Vec<Turn>, at: &str, what: What) {
    let part = Part::new(at, what);
    match turns.last_mut() {
        Some(last) if last.role == Role::Assistant => last.parts.push(part),
        _ => turns.push(Turn { role: Role::Assistant, parts: vec![part] }),
    }
}
