//! Writing requests: one writer for each dialect, and what they have in common.

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::super::Refused;
use super::ask::{Ask, Call, Input, Part, Role, Shape, Tool, What};
use super::ledger::{Ledger, refuse};
use super::{models, rest};
use crate::dialect::Dialect;

mod chat;
mod messages;
mod messages_thinking;
mod responses;
mod schemas;

/// What a writer has to know beside the request.
pub(super) struct Target<'a> {
    /// What the client speaks.
    pub(super) from: Dialect,
    /// What the upstream calls the model.
    pub(super) model: &'a str,
}

/// The request in this dialect.
pub(super) fn write(
    to: Dialect,
    mut ask: Ask,
    target: &Target<'_>,
    ledger: &mut Ledger,
) -> Result<Map<String, Value>, Refused> {
    let last = ask.turns.last().filter(|turn| turn.role == Role::Assistant && target.from == Dialect::Messages);
    if let Some(begun) = last.and_then(|turn| turn.parts.iter().rev().find(|part| says(part))) {
        ledger.drop_as(&begun.at, "the model may not go on with the answer that is begun");
    }
    if let Some(wanted) = ask.logprobs.as_ref().filter(|_| to == Dialect::Messages) {
        return Err(refuse(&wanted.at, "the upstream that answers this model gives no log probabilities"));
    }
    let rest = rest::rest(target.from, to, std::mem::take(&mut ask.rest), ledger)?;
    let mut body = match to {
        Dialect::Messages => messages::write(ask, target, ledger)?,
        Dialect::Chat => chat::write(ask, target, ledger)?,
        Dialect::Responses => responses::write(ask, target, ledger)?,
    };
    for (name, value) in rest {
        if body.contains_key(&name) {
            ledger.drop(&name);
        } else {
            body.insert(name, value);
        }
    }
    if to == Dialect::Responses {
        // The history is the client's, and it did not ask that the vendor keep a copy.
        body.entry("store").or_insert(false.into());
    }
    Ok(body)
}

/// Names the sources of a text that the target has no place for.
fn uncited(at: &str, ledger: &mut Ledger) {
    ledger.drop_each(at, if at.ends_with("annotations") { "annotations" } else { "citations" });
}

/// Why a search is left out.
const RAN: &str = "a tool that the vendor ran";

/// Whether a part is a text that says something.
fn says(part: &Part) -> bool {
    matches!(&part.what, What::Text(text) if !text.is_empty())
}

/// Puts a member that is there.
fn put(body: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value.into());
    }
}

/// Whether a system text is the line by which Anthropic's own server tells its clients apart: nothing for another's model.
fn is_billing(part: &Part) -> bool {
    part.at == "system[0]" && matches!(&part.what, What::Text(text) if text.starts_with("x-anthropic-billing-header:"))
}

/// The system prompt as one text, for dialects where servers want it so.
fn system(parts: Vec<Part>, ledger: &mut Ledger) -> Option<String> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        if is_billing(&part) {
            ledger.drop_as(&part.at, "billing header");
        } else if let What::Text(text) = part.what {
            texts.push(text);
        }
    }
    Some(texts.join("\n\n")).filter(|text| !text.is_empty())
}

/// Where Anthropic puts arguments that are no JSON object.
const UNREADABLE: &str = "INVALID_JSON";

/// The name of the one argument of a function that stands for a tool of free text.
const FREE: &str = "input";

/// The schema of a function that stands for a tool of free text.
fn free_schema() -> Value {
    json!({
        "type": "object", "properties": {FREE: {"type": "string", "description": "The whole input, as plain text."}},
        "required": [FREE], "additionalProperties": false,
    })
}

