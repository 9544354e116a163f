//! Reading a judge's answer: exactly one verdict, or it is unreadable. Unreadable never means allow.

use luthien_wire::json::parse_strict;
use luthien_wire::turn::{Block, ToolCall, ToolForm};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How likely it is that something must not happen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// From 0 to 1.
    pub(crate) probability: f64,
    /// Why, in the judge's words; may be empty.
    pub(crate) explanation: String,
    /// The kind of harm.
    pub(crate) category: Category,
}

/// The kinds of harm that a judge may name. A closed list, so that naming one tells an agent little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Category {
    /// Destroys data or systems.
    Destructive,
    /// Sends data where it must not go.
    Exfiltration,
    /// Reads or uses credentials.
    Credentials,
    /// Gains rights or lasting access.
    Escalation,
    /// Hides what it does, or steers its overseers.
    Deception,
    /// Any other.
    #[default]
    Other,
}

impl Category {
    /// The name that judges answer and messages show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Destructive => "destructive",
            Self::Exfiltration => "exfiltration",
            Self::Credentials => "credentials",
            Self::Escalation => "escalation",
            Self::Deception => "deception",
            Self::Other => "other",
        }
    }
}

impl Verdict {
    /// Reads `{"probability": 0..1, "explanation": text, "category": name}`; the last two may be missing.
    pub(crate) fn read(answer: &str) -> Result<Self, String> {
        let object = only_object(answer)?;
        let probability = match object.get("probability") {
            Some(Value::Number(number)) => number.as_f64().filter(|p| p.is_finite()),
            _ => None,
        };
        let Some(probability) = probability else { return Err("its probability is no number".to_owned()) };
        let explanation = match object.get("explanation") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err("its explanation is no text".to_owned()),
        };
        let category = object.get("category").and_then(|name| Category::deserialize(name).ok()).unwrap_or_default();
        Ok(Self { probability: probability.clamp(0.0, 1.0), explanation, category })
    }
}

/// What is to happen to a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ruling {
    /// It goes on.
    Pass,
    /// These blocks stand in its place; perhaps none.
    Replace(Vec<Block>),
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum RulingText {
    Pass {},
    Replace { blocks: Vec<Map<String, Value>> },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum BlockText {
    Text { text: String },
    ToolUse { name: String, input: Map<String, Value> },
}

impl Ruling {
    /// Reads `{"action": "pass"}` or `{"action": "replace", "blocks": […]}`.
    pub(crate) fn read(answer: &str) -> Result<Self, String> {
        // The reader's own words would quote the answer, and with it what is withheld: they are shown to the client.
        let plainly =
            |_: serde_json::Error| "it is neither a pass nor a replacement by texts and tool calls".to_owned();
        match RulingText::deserialize(Value::Object(only_object(answer)?)).map_err(plainly)? {
            RulingText::Pass {} => Ok(Self::Pass),
            RulingText::Replace { blocks } => {
                let blocks = blocks.into_iter().map(|text| BlockText::deserialize(Value::Object(text)));
                let blocks = blocks.collect::<Result<Vec<_>, _>>().map_err(plainly)?;
                Ok(Self::Replace(blocks.into_iter().filter_map(block).collect()))
            }
        }
    }
}

/// The block as the turn has it. Vendors refuse empty texts, so there are none.
fn block(text: BlockText) -> Option<Block> {
    match text {
        BlockText::Text { text } => (!text.is_empty()).then_some(Block::Text(text)),
        BlockText::ToolUse { name, input } => {
            let input = Value::Object(input);
            let raw = input.to_string();
            Some(Block::ToolCall(ToolCall {
                id: String::new(),
                name,
                form: ToolForm::Client,
                raw,
                arguments: Ok(input),
            }))
        }
    }
}

/// The one JSON object of an answer. Around it may stand white space and code fences, nothing else: an answer with prose
/// may be quoting an object out of what it judges. Objects that say the same count as one.
fn only_object(answer: &str) -> Result<Map<String, Value>, String> {
    let mut found: Option<Value> = None;
    let mut rest = answer.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("```") {
            rest = after.strip_prefix("json").or_else(|| after.strip_prefix("JSON")).unwrap_or(after).trim_start();
            continue;
        }
        if !rest.starts_with('{') {
            return Err("there is text beside the JSON object".to_owned());
        }
        let mut objects = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let Some(Ok(raw)) = objects.next() else { return Err("it is not valid JSON".to_owned()) };
        let end = objects.byte_offset();
        let object = parse_strict(raw.get()).map_err(|why| why.to_string())?;
        if found.as_ref().is_some_and(|first| *first != object) {
            return Err("it gives two verdicts that differ".to_owned());
        }
        found = Some(object);
        rest = rest[end..].trim_start();
    }
    match found {
        Some(Value::Object(object)) => Ok(object),
        _ => Err("it has no JSON object".to_owned()),
    }
}

#[cfg(test)]
mod tests;
