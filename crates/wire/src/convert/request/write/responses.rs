//! Writes requests in Responses.

use serde_json::{Map, Value, json};

use super::super::super::Refused;
use super::super::super::citation::{Citation, characters};
use super::super::super::search::TOOL;
use super::super::ask::{Ask, Choice, Format, LOGPROBS, Part, Role, SOURCES, Source, Tool, Turn, What};
use super::super::ledger::{Ledger, refuse};
use super::super::search::Search;
use super::super::{fit, media, models};
use super::{Target, put};
use crate::dialect::Dialect;

/// The least limit of tokens that OpenAI takes here.
const LEAST: u64 = 16;

pub(super) fn write(mut ask: Ask, target: &Target<'_>, ledger: &mut Ledger) -> Result<Map<String, Value>, Refused> {
    if ask.stop.iter().any(|stop| stop != "") {
        let at = if target.from == Dialect::Messages { "stop_sequences" } else { "stop" };
        return Err(refuse(at, "the upstream that answers this model cannot stop at a text"));
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    let mut input = Vec::with_capacity(ask.turns.len());
    let system = super::system(std::mem::take(&mut ask.system), ledger);
    if ask.turns.is_empty() {
        // There has to be something to answer.
        input.extend(system.map(|text| json!({"type": "message", "role": "system", "content": text})));
    } else {
        put(&mut body, "instructions", system);
    }
    for turn in std::mem::take(&mut ask.turns) {
        items(&mut input, turn, models::is_openai(target.model), ledger)?;
    }
    body.insert("input".to_owned(), input.into());
    let (search, calls) = ask.search.as_ref().map(Search::for_responses).unzip();
    if ask.has_tools() {
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).chain(search).collect());
    }
    put(&mut body, "max_tool_calls", calls.flatten());
    let searches = ask.search.is_some() && !ask.tools.iter().any(|tool| tool.name == TOOL);
    let chosen = ask.choice.take().map(|chosen| choice(chosen, searches));
    put(&mut body, "tool_choice", chosen);
    put(&mut body, "parallel_tool_calls", ask.parallel);
    put(&mut body, "max_output_tokens", limit(&mut ask, target.from, ledger));
    // Models that reason refuse both here, even where they say nothing.
    let says = |value: &Value| value.as_f64() != Some(1.0);
    let effort = super::effort(&ask, target.model, ledger);
    if !models::samples_at_openai(target.model, effort.as_deref()) {
        super::unsampled(&mut ask, ledger);
    }
    put(&mut body, "temperature", ask.temperature.take().filter(says));
    put(&mut body, "top_p", ask.top_p.take().filter(says));
    if ask.hinted {
        ledger.drop("cache_control");
    }
    if ask.top_k.is_some() {
        ledger.drop("top_k");
    }
    put(&mut body, "reasoning", reasoning(&ask, effort, target.model));
    put(&mut body, "text", text(target.from, &mut ask));
    put(&mut body, "service_tier", super::tier(target.from, &ask));
    if target.from == Dialect::Messages {
        put(&mut body, "safety_identifier", super::user(&mut ask, ledger));
    }
    put(&mut body, "stream", ask.stream);
    if ask.stream == Some(true) && !ask.stream_options.is_empty() {
        body.insert("stream_options".to_owned(), std::mem::take(&mut ask.stream_options).into());
    }
    // The history is the client's: what the upstream thought comes back in it, so it has to be given out.
    let mut include = Vec::from_iter(models::reasons(target.model).then_some("reasoning.encrypted_content"));
    include.extend(ask.search.is_some().then_some(SOURCES));
    if let Some(wanted) = ask.logprobs.take() {
        include.push(LOGPROBS);
        put(&mut body, "top_logprobs", wanted.top);
    }
    put(&mut body, "include", Some(include).filter(|include| !include.is_empty()));
    Ok(body)
}

fn limit(ask: &mut Ask, from: Dialect, ledger: &mut Ledger) -> Option<Value> {
    let limit = ask.limit.take()?;
    if limit.as_u64().is_none_or(|limit| limit >= LEAST) {
        return Some(limit);
    }
    let at = if from == Dialect::Messages { "max_tokens" } else { "max_completion_tokens" };
    ledger.drop_as(at, "16 is the least there");
    Some(LEAST.into())
}

fn reasoning(ask: &Ask, word: Option<String>, model: &str) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    let on = ask.effort.on == Some(true) || word.as_deref().is_some_and(|word| word != "none");
    let thinks = on && models::reasons(model);
    put(&mut out, "effort", word);
    if thinks && ask.effort.shown != Some(false) {
        out.insert("summary".to_owned(), "auto".into());
    }
    Some(out).filter(|out| !out.is_empty())
}

fn text(from: Dialect, ask: &mut Ask) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    put(
        &mut out,
        "format",
        ask.format.take().map(|format| match format {
            Format::JsonObject => json!({"type": "json_object"}),
            Format::Schema(schema) => {
                let mut members = Map::new();
                members.insert("type".to_owned(), "json_schema".into());
                members.extend(super::schema_members(from, *schema));
                Value::Object(members)
            }
        }),
    );
    put(&mut out, "verbosity", ask.verbosity.take());
    Some(out).filter(|out| !out.is_empty())
}

