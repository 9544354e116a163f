//! Reads requests in Chat.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::super::citation::Citation;
use super::super::ask::{Ask, Cache, Call, Effort, Format, Input, Logprobs, Outcome, Part, Role, Shape, Turn, What};
use super::super::ledger::{Ledger, refuse};
use super::super::search::Search;
use super::super::searched;
use super::super::{effort, take};
use super::{chat_parts as parts, chat_reasoning, messages_blocks as blocks, tools};

/// How a search is asked for.
const SEARCH: &str = "web_search_options";

pub(super) fn read(ask: &mut Ask, body: &mut Map<String, Value>, ledger: &mut Ledger) -> Result<(), Refused> {
    let mut open = Open::default();
    for (i, message) in take::list(body, "messages").into_iter().enumerate() {
        let turn = turn(&format!("messages[{i}]"), take::members(message), &mut open, ledger)?;
        ask.turns.push(turn);
    }
    tools::openai(ask, take::list(body, "tools"), true, ledger);
    if let Some(Value::Object(options)) = take::some(body, SEARCH) {
        ask.search = Some(Search::of_chat(SEARCH, options, ledger));
    }
    let functions = take::list(body, "functions");
    let called = take::some(body, "function_call");
    let choice = take::some(body, "tool_choice");
    ask.parallel = take::flag(body, "parallel_tool_calls");
    if functions.is_empty() {
        ask.choice = choice.map(tools::choice).transpose()?;
    } else {
        tools::functions(ask, functions);
        ask.legacy = true;
        // An answer has room for one `function_call`.
        ask.parallel = Some(false);
        ask.choice = called.map(legacy_choice).or(choice).map(tools::choice).transpose()?;
    }
    let older = take::some(body, "max_tokens");
    ask.limit = take::some(body, "max_completion_tokens").or(older);
    ask.stop = match take::some(body, "stop") {
        Some(Value::Array(stops)) => stops,
        stop => stop.into_iter().collect(),
    };
    ask.tier = take::text(body, "service_tier");
    ask.verbosity = take::some(body, "verbosity");
    ask.format = take::some(body, "response_format").map(format).transpose()?.flatten();
    ask.effort = thought(body);
    ask.logprobs = logprobs(body)?;
    ask.stream_options = take::object(body, "stream_options");
    ask.include_usage = take::flag(&mut ask.stream_options, "include_usage") == Some(true);
    ask.user = user(body);
    // Clients that know a Claude behind this dialect mark its cache as Messages has it.
    ask.hinted = ledger.take(blocks::HINT);
    ask.cache = cache(body).or(ask.hinted.then_some(Cache { long: false }));
    Ok(())
}

/// `logprobs` and `top_logprobs`.
fn logprobs(body: &mut Map<String, Value>) -> Result<Option<Logprobs>, Refused> {
    let wanted = take::flag(body, "logprobs") == Some(true);
    let top = take::some(body, "top_logprobs").filter(|top| *top != 0);
    if !wanted && top.is_some() {
        return Err(refuse("top_logprobs", "it says how many of what `logprobs` asks for, which is not set"));
    }
    Ok(wanted.then(|| Logprobs { at: "logprobs".to_owned(), top }))
}

/// Calls without an id of their own, until their results come.
#[derive(Default)]
struct Open {
    made: usize,
    waiting: Vec<(String, String)>,
}

impl Open {
    /// The id of a call, made up where it has none.
    fn call(&mut self, id: String, name: &str) -> String {
        if !id.is_empty() {
            return id;
        }
        self.made += 1;
        let id = format!("call_{}", self.made);
        self.waiting.push((id.clone(), name.to_owned()));
        id
    }

    /// The id of the call that a result without one belongs to: the first of that name, else the first.
    fn result(&mut self, id: String, name: &str) -> String {
        if !id.is_empty() || self.waiting.is_empty() {
            return id;
        }
        let at = self.waiting.iter().position(|(_, waiting)| waiting == name).unwrap_or(0);
        self.waiting.remove(at).0
    }
}

fn turn(at: &str, mut message: Map<String, Value>, open: &mut Open, ledger: &mut Ledger) -> Result<Turn, Refused> {
    let content = message.shift_remove("content");
    blocks::hints(&mut message, ledger);
    let turn = match take::text(&mut message, "role").as_deref() {
        Some("system") => Turn { role: Role::System, parts: parts::content(at, Role::System, content, ledger)? },
        Some("developer") => {
            Turn { role: Role::Developer, parts: parts::content(at, Role::Developer, content, ledger)? }
        }
        Some("user") => Turn { role: Role::User, parts: parts::content(at, Role::User, content, ledger)? },
        Some("assistant") => assistant(at, content, &mut message, open, ledger)?,
        Some("tool" | "function") => {
            let name = take::text(&mut message, "name").unwrap_or_default();
            let id = open.result(take::text(&mut message, "tool_call_id").unwrap_or_default(), &name);
            let parts = parts::content(at, Role::User, content, ledger)?;
            let what = What::Outcome(Outcome { id, failed: false, parts });
            Turn { role: Role::User, parts: vec![Part::new(at, what)] }
        }
        _ => return Err(refuse(at, "the role is none that the upstream knows")),
    };
    message.retain(|_, value| !value.is_null());
    for name in message.keys() {
        ledger.drop_each(&format!("{at}.{name}"), "a member of one message");
    }
    Ok(turn)
}