impl Call {
    /// The arguments as JSON in a text.
    fn written(self) -> String {
        match self.input {
            Input::Parsed(value) => value.to_string(),
            Input::Written(text) if text.trim().is_empty() => "{}".to_owned(),
            // Servers that read histories into templates fail on what is no JSON, and the client would send it for ever.
            Input::Written(text) if serde_json::from_str::<IgnoredAny>(&text).is_err() => {
                json!({UNREADABLE: text}).to_string()
            }
            Input::Written(text) => text,
            Input::Free(text) => json!({FREE: text}).to_string(),
        }
    }

    /// The arguments as an object; what is none is put into one.
    fn parsed(self) -> Value {
        let value = match self.input {
            Input::Parsed(value) => value,
            Input::Written(text) if text.trim().is_empty() => Value::Null,
            Input::Written(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Input::Free(text) => json!({FREE: text}),
        };
        match value {
            Value::Object(_) => value,
            Value::Null => Value::Object(Map::new()),
            Value::String(text) => json!({UNREADABLE: text}),
            other => json!({UNREADABLE: other.to_string()}),
        }
    }
}

/// A failed tool's text where the dialect has no mark for it.
fn marked(failed: bool, text: String) -> String {
    match (failed, text.is_empty()) {
        (false, _) => text,
        (true, true) => "[error]".to_owned(),
        (true, false) => format!("[error] {text}"),
    }
}

/// The texts of a result, line by line, and its other parts.
fn divided(parts: Vec<Part>) -> (String, Vec<Part>) {
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for part in parts {
        match part.what {
            What::Text(text) => texts.push(text),
            what => others.push(Part { at: part.at, what }),
        }
    }
    (texts.join("\n"), others)
}

/// A tool's description and schema, as OpenAI's dialects have them.
fn described(tool: &Tool) -> (Option<Value>, Option<bool>) {
    use super::ask::Takes;
    match &tool.takes {
        Takes::Json { schema, strict } => (schema.clone(), *strict),
        Takes::Text => (Some(free_schema()), None),
    }
}

/// The members of a schema format in OpenAI's dialects, which want a name.
fn schema_members(from: Dialect, schema: Shape) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("name".to_owned(), schema.name.unwrap_or_else(|| "answer".into()));
    put(&mut out, "description", schema.description);
    let strict = schema
        .strict
        .or_else(|| (from == Dialect::Messages && schemas::is_strict(&schema.schema)).then_some(true.into()));
    out.insert("schema".to_owned(), schema.schema);
    put(&mut out, "strict", strict);
    out
}

/// The effort in OpenAI's words, as far as the model knows them.
fn effort(ask: &Ask, model: &str, ledger: &mut Ledger) -> Option<String> {
    let word = ask.effort.word()?;
    if models::reasons(model) {
        return Some(models::effort(model, word));
    }
    if word != "none" {
        ledger.drop_as(ask.effort.at, "this model does not think");
    }
    None
}

/// Why a sampling parameter is left out.
const UNSAMPLED: &str = "this model does not take it";

/// Leaves out what a model refuses that is not to be sampled from. 1 is as good as not said.
fn unsampled(ask: &mut Ask, ledger: &mut Ledger) {
    for (name, value) in [("temperature", ask.temperature.take()), ("top_p", ask.top_p.take())] {
        if value.is_some_and(|value| value.as_f64() != Some(1.0)) {
            ledger.drop_as(name, UNSAMPLED);
        }
    }
}

/// The tier of service in OpenAI's words.
fn tier(from: Dialect, ask: &Ask) -> Option<String> {
    let tier = ask.tier.clone()?;
    Some(if from == Dialect::Messages && tier == "standard_only" { "default".to_owned() } else { tier })
}

/// The end user for OpenAI's dialects: longer names than this are refused there.
const USER: usize = 64;

/// The end user of a Messages request, where OpenAI takes it.
fn user(ask: &mut Ask, ledger: &mut Ledger) -> Option<String> {
    let (at, user) = ask.user.take()?;
    if user.len() <= USER {
        return Some(user);
    }
    ledger.drop_as(&at, "longer than 64 characters");
    None
}
