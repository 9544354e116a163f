//! Reads requests in Messages.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::ask::{Ask, Choice, Effort, Format, Part, Role, Shape, Turn};
use super::super::ledger::{Ledger, refuse};
use super::super::{searched, take};
use super::tools::messages as read_tools;
use super::{deferred, messages_blocks as blocks};

pub(super) fn read(ask: &mut Ask, body: &mut Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    if body.shift_remove("cache_control").is_some_and(|hint| !hint.is_null()) {
        blocks::cached(ledger);
    }
    match body.shift_remove("system") {
        Some(Value::String(text)) => ask.system.push(Part::text("system", text)),
        Some(Value::Array(entries)) => {
            for (i, entry) in entries.into_iter().enumerate() {
                let at = format!("system[{i}]");
                let mut entry = take::members(entry);
                blocks::hints(&mut entry, ledger);
                let text = blocks::text(&at, entry)?;
                ask.system.push(Part::text(at, text));
            }
        }
        _ => {}
    }
    let messages = take::list(body, "messages");
    let mut tools = take::list(body, "tools");
    deferred::settle(&mut tools, &messages);
    for (i, message) in messages.into_iter().enumerate() {
        turns(&mut ask.turns, i, message, ledger)?;
    }
    read_tools(ask, tools, ledger);
    if let Some(mut choice) = take::some(body, "tool_choice").map(take::members) {
        if take::flag(&mut choice, "disable_parallel_tool_use") == Some(true) {
            ask.parallel = Some(false);
        }
        ask.choice = match take::kind(&mut choice).as_str() {
            "auto" => Some(Choice::Auto),
            "any" => Some(Choice::Required),
            "none" => Some(Choice::None),
            "tool" => Some(Choice::Named(take::text(&mut choice, "name").unwrap_or_default())),
            _ => return Err(refuse("tool_choice", "this choice cannot be said in the dialect of the upstream")),
        };
    }
    ask.limit = take::some(body, "max_tokens");
    ask.stop = take::list(body, "stop_sequences");
    ask.tier = take::text(body, "service_tier");
    let mut metadata = take::object(body, "metadata");
    ask.user = take::text(&mut metadata, "user_id").map(|user| ("metadata.user_id".to_owned(), user));
    for name in metadata.keys() {
        ledger.drop_as("metadata", name);
    }
    output(ask, body, ledger)
}

/// `thinking` and `output_config`.
fn output(ask: &mut Ask, body: &mut Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    let mut config = take::object(body, "output_config");
    ask.effort = Effort { at: "output_config.effort", level: take::text(&mut config, "effort"), ..Effort::default() };
    if let Some(thinking) = take::some(body, "thinking") {
        super::super::effort::read(&mut ask.effort, thinking);
        ask.effort.at = "thinking";
    }
    let old = take::some(body, "output_format");
    if let Some(mut format) = take::some(&mut config, "format").or(old).map(take::members) {
        let (kind, schema) = (take::kind(&mut format), format.shift_remove("schema"));
        ask.format = match (kind.as_str(), schema) {
            ("json_schema", Some(schema)) => {
                Some(Format::Schema(Box::new(Shape { name: None, description: None, schema, strict: None })))
            }
            _ => return Err(refuse("output_config.format", "this form cannot be asked of the upstream")),
        };
    }
    for name in config.keys() {
        ledger.drop(&format!("output_config.{name}"));
    }
    Ok(())
}

/// The turns of one message: system texts within it are turns of their own.
fn turns(turns: &mut Vec<Turn>, i: usize, message: Value, ledger: &mut Ledger) -> Result<(), Refused> {
    let at = format!("messages[{i}]");
    let mut message = take::members(message);
    let role = match take::text(&mut message, "role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Err(refuse(&at, "the role is none that the upstream knows")),
    };
    let mut turn = Turn::new(role);
    match message.shift_remove("content") {
        Some(Value::String(text)) => turn.parts.push(Part::text(at.clone(), text)),
        Some(Value::Array(content)) => {
            let mut cited = false;
            for (j, block) in content.into_iter().enumerate() {
                let at = format!("{at}.content[{j}]");
                let mut block = take::members(block);
                blocks::hints(&mut block, ledger);
                if role != Role::Assistant && block.get("type").is_some_and(|kind| kind == "mid_conv_system") {
                    turns.push(std::mem::replace(&mut turn, Turn::new(role)));
                    let said = block.shift_remove("text").or_else(|| block.shift_remove("content"));
                    turns.push(Turn { role: Role::System, parts: blocks::texts(&at, said)? });
                    continue;
                }
                let is_found = block.get("type").is_some_and(|kind| kind == "web_search_tool_result");
                if role == Role::Assistant && is_found && searched::found(turns, &mut turn, &block) {
                    continue;
                }
                let has = block.get("citations").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
                let parts = blocks::block(&at, role, block, ledger)?;
                searched::add(&mut turn.parts, parts, has || cited);
                cited = has;
            }
        }
        _ => {}
    }
    turns.push(turn);
    message.retain(|_, value| !value.is_null());
    for name in message.keys() {
        ledger.drop_each(&format!("{at}.{name}"), "a setting of one message");
    }
    Ok(())
}
