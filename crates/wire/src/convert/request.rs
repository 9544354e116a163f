//! Requests: read into a neutral form, written in the target's dialect.
//!
//! `request/ask.rs` is that form; `request/read` has a reader and `request/write` a writer for each dialect. What is kept,
//! dropped and refused: `docs/decisions/conversion.md`.

use bytes::Bytes;
use serde_json::{Map, Value};

use self::ask::{Ask, Takes};
use self::ledger::Ledger;
pub use self::models::takes_no_reasoning;
pub use self::own::is_shared;
use self::shown::Shown;
use self::write::Target;
use super::{AnswerContext, Converted, Refused};
use crate::dialect::Dialect;
use crate::request::Request;

mod ask;
mod effort;
mod fit;
mod halves;
mod ledger;
mod media;
mod models;
mod own;
mod read;
mod rest;
mod search;
mod searched;
mod settle;
mod shown;
mod take;
mod write;

/// The request for an upstream that speaks `to` and calls the model `model`. Fails where it would mean something else there.
///
/// Where the client speaks `to` itself, its bytes stay, but for the model and for reasoning that other vendors gave it.
pub fn request(request: &Request, to: Dialect, model: &str) -> Result<Converted, Refused> {
    convert(request, to, model, |_| true)
}

/// As [`request`] for a request that asks for a count of tokens. Fails towards Chat, which has no counting.
pub fn count(request: &Request, to: Dialect, model: &str) -> Result<Converted, Refused> {
    let counted: &[&str] = match to {
        Dialect::Messages => &["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"],
        Dialect::Responses => {
            &["model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text"]
        }
        Dialect::Chat => {
            let message =
                "the upstream that answers this model cannot count tokens: it speaks Chat Completions".to_owned();
            return Err(Refused { message, param: None });
        }
    };
    convert(request, to, model, |name| counted.contains(&name))
}

fn convert(request: &Request, to: Dialect, model: &str, wanted: impl Fn(&str) -> bool) -> Result<Converted, Refused> {
    let from = request.dialect();
    if from == to {
        let mut ledger = Ledger::default();
        let body = own::own(&request.with_model(model), &mut ledger);
        let answer = context(&Ask::default(), request, to, Map::new());
        return Ok(Converted { body, dropped: ledger.finish(), added: Vec::new(), answer });
    }
    let body = parsed(request)?;
    let repeated = if from == Dialect::Responses { repeated(&body) } else { Map::new() };
    let mut ledger = Ledger::default();
    let mut ask = read::read(from, body, &mut ledger)?;
    shown::honest(&mut ask, &Shown::new(request), to, &mut ledger);
    search::settle(&mut ask, to, model, &mut ledger)?;
    settle::settle(&mut ask)?;
    let mut answer = context(&ask, request, to, repeated);
    answer.renamed_tools = settle::rename(&mut ask, to);
    let mut body = write::write(to, ask, &Target { from, model }, &mut ledger)?;
    body.retain(|name, _| wanted(name));
    // As large as what came, or a little larger: bodies may be of many megabytes.
    let mut bytes = Vec::with_capacity(request.body().len() + request.body().len() / 8 + 1024);
    serde_json::to_writer(&mut bytes, &body)
        .map_err(|error| Refused { message: format!("the request cannot be written: {error}"), param: None })?;
    let added = ledger.added();
    Ok(Converted { body: Bytes::from(bytes), dropped: ledger.finish(), added, answer })
}

/// The body as members. Half a surrogate pair, which agents leave behind when they cut texts, is read as what UTF-8 has for it.
fn parsed(request: &Request) -> Result<Map<String, Value>, Refused> {
    let text = request.text();
    let read = serde_json::from_str(text).or_else(|error| match halves::mended(text) {
        Some(text) => serde_json::from_str(&text),
        None => Err(error),
    });
    read.map_err(|error| Refused { message: format!("the body cannot be read: {error}"), param: None })
}

fn context(ask: &Ask, request: &Request, to: Dialect, repeated: Map<String, Value>) -> AnswerContext {
    let free = ask.tools.iter().filter(|tool| matches!(tool.takes, Takes::Text));
    AnswerContext {
        from: to,
        to: request.dialect(),
        model: request.model().to_owned(),
        id: String::new(),
        free_text_tools: free.map(|tool| tool.name.clone()).collect(),
        renamed_tools: Vec::new(),
        namespaced_tools: ask.namespaced.clone(),
        include_usage: ask.include_usage,
        legacy_functions: ask.legacy,
        repeated,
    }
}

/// The members of a Responses request that its response repeats.
fn repeated(body: &Map<String, Value>) -> Map<String, Value> {
    const NAMES: [&str; 21] = [
        "background",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ];
    let members = NAMES.into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.clone())));
    members.collect()
}

#[cfg(test)]
mod tests;
