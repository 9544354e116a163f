//! Writes requests in Chat.

use serde_json::{Map, Value, json};

use super::super::super::Refused;
use super::super::super::call_signature::{self, Signature};
use super::super::ask::{Ask, Choice, Format, Part, Role, Tool, Turn, What};
use super::super::ledger::{Ledger, refuse};
use super::super::{fit, media, models, search};
use super::{Target, put};
use crate::dialect::Dialect;

pub(super) fn write(mut ask: Ask, target: &Target<'_>, ledger: &mut Ledger) -> Result<Map<String, Value>, Refused> {
    let mut body = Map::new();
    body.insert("model".to_owned(), target.model.into());
    body.insert("messages".to_owned(), messages(&mut ask, target, ledger)?.into());
    put(&mut body, "web_search_options", search::apart(&mut ask));
    if !ask.tools.is_empty() {
        body.insert("tools".to_owned(), ask.tools.iter().map(tool).collect());
    }
    put(&mut body, "tool_choice", ask.choice.take().map(choice));
    put(&mut body, "parallel_tool_calls", ask.parallel);
    put(&mut body, models::limit_on_chat(target.model), ask.limit.take());
    let effort = super::effort(&ask, target.model, ledger);
    if !models::samples_at_openai(target.model, effort.as_deref()) {
        super::unsampled(&mut ask, ledger);
    }
    put(&mut body, "temperature", ask.temperature.take());
    put(&mut body, "top_p", ask.top_p.take());
    put(&mut body, "top_k", ask.top_k.take());
    put(&mut body, "stop", Some(std::mem::take(&mut ask.stop)).filter(|stop| !stop.is_empty()));
    put(&mut body, "reasoning_effort", effort);
    // Few servers know it, and this is what it is where nothing is said.
    put(&mut body, "verbosity", ask.verbosity.take().filter(|verbosity| verbosity != "medium"));
    if let Some(wanted) = ask.logprobs.take() {
        body.insert("logprobs".to_owned(), true.into());
        put(&mut body, "top_logprobs", wanted.top);
    }
    put(&mut body, "response_format", ask.format.take().map(|wanted| format(target.from, wanted)));
    put(&mut body, "service_tier", super::tier(target.from, &ask));
    if target.from == Dialect::Messages {
        put(&mut body, "user", super::user(&mut ask, ledger));
    }
    put(&mut body, "stream", ask.stream);
    if ask.stream == Some(true) {
        // Without it the answer's tokens would not be known.
        let mut options = std::mem::take(&mut ask.stream_options);
        options.insert("include_usage".to_owned(), true.into());
        body.insert("stream_options".to_owned(), options.into());
    }
    Ok(body)
}

