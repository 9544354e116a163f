//! Writes requests in Messages.

use serde_json::{Map, Value, json};

use super::super::super::Refused;
use super::super::super::answer::messages_text;
use super::super::super::search::TOOL;
use super::super::ask::{Ask, Choice, Document, Format, Part, Role, Source, Takes, Tool, Turn, What};
use super::super::ledger::{Ledger, refuse};
use super::super::search::Search;
use super::super::{fit, models};
use super::{Target, messages_thinking as thinking, put, schemas};
use crate::dialect::Dialect;

/// The user's line where a history ends with the model.
const GO_ON: &str = "[go on]";

/// The user's line where a history begins with the model.
const BEGINS: &str = "[the conversation begins with the model]";

pub(super) fn write(mut ask: Ask, target: &Target<'_>, ledger: &mut Ledger) -> Result<Map<String, Value>, Refused> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let limit = ask.limit.take().unwrap_or_else(|| models::limit(target.model).into());
    body.insert("max_tokens".to_owned(), limit.clone());
    let mut system = blocks(Role::User, std::mem::take(&mut ask.system), ledger)?;
    let thinking = thinking::decide(&ask, target.model, limit.as_u64(), ledger);
    recall(&mut ask);
    let mut messages = messages(std::mem::take(&mut ask.turns), models::hears_system(target.model), ledger)?;
    if messages.last().is_some_and(ends_with_model) {
        // The other dialects ask for a new turn so, Messages for more of the last one, or nothing at all.
        ledger.add(&format!("messages[{}]", messages.len()), GO_ON);
        messages.push(json!({"role": "user", "content": [{"type": "text", "text": GO_ON}]}));
    }
    if messages.is_empty() {
        // A system prompt alone is a question in the other dialects.
        messages.push(json!({"role": "user", "content": std::mem::take(&mut system)}));
    }
    if let Some(cache) = &ask.cache {
        let hint = if cache.long { json!({"type": "ephemeral", "ttl": "1h"}) } else { json!({"type": "ephemeral"}) };
        let last = messages.iter_mut().rev().find(|message| message["role"] == "user");
        let blocks = last.and_then(|message| message["content"].as_array_mut());
        for block in system.last_mut().into_iter().chain(blocks.and_then(|blocks| blocks.last_mut())) {
            block["cache_control"] = hint.clone();
        }
    }
    put(&mut body, "system", Some(system).filter(|system| !system.is_empty()));
    body.insert("messages".to_owned(), messages.into());
    tools(&mut body, &mut ask);
    ask.stop.retain(|stop| stop != "");
    put(&mut body, "stop_sequences", Some(std::mem::take(&mut ask.stop)).filter(|stop| !stop.is_empty()));
    thinking::sampling(&mut body, &mut ask, target.model, thinking.is_on(), ledger);
    let mut config = Map::new();
    put(&mut body, "thinking", thinking.value);
    put(&mut config, "effort", thinking.effort);
    match ask.format.take() {
        Some(Format::Schema(format)) => {
            config
                .insert("format".to_owned(), json!({"type": "json_schema", "schema": schemas::closed(format.schema)}));
        }
        // The prompt asks for JSON too: the other dialects demand it.
        Some(Format::JsonObject) => {
            let at = if target.from == Dialect::Chat { "response_format" } else { "text.format" };
            ledger.drop_as(at, "json_object");
        }
        None => {}
    }
    put(&mut body, "output_config", Some(config).filter(|config| !config.is_empty()));
    if ask.verbosity.take().is_some_and(|verbosity| verbosity != "medium") {
        ledger.drop(if target.from == Dialect::Chat { "verbosity" } else { "text.verbosity" });
    }
    put(&mut body, "metadata", ask.user.take().map(|(_, user)| json!({"user_id": user})));
    match ask.tier.as_deref() {
        Some("auto" | "priority" | "fast") => put(&mut body, "service_tier", Some("auto")),
        Some("default" | "standard") => put(&mut body, "service_tier", Some("standard_only")),
        Some(tier) => ledger.drop_as("service_tier", tier),
        None => {}
    }
    put(&mut body, "stream", ask.stream);
    Ok(body)
}