fn assistant(
    at: &str,
    content: Option<Value>,
    message: &mut Map<String, Value>,
    open: &mut Open,
    ledger: &mut Ledger,
) -> Result<Turn, Refused> {
    let mut turn = Turn::new(Role::Assistant);
    turn.parts.extend(chat_reasoning::read(message).into_iter().map(|what| Part::new(at, what)));
    turn.parts.extend(parts::content(at, Role::Assistant, content, ledger)?);
    sources(at, &mut turn.parts, message.shift_remove("annotations"), ledger);
    turn.parts.extend(take::text(message, "refusal").map(|text| Part::text(at, text)));
    for (i, call) in take::list(message, "tool_calls").into_iter().enumerate() {
        let at = format!("{at}.tool_calls[{i}]");
        let mut call = take::members(call);
        let id = take::text(&mut call, "id").unwrap_or_default();
        let free = call.contains_key("custom");
        let mut inside = take::object(&mut call, if free { "custom" } else { "function" });
        let call = named(&mut inside, id, free, open);
        turn.parts.push(Part::new(at, What::Call(call)));
    }
    if let Some(mut call) = take::some(message, "function_call").map(take::members) {
        let call = named(&mut call, String::new(), false, open);
        turn.parts.push(Part::new(format!("{at}.function_call"), What::Call(call)));
    }
    message.shift_remove("index");
    Ok(turn)
}

/// The sources of an answer's text.
fn sources(at: &str, parts: &mut Vec<Part>, annotations: Option<Value>, ledger: &mut Ledger) {
    let at = format!("{at}.annotations");
    let read = |annotation: &Value| annotation.get("url_citation").and_then(Citation::of_openai);
    let (sources, lost) = match parts.last() {
        Some(Part { what: What::Text(text), .. }) => searched::sources(annotations, text, read),
        _ => searched::sources(annotations, "", |_| None),
    };
    if lost {
        ledger.drop_each(&at, "annotations");
    }
    if !sources.is_empty() {
        parts.push(Part::new(at, What::Cited(sources)));
    }
}

fn named(inside: &mut Map<String, Value>, id: String, free: bool, open: &mut Open) -> Call {
    let name = take::text(inside, "name").unwrap_or_default();
    let input = match (free, inside.shift_remove("arguments")) {
        (true, _) => Input::Free(take::text(inside, "input").unwrap_or_default()),
        (false, Some(Value::String(text))) => Input::Written(text),
        (false, Some(value)) => Input::Parsed(value),
        (false, None) => Input::Written(String::new()),
    };
    Call { id: open.call(id, &name), name, input }
}

/// `function_call` of a request, as a `tool_choice`.
fn legacy_choice(choice: Value) -> Value {
    match choice {
        Value::Object(mut named) => {
            named.insert("type".to_owned(), "function".into());
            Value::Object(named)
        }
        word => word,
    }
}

/// `response_format`; nothing for plain text.
pub(super) fn format(format: Value) -> Result<Option<Format>, Refused> {
    let mut format = take::members(format);
    match take::kind(&mut format).as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let inside = take::object(&mut format, "json_schema");
            Ok(Some(schema(if inside.is_empty() { format } else { inside })))
        }
        _ => Err(refuse("response_format", "this form cannot be asked of the upstream")),
    }
}

/// A schema with its name, as Chat has it one level deeper than Responses.
pub(super) fn schema(mut inside: Map<String, Value>) -> Format {
    Format::Schema(Box::new(Shape {
        name: take::some(&mut inside, "name"),
        description: take::some(&mut inside, "description"),
        schema: take::some(&mut inside, "schema").unwrap_or(Value::Object(Map::new())),
        strict: take::some(&mut inside, "strict"),
    }))
}

/// `reasoning_effort`, and the two forms that other servers take on Chat: `reasoning` as an object, and `thinking`.
fn thought(body: &mut Map<String, Value>) -> Effort {
    // Servers that reason show it on Chat without being asked.
    let mut out = Effort { at: "reasoning_effort", ..Effort::default() };
    let mut other = take::object(body, "reasoning");
    out.level = take::text(&mut other, "effort");
    out.budget = other.get("max_tokens").and_then(Value::as_u64);
    out.on = take::flag(&mut other, "enabled");
    if let Some(thinking) = take::some(body, "thinking") {
        effort::read(&mut out, thinking.clone());
        out.native = Some(thinking);
        out.at = "thinking";
    }
    out.level = take::text(body, "reasoning_effort").or(out.level);
    word(&mut out);
    out.shown = out.shown.or(Some(true));
    out
}

/// What the word alone says of whether to think.
pub(super) fn word(effort: &mut Effort) {
    match effort.level.as_deref() {
        Some("none") => (effort.on, effort.level) = (Some(false), None),
        Some(_) => effort.on = effort.on.or(Some(true)),
        None if effort.budget.is_some() => effort.on = effort.on.or(Some(true)),
        None => {}
    }
}

/// The end user, as OpenAI's dialects name him; the members stay for a target that knows them.
pub(super) fn user(body: &Map<String, Value>) -> Option<(String, String)> {
    let own = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .filter(|user| !user.is_empty())
            .map(|user| (name.to_owned(), user.to_owned()))
    };
    let metadata = || {
        let user = body.get("metadata")?.get("user_id")?.as_str()?;
        Some(("metadata.user_id".to_owned(), user.to_owned()))
    };
    own("safety_identifier").or_else(|| own("user")).or_else(metadata)
}

/// The prompt cache that is named; the members stay for a target that knows them.
pub(super) fn cache(body: &Map<String, Value>) -> Option<Cache> {
    body.get("prompt_cache_key").filter(|key| key.is_string())?;
    Some(Cache { long: body.get("prompt_cache_retention").is_some_and(|time| time == "24h") })
}