fn messages(ask: &mut Ask, target: &Target<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Refused> {
    let mut out = Vec::with_capacity(ask.turns.len() + 1);
    if let Some(text) = super::system(std::mem::take(&mut ask.system), ledger) {
        out.push(json!({"role": "system", "content": text}));
    }
    let mut turns = std::mem::take(&mut ask.turns).into_iter().peekable();
    while let Some(turn) = turns.next() {
        match turn.role {
            Role::Assistant => out.extend(assistant(turn, target, ledger)?),
            Role::System | Role::Developer => out.extend(said("system", turn.parts)?),
            Role::User => {
                let (results, mut rest) = results(turn);
                let after = !results.is_empty();
                out.extend(results);
                // What a result shows goes along with what the user says next.
                if after
                    && !rest.is_empty()
                    && let Some(next) = turns.next_if(|next| next.role == Role::User)
                {
                    rest.extend(next.parts);
                }
                out.extend(said("user", rest)?);
            }
        }
    }
    Ok(out)
}

/// The messages for tools' results, and the parts that stay for a message of the user: results are text here, so what
/// else they show follows, with a line that says whose it is.
fn results(turn: Turn) -> (Vec<Value>, Vec<Part>) {
    let mut messages = Vec::new();
    let mut rest = Vec::new();
    for part in turn.parts {
        let Part { at, what: What::Outcome(outcome) } = part else {
            rest.push(part);
            continue;
        };
        let id = fit::id(Dialect::Chat, &outcome.id).into_owned();
        let (text, others) = super::divided(outcome.parts);
        let text = super::marked(outcome.failed, text);
        let text = match (text.is_empty(), others.is_empty()) {
            (true, false) => "[what the tool shows follows in the next message]".to_owned(),
            _ => text,
        };
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        if !others.is_empty() {
            rest.push(Part { at, what: What::Text(format!("[shown by the tool call {id}]")) });
            rest.extend(others);
        }
    }
    (messages, rest)
}

/// A message of the user or the operator, if it says anything.
fn said(role: &str, parts: Vec<Part>) -> Result<Option<Value>, Refused> {
    let mut content: Vec<Value> = Vec::with_capacity(parts.len());
    for part in parts {
        content.push(match part.what {
            What::Text(text) => json!({"type": "text", "text": text}),
            What::Image(image) => {
                let mut inside = Map::new();
                inside.insert("url".to_owned(), media::url(image.source).into());
                put(&mut inside, "detail", image.detail);
                json!({"type": "image_url", "image_url": inside})
            }
            What::Document(document) => {
                if matches!(document.source, super::super::ask::Source::Url(_)) {
                    return Err(refuse(&part.at, "a document by its address cannot be said on Chat: send its bytes"));
                }
                let name = document.name.unwrap_or_else(|| "document.pdf".to_owned());
                json!({"type": "file", "file": {"filename": name, "file_data": media::url(document.source)}})
            }
            What::Audio(audio) => json!({"type": "input_audio", "input_audio": audio}),
            What::Call(_) | What::Outcome(_) | What::Reasoning(..) | What::Search(_) | What::Cited(_) => continue,
        });
    }
    Ok(content_of(content).map(|content| json!({"role": role, "content": content})))
}

/// Parts as a content: one text is a string, which every server takes.
fn content_of(mut parts: Vec<Value>) -> Option<Value> {
    match parts.as_mut_slice() {
        [] => None,
        [one] if one["type"] == "text" => Some(one["text"].take()),
        _ => Some(Value::Array(parts)),
    }
}

fn assistant(turn: Turn, target: &Target<'_>, ledger: &mut Ledger) -> Result<Option<Value>, Refused> {
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), Value::Null);
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let (mut signature, mut ids, mut late) = (None, Vec::new(), Vec::new());
    for Part { at, mut what } in turn.parts {
        if let What::Reasoning(Dialect::Chat, Value::Object(members)) = &mut what {
            match call_signature::take(members) {
                Some(_) if models::is_openai(target.model) => {
                    ledger.drop_each(&at, "a call's signature of another vendor");
                }
                Some(Signature { data, id: Some(id) }) => late.push((id, data)),
                Some(Signature { data, id: None }) => signature = Some(data),
                None => {}
            }
        }
        match what {
            What::Text(text) if text.is_empty() => {}
            What::Text(text) => content.push(json!({"type": "text", "text": text})),
            What::Reasoning(Dialect::Chat, Value::Object(members)) if members.is_empty() => {}
            What::Reasoning(Dialect::Chat, Value::Object(members)) if !models::takes_no_reasoning(target.model) => {
                add(&mut message, members);
            }
            What::Reasoning(..) => ledger.drop_each(&at, "reasoning of another vendor"),
            What::Search(_) => ledger.drop_each(&at, super::RAN),
            What::Cited(_) => super::uncited(&at, ledger),
            What::Call(call) => {
                let (id, name) = (fit::id(Dialect::Chat, &call.id).into_owned(), call.name.clone());
                ids.push(call.id.clone());
                calls.push(json!({
                    "id": id, "type": "function", "function": {"name": name, "arguments": call.written()},
                }));
                if let (Some(signature), Some(call)) = (signature.take(), calls.last_mut()) {
                    call["extra_content"] = call_signature::written(&signature);
                }
            }
            What::Image(_) | What::Document(_) | What::Audio(_) | What::Outcome(_) => {
                return Err(refuse(&at, "a turn of the model holds texts and tool calls only"));
            }
        }
    }
    for (id, signature) in late {
        if let Some(at) = ids.iter().position(|known| *known == id) {
            calls[at]["extra_content"] = call_signature::written(&signature);
        }
    }
    let content = content_of(content);
    if content.is_none() && calls.is_empty() {
        return Ok(None);
    }
    put(&mut message, "content", content);
    put(&mut message, "tool_calls", Some(calls).filter(|calls| !calls.is_empty()));
    Ok(Some(Value::Object(message)))
}

/// Adds reasoning to a message that may have some: a turn may hold it in several pieces.
fn add(message: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        match (message.get_mut(&name), value) {
            (Some(Value::Array(before)), Value::Array(more)) => before.extend(more),
            (Some(Value::String(before)), Value::String(more)) => {
                before.push_str("\n\n");
                before.push_str(&more);
            }
            (_, value) => {
                message.insert(name, value);
            }
        }
    }
}

fn tool(tool: &Tool) -> Value {
    let (schema, strict) = super::described(tool);
    let mut function = Map::new();
    function.insert("name".to_owned(), tool.name.as_str().into());
    put(&mut function, "description", tool.description.as_deref());
    put(&mut function, "parameters", schema);
    put(&mut function, "strict", strict.filter(|strict| *strict));
    json!({"type": "function", "function": function})
}

fn choice(choice: Choice) -> Value {
    let named = |name: String| json!({"type": "function", "function": {"name": name}});
    match choice {
        Choice::Auto => "auto".into(),
        Choice::None => "none".into(),
        Choice::Required => "required".into(),
        Choice::Named(name) | Choice::Hosted(name) => named(name),
        Choice::Allowed { required, names } => {
            let mode = if required { "required" } else { "auto" };
            let tools: Vec<Value> = names.into_iter().map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}

fn format(from: Dialect, format: Format) -> Value {
    match format {
        Format::JsonObject => json!({"type": "json_object"}),
        Format::Schema(schema) => json!({"type": "json_schema", "json_schema": super::schema_members(from, *schema)}),
    }
}