/// The messages: user and model in turns, the user first. Where the model `hears` system messages, what the operator says
/// between turns is one, at the end of the user's turn, where alone it may stand.
fn messages(turns: Vec<Turn>, hears: bool, ledger: &mut Ledger) -> Result<Vec<Value>, Refused> {
    let mut out: Vec<(&str, Vec<Value>)> = Vec::with_capacity(turns.len() + 1);
    let mut said: Vec<Value> = Vec::new();
    for turn in turns {
        let model = turn.role == Role::Assistant;
        let words = |part: &Part| matches!(part.what, What::Text(_));
        let system = hears && turn.role.is_system() && turn.parts.iter().all(words);
        let speaker = if system { Role::User } else { turn.role };
        let mut blocks = blocks(speaker, turn.parts, ledger)?;
        if model {
            blocks = calls_last(blocks);
        }
        if system {
            said.extend(blocks);
            continue;
        }
        if blocks.is_empty() {
            continue;
        }
        if model {
            hear(&mut out, &mut said);
        }
        let role = if model { "assistant" } else { "user" };
        match out.last_mut() {
            Some((last, before)) if *last == role => before.extend(blocks),
            None if model => {
                ledger.add("messages[0]", BEGINS);
                out.push(("user", vec![json!({"type": "text", "text": BEGINS})]));
                out.push((role, blocks));
            }
            _ => out.push((role, blocks)),
        }
    }
    hear(&mut out, &mut said);
    Ok(out.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

/// Whether the model spoke last, and waits for no tool.
fn ends_with_model(last: &Value) -> bool {
    let calls = || last["content"].as_array().is_some_and(|all| all.iter().any(|block| block["type"] == "tool_use"));
    last["role"] == "assistant" && !calls()
}

/// Adds what the operator said since the model spoke: behind the user, or in his place where he said nothing.
fn hear(out: &mut Vec<(&str, Vec<Value>)>, said: &mut Vec<Value>) {
    if said.is_empty() {
        return;
    }
    let mut blocks = std::mem::take(said);
    if out.last().is_some_and(|(role, _)| *role == "user") {
        out.push(("system", blocks));
        return;
    }
    for block in &mut blocks {
        block["text"] = marked(block["text"].as_str().unwrap_or_default()).into();
    }
    out.push(("user", blocks));
}

/// A system text that stands in the user's turn and says what it is.
fn marked(text: &str) -> String {
    format!("<system>\n{text}\n</system>")
}

/// No text may follow a tool call (W-22): texts that do go before the first. Thinking stays where it is (W-25).
fn calls_last(blocks: Vec<Value>) -> Vec<Value> {
    let Some(first) = blocks.iter().position(|block| block["type"] == "tool_use") else { return blocks };
    let mut blocks = blocks;
    let behind = blocks.split_off(first);
    let (texts, others): (Vec<Value>, Vec<Value>) = behind.into_iter().partition(|block| block["type"] == "text");
    blocks.extend(texts);
    blocks.extend(others);
    blocks
}

fn blocks(role: Role, parts: Vec<Part>, ledger: &mut Ledger) -> Result<Vec<Value>, Refused> {
    let mut out = Vec::with_capacity(parts.len());
    let mut parts = parts.into_iter().peekable();
    while let Some(Part { at, what }) = parts.next() {
        match what {
            What::Search(search) => match search.blocks() {
                Some(blocks) => out.extend(blocks),
                None => ledger.drop_each(&at, super::RAN),
            },
            What::Cited(_) => super::uncited(&at, ledger),
            What::Text(text) if !text.trim().is_empty() && role == Role::Assistant => {
                let cited = parts.next_if(|next| matches!(next.what, What::Cited(_)));
                out.extend(cited_text(&text, cited, ledger));
            }
            what => out.extend(block(&at, role, what, ledger)?),
        }
    }
    Ok(out)
}

/// A text with those of its sources that Anthropic gave: it takes no others.
fn cited_text(text: &str, cited: Option<Part>, ledger: &mut Ledger) -> Vec<Value> {
    let mut sources = Vec::new();
    if let Some(Part { at, what: What::Cited(all) }) = cited {
        let given = all.len();
        sources.extend(all.into_iter().filter(|source| source.for_anthropic().is_some()));
        if sources.len() < given {
            super::uncited(&at, ledger);
        }
    }
    messages_text::blocks(text, &sources)
}

fn block(at: &str, role: Role, what: What, ledger: &mut Ledger) -> Result<Option<Value>, Refused> {
    Ok(Some(match what {
        // Messages refuses blocks of nothing but white space (W-23).
        What::Text(text) if text.trim().is_empty() => return Ok(None),
        // A system text between turns has no place of its own here. It stays where it was said, and says what it is.
        What::Text(text) if role.is_system() => {
            json!({"type": "text", "text": marked(&text)})
        }
        What::Text(text) => json!({"type": "text", "text": text}),
        What::Image(image) => json!({"type": "image", "source": source(image.source)}),
        What::Document(document) => self::document(at, document)?,
        What::Audio(_) => return Err(refuse(at, "the upstream that answers this model cannot listen")),
        What::Call(call) => {
            let (id, name) = (fit::id(Dialect::Messages, &call.id).into_owned(), call.name.clone());
            json!({"type": "tool_use", "id": id, "name": name, "input": call.parsed()})
        }
        What::Outcome(outcome) => {
            let mut out = Map::new();
            out.insert("type".to_owned(), "tool_result".into());
            out.insert("tool_use_id".to_owned(), fit::id(Dialect::Messages, &outcome.id).into());
            let mut content = blocks(Role::User, outcome.parts, ledger)?;
            match content.as_mut_slice() {
                [] => {}
                [one] if one["type"] == "text" => put(&mut out, "content", Some(one["text"].take())),
                _ => put(&mut out, "content", Some(content)),
            }
            put(&mut out, "is_error", outcome.failed.then_some(true));
            Value::Object(out)
        }
        What::Reasoning(Dialect::Messages, block) => block,
        What::Reasoning(..) => {
            ledger.drop_each(at, "reasoning of another vendor");
            return Ok(None);
        }
        What::Search(_) | What::Cited(_) => return Ok(None),
    }))
}

fn source(source: Source) -> Value {
    match source {
        Source::Data { media, data } => json!({"type": "base64", "media_type": media, "data": data}),
        Source::Url(url) => json!({"type": "url", "url": url}),
    }
}

fn document(at: &str, document: Document) -> Result<Value, Refused> {
    if let Source::Data { media, .. } = &document.source
        && media != "application/pdf"
    {
        return Err(refuse(at, &format!("the upstream that answers this model reads no documents of type {media:?}")));
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "document".into());
    out.insert("source".to_owned(), source(document.source));
    put(&mut out, "title", document.name);
    Ok(Value::Object(out))
}

/// Messages wants tools where the history has calls. Where the client gives none any more, those of the history are named
/// and none may be called.
fn recall(ask: &mut Ask) {
    if ask.has_tools() {
        return;
    }
    for part in ask.turns.iter().flat_map(|turn| &turn.parts) {
        if let What::Call(call) = &part.what
            && !ask.tools.iter().any(|tool| tool.name == call.name)
        {
            let takes = Takes::Json { schema: None, strict: None };
            ask.tools.push(Tool { name: call.name.clone(), description: None, takes });
            ask.choice = Some(Choice::None);
        }
    }
}

/// Tools and the choice among them. What a choice allows is said here by leaving out the rest.
fn tools(body: &mut Map<String, Value>, ask: &mut Ask) {
    let mut choice = match ask.choice.take() {
        Some(Choice::Allowed { required, names }) => {
            ask.tools.retain(|tool| names.contains(&tool.name));
            ask.search = ask.search.take().filter(|_| names.iter().any(|name| name == TOOL));
            Some(if required { json!({"type": "any"}) } else { json!({"type": "auto"}) })
        }
        Some(Choice::Auto) => Some(json!({"type": "auto"})),
        Some(Choice::None) => Some(json!({"type": "none"})),
        Some(Choice::Required) => Some(json!({"type": "any"})),
        Some(Choice::Named(name) | Choice::Hosted(name)) => Some(json!({"type": "tool", "name": name})),
        None => None,
    };
    if ask.parallel == Some(false) {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = true.into();
        }
    }
    if ask.has_tools() {
        let search = ask.search.as_ref().map(Search::for_messages);
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).chain(search).collect());
        put(body, "tool_choice", choice);
    }
}

fn tool(tool: &Tool) -> Value {
    let (schema, strict) = match &tool.takes {
        Takes::Json { schema, strict } => (schema.clone(), *strict),
        Takes::Text => (Some(super::free_schema()), None),
    };
    let mut schema = match schema {
        Some(Value::Object(schema)) => schema,
        _ => Map::new(),
    };
    if !schema.contains_key("type") {
        schema.insert("type".to_owned(), "object".into());
    }
    let mut out = Map::new();
    out.insert("name".to_owned(), tool.name.as_str().into());
    put(&mut out, "description", tool.description.as_deref());
    out.insert("input_schema".to_owned(), schema.into());
    put(&mut out, "strict", strict.filter(|strict| *strict));
    Value::Object(out)
}
