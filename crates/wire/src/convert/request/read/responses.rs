//! Reads requests in Responses.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::ask::{Ask, Effort, LOGPROBS, Logprobs, Part, Role, SOURCES, Turn};
use super::super::ledger::{Ledger, refuse};
use super::super::take;
use super::{chat, responses_items as items, tools};

pub(super) fn read(ask: &mut Ask, body: &mut Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    match body.shift_remove("instructions") {
        Some(Value::String(text)) => ask.system.push(Part::text("instructions", text)),
        None | Some(Value::Null) => {}
        Some(_) => return Err(refuse("instructions", "they are a text")),
    }
    match body.shift_remove("input") {
        Some(Value::String(text)) => {
            ask.turns.push(Turn { role: Role::User, parts: vec![Part::text("input", text)] });
        }
        Some(Value::Array(list)) => {
            for (i, item) in list.into_iter().enumerate() {
                items::item(&mut ask.turns, &format!("input[{i}]"), item, ledger)?;
            }
        }
        _ => {}
    }
    tools::openai(ask, take::list(body, "tools"), false, ledger);
    if let Some(search) = &mut ask.search {
        search.limit("max_tool_calls", take::some(body, "max_tool_calls"));
    }
    ask.choice = take::some(body, "tool_choice").map(tools::choice).transpose()?;
    ask.parallel = take::flag(body, "parallel_tool_calls");
    ask.limit = take::some(body, "max_output_tokens");
    ask.tier = take::text(body, "service_tier");
    // Responses has no stop sequences, but a server that has may be asked through it.
    ask.stop = match take::some(body, "stop") {
        Some(Value::Array(stops)) => stops,
        stop => stop.into_iter().collect(),
    };
    ask.stream_options = take::object(body, "stream_options");
    let asked = include(&take::list(body, "include"), ask.search.is_some(), ledger);
    let top = take::some(body, "top_logprobs").filter(|top| *top != 0);
    let asked = asked.or_else(|| top.is_some().then(|| "top_logprobs".to_owned()));
    ask.logprobs = asked.map(|at| Logprobs { at, top });
    output(ask, body, ledger)?;
    ask.user = chat::user(body);
    ask.cache = chat::cache(body);
    Ok(())
}

/// What is wanted beside the answer: where log probabilities are. Reasoning for the way back goes along anyway.
fn include(wishes: &[Value], searches: bool, ledger: &mut Ledger) -> Option<String> {
    let mut logprobs = None;
    for (i, wish) in wishes.iter().enumerate() {
        match wish.as_str().unwrap_or_default() {
            "reasoning.encrypted_content" => {}
            SOURCES if searches => {}
            LOGPROBS => logprobs = Some(format!("include[{i}]")),
            wish => ledger.drop_as(&format!("include[{i}]"), wish),
        }
    }
    logprobs
}

/// `text` and `reasoning`.
fn output(ask: &mut Ask, body: &mut Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    let mut text = take::object(body, "text");
    ask.verbosity = take::some(&mut text, "verbosity");
    if let Some(mut format) = take::some(&mut text, "format").map(take::members) {
        ask.format = match take::text(&mut format, "type").as_deref() {
            Some("json_schema") => Some(chat::schema(format)),
            Some("json_object") => Some(super::super::ask::Format::JsonObject),
            Some("text") | None => None,
            Some(_) => return Err(refuse("text.format", "this form cannot be asked of the upstream")),
        };
    }
    for name in text.keys() {
        ledger.drop(&format!("text.{name}"));
    }
    let mut effort = Effort { at: "reasoning", ..Effort::default() };
    if let Some(mut reasoning) = take::some(body, "reasoning").map(take::members) {
        effort.level = take::text(&mut reasoning, "effort");
        let summary = take::text(&mut reasoning, "summary");
        let older = take::text(&mut reasoning, "generate_summary");
        effort.shown = summary.or(older).map(|summary| summary != "none");
        reasoning.retain(|_, value| !value.is_null());
        for name in reasoning.keys() {
            ledger.drop(&format!("reasoning.{name}"));
        }
    }
    chat::word(&mut effort);
    // Thoughts that the client wants to see are to be thought.
    if effort.on.is_none() && effort.shown == Some(true) {
        effort.on = Some(true);
    }
    ask.effort = effort;
    Ok(())
}