/// The items of a turn. Texts that follow each other are one message. Searches and sources are told to OpenAI's own server.
fn items(input: &mut Vec<Value>, turn: Turn, openai: bool, ledger: &mut Ledger) -> Result<(), Refused> {
    let mut content: Vec<Value> = Vec::new();
    for Part { at, what } in turn.parts {
        let item = match what {
            What::Call(call) => {
                let (id, name) = (fit::id(Dialect::Responses, &call.id).into_owned(), call.name.clone());
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": call.written()})
            }
            What::Outcome(outcome) => {
                let id = fit::id(Dialect::Responses, &outcome.id).into_owned();
                json!({"type": "function_call_output", "call_id": id, "output": output(outcome.failed, outcome.parts)?})
            }
            What::Search(search) => {
                let Some(item) = search.item().filter(|_| openai) else {
                    ledger.drop_each(&at, super::RAN);
                    continue;
                };
                item
            }
            What::Cited(sources) => {
                match content.last_mut().filter(|part| openai && part["type"] == "output_text") {
                    Some(part) => cite(part, &sources),
                    None => super::uncited(&at, ledger),
                }
                continue;
            }
            What::Reasoning(Dialect::Responses, item) => item,
            What::Reasoning(..) => {
                ledger.drop_each(&at, "reasoning of another vendor");
                continue;
            }
            what => {
                content.extend(part(&at, turn.role, what)?);
                continue;
            }
        };
        message(input, turn.role, &mut content);
        input.push(item);
    }
    message(input, turn.role, &mut content);
    // The vendor refuses reasoning that nothing follows.
    while turn.role == Role::Assistant && input.last().is_some_and(|item| item["type"] == "reasoning") {
        input.pop();
        ledger.drop_each("input", "reasoning that nothing follows");
    }
    Ok(())
}

/// Gives a text its sources.
fn cite(part: &mut Value, sources: &[Citation]) {
    let length = characters(part["text"].as_str().unwrap_or_default());
    part["annotations"] = sources.iter().map(|source| source.for_openai(0, length)).collect();
}

fn message(input: &mut Vec<Value>, role: Role, content: &mut Vec<Value>) {
    if content.is_empty() {
        return;
    }
    let role = match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    input.push(json!({"type": "message", "role": role, "content": std::mem::take(content)}));
}

fn part(at: &str, role: Role, what: What) -> Result<Option<Value>, Refused> {
    Ok(Some(match what {
        What::Text(text) if text.is_empty() && role == Role::Assistant => return Ok(None),
        What::Text(text) if role == Role::Assistant => json!({"type": "output_text", "text": text}),
        What::Text(text) => json!({"type": "input_text", "text": text}),
        What::Image(image) => {
            let mut out = Map::new();
            out.insert("type".to_owned(), "input_image".into());
            out.insert("image_url".to_owned(), media::url(image.source).into());
            put(&mut out, "detail", image.detail);
            Value::Object(out)
        }
        What::Document(document) => {
            let mut out = Map::new();
            out.insert("type".to_owned(), "input_file".into());
            match document.source {
                Source::Url(url) => out.insert("file_url".to_owned(), url.into()),
                source @ Source::Data { .. } => {
                    let name = document.name.unwrap_or_else(|| "document.pdf".to_owned());
                    out.insert("filename".to_owned(), name.into());
                    out.insert("file_data".to_owned(), media::url(source).into())
                }
            };
            Value::Object(out)
        }
        What::Audio(_) => return Err(refuse(at, "the upstream that answers this model cannot listen")),
        What::Call(_) | What::Outcome(_) | What::Reasoning(..) | What::Search(_) | What::Cited(_) => return Ok(None),
    }))
}

/// What a tool gave back: a text, or parts where it shows more.
fn output(failed: bool, parts: Vec<Part>) -> Result<Value, Refused> {
    let (text, others) = super::divided(parts);
    let text = super::marked(failed, text);
    if others.is_empty() {
        return Ok(text.into());
    }
    let mut out = Vec::new();
    if !text.is_empty() {
        out.push(json!({"type": "input_text", "text": text}));
    }
    for Part { at, what } in others {
        out.extend(part(&at, Role::User, what)?);
    }
    Ok(out.into())
}

fn tool(tool: &Tool) -> Value {
    let (schema, strict) = super::described(tool);
    let mut out = Map::new();
    out.insert("type".to_owned(), "function".into());
    out.insert("name".to_owned(), tool.name.as_str().into());
    put(&mut out, "description", tool.description.as_deref());
    out.insert("parameters".to_owned(), schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})));
    // Where it is left out, this dialect means `true`, the others `false`.
    out.insert("strict".to_owned(), strict.unwrap_or(false).into());
    Value::Object(out)
}

fn choice(choice: Choice, searches: bool) -> Value {
    let named = |name: String| json!({"type": "function", "name": name});
    match choice {
        Choice::Auto => "auto".into(),
        Choice::None => "none".into(),
        Choice::Required => "required".into(),
        Choice::Named(name) => named(name),
        Choice::Hosted(kind) => json!({"type": kind}),
        Choice::Allowed { required, names } => {
            let mode = if required { "required" } else { "auto" };
            let one = |name: String| if searches && name == TOOL { json!({"type": TOOL}) } else { named(name) };
            let tools: Vec<Value> = names.into_iter().map(one).collect();
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
    }
}
