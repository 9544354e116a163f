//! Writes the chunks of a Chat stream, keeping the upstream's envelope (id, created, model).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::stop_name;
use crate::json::{self, Step};
use crate::sse::Frame;
use crate::stream::{Atom, Field, Part, What};
use crate::turn::{StopReason, ToolCall};

/// What every chunk of a stream repeats.
const REPEATED: [&str; 6] = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];

/// The envelope that every chunk repeats.
#[derive(Debug)]
pub struct Encoder {
    envelope: Map<String, Value>,
    learned: bool,
}

impl Encoder {
    /// `model` and `id` stand where the upstream sent no chunk before.
    pub fn new(model: &str, id: &str) -> Self {
        let own =
            json!({"id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 0, "model": model});
        let Value::Object(envelope) = own else { return Self { envelope: Map::new(), learned: false } };
        Self { envelope, learned: false }
    }

    pub(crate) fn learn(&mut self, atom: &Atom) {
        if self.learned || matches!(atom.what, What::Done | What::Unreadable(_)) {
            return;
        }
        let Ok(Value::Object(chunk)) = serde_json::from_str(atom.data()) else { return };
        if chunk.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return;
        }
        self.envelope = chunk.into_iter().filter(|(key, _)| REPEATED.contains(&key.as_str())).collect();
        self.learned = true;
    }

    fn chunk(&self, choice: u32, delta: &Value, finish: &Value) -> Bytes {
        let mut chunk = self.envelope.clone();
        let choices = json!([{"index": choice, "delta": delta, "finish_reason": finish}]);
        chunk.insert("choices".into(), choices);
        Frame::write("", &Value::Object(chunk).to_string())
    }

    pub(crate) fn head(&self) -> Bytes {
        self.chunk(0, &json!({"role": "assistant", "content": ""}), &Value::Null)
    }

    pub(crate) fn text(&self, choice: u32, text: &str) -> Bytes {
        self.chunk(choice, &json!({"content": text}), &Value::Null)
    }

    pub(crate) fn call(&self, choice: u32, at: u32, call: &ToolCall) -> Bytes {
        let mut whole = super::call(call);
        whole.insert("index".into(), at.into());
        let calls = json!([whole]);
        self.chunk(choice, &json!({"tool_calls": calls}), &Value::Null)
    }

    pub(crate) fn own_stop(&self, choice: u32, reason: &StopReason) -> Bytes {
        self.chunk(choice, &json!({}), &stop_name(reason).into())
    }
}

pub(crate) fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

pub(crate) fn part(atom: &Atom) -> Bytes {
    match part_data(atom) {
        None => atom.frame.raw.clone(),
        Some(data) => Frame::write("", &data),
    }
}

/// The chunk that carries only this part; `None` where the frame has no other.
fn part_data(atom: &Atom) -> Option<String> {
    let Part::Field { position, field } = atom.part else { return None };
    let Ok(Value::Object(mut chunk)) = serde_json::from_str::<Value>(atom.data()) else { return None };
    let choice = chunk.get_mut("choices").and_then(|choices| choices.get_mut(position)).map(Value::take);
    let Some(Value::Object(mut choice)) = choice else { return None };
    if let Some(Value::Object(delta)) = choice.get_mut("delta") {
        keep_field(delta, field, atom.index == 0);
    }
    if field != Field::Finish && choice.contains_key("finish_reason") {
        choice.insert("finish_reason".into(), Value::Null);
    }
    if let Some(logprobs) = choice.get_mut("logprobs") {
        keep_own(logprobs, field);
    }
    chunk.insert("choices".into(), Value::Array(vec![Value::Object(choice)]));
    if atom.index + 1 < atom.of {
        chunk.shift_remove("usage");
    }
    Some(Value::Object(chunk).to_string())
}

/// Keeps one field of a delta. What this version does not know goes with the first part.
fn keep_field(delta: &mut Map<String, Value>, field: Field, first: bool) {
    let own = match field {
        Field::Content => "content",
        Field::Refusal => "refusal",
        Field::FunctionCall => "function_call",
        Field::ToolCall(_) => "tool_calls",
        Field::Finish | Field::Rest => "",
    };
    delta.retain(|key, value| match key.as_str() {
        "content" | "refusal" | "tool_calls" | "function_call" => {
            key == own || (field == Field::Rest && (value.is_null() || *value == ""))
        }
        _ => field == Field::Rest || (first && field != Field::Finish),
    });
    if let (Field::ToolCall(at), Some(Value::Array(calls))) = (field, delta.get_mut("tool_calls")) {
        let call = calls.get_mut(at).map(Value::take);
        *calls = call.into_iter().collect();
    }
}

/// Keeps the log probabilities of one field.
fn keep_own(logprobs: &mut Value, field: Field) {
    let own = match field {
        Field::Content => "content",
        Field::Refusal => "refusal",
        Field::FunctionCall | Field::ToolCall(_) | Field::Finish | Field::Rest => return *logprobs = Value::Null,
    };
    for (_, other) in logprobs.as_object_mut().into_iter().flatten().filter(|(name, _)| *name != own) {
        *other = Value::Null;
    }
}

pub(crate) fn block_part(atom: &Atom, from: u32, at: u32, text: Option<&str>) -> Bytes {
    let field = match atom.part {
        Part::Whole => whole_field(atom),
        Part::Field { field, .. } => field,
        Part::Event { .. } => Field::Rest,
    };
    let mut changed = part_data(atom);
    // A frame of one atom has one choice with one call; so has a part.
    let delta = [Step::Key("choices"), Step::Index(0), Step::Key("delta")];
    if let (Field::ToolCall(_), true) = (field, from != at) {
        let path = [&delta[..], &[Step::Key("tool_calls"), Step::Index(0), Step::Key("index")]].concat();
        changed = json::replace(changed.as_deref().unwrap_or(atom.data()), &path, &at.to_string()).or(changed);
    }
    if let Some(text) = text {
        let key = if field == Field::Refusal { "refusal" } else { "content" };
        let path = [&delta[..], &[Step::Key(key)]].concat();
        changed = json::replace(changed.as_deref().unwrap_or(atom.data()), &path, &json::quote(text)).or(changed);
        // They tell the text as it was.
        let logprobs = [delta[0], delta[1], Step::Key("logprobs")];
        changed = json::replace(changed.as_deref().unwrap_or(atom.data()), &logprobs, "null").or(changed);
    }
    changed.map_or_else(|| atom.frame.raw.clone(), |data| Frame::write("", &data))
}

/// Which field a frame of one atom has.
fn whole_field(atom: &Atom) -> Field {
    match &atom.what {
        What::Block { id, .. } => match id.block {
            super::CONTENT => Field::Content,
            super::REFUSAL => Field::Refusal,
            super::FUNCTION_CALL => Field::FunctionCall,
            super::REASONING => Field::Rest,
            _ => Field::ToolCall(0),
        },
        What::Stop { .. } => Field::Finish,
        _ => Field::Rest,
    }
}

pub(crate) fn stop(atom: &Atom, reason: Option<&StopReason>) -> Bytes {
    let Some(reason) = reason else { return part(atom) };
    let data = part_data(atom);
    let path = [Step::Key("choices"), Step::Index(0), Step::Key("finish_reason")];
    let changed = json::replace(data.as_deref().unwrap_or(atom.data()), &path, &json::quote(stop_name(reason)));
    changed.map_or_else(|| part(atom), |data| Frame::write("", &data))
}
