//! An answer's meaning from its bytes, for the record and whoever reads it: blocks, stop reason, usage. Never fails.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::sse::Splitter;
use crate::stream::{BlockBuilder, Decoder, What};
use crate::turn::{Block, BlockId};
use crate::whole;

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// The model that answered, by its own word.
    pub model: Option<String>,
    /// The stop reason of the first choice, as on the wire; on Responses the reason why it is incomplete, else the status.
    pub stop_reason: Option<String>,
    /// The usage, as on the wire; members of a stream's several usages are put together, the last one wins.
    pub usage: Option<Value>,
    /// The error, if the answer is or ends with one.
    pub error: Option<String>,
}

/// The blocks of an answer, in order; what cannot be read is left out.
pub fn blocks(dialect: Dialect, streamed: bool, body: &[u8]) -> Vec<(BlockId, Block)> {
    if !streamed {
        let Ok(whole) = whole::decode(dialect, body) else { return Vec::new() };
        return whole.choices.into_iter().flat_map(|c| c.parts).map(|part| (part.id, part.block)).collect();
    }
    let mut open: Vec<(BlockId, BlockBuilder, bool)> = Vec::new();
    let mut decoder = Decoder::new(dialect);
    let mut atoms = Vec::new();
    for frame in frames(body) {
        decoder.decode(frame, &mut atoms);
        for atom in atoms.drain(..) {
            match atom.what {
                What::Block { id, start, piece, end } => {
                    if let Some(kind) = start {
                        open.push((id, BlockBuilder::new(kind), false));
                    }
                    if let Some((_, builder, ended)) = open.iter_mut().rev().find(|(at, _, _)| *at == id) {
                        builder.push(&piece);
                        *ended |= end;
                    }
                }
                What::Stop { choice, .. } => {
                    for (id, _, ended) in &mut open {
                        *ended |= id.choice == choice;
                    }
                }
                _ => {}
            }
        }
    }
    open.into_iter().map(|(id, builder, ended)| (id, builder.finish(!ended))).collect()
}

/// How an answer ended, from its bytes.
pub fn ending(dialect: Dialect, streamed: bool, body: &[u8]) -> Ending {
    let mut ending = Ending::default();
    if streamed {
        for frame in frames(body) {
            if let Some(value) = frame.data.and_then(|data| serde_json::from_slice(&data).ok()) {
                add(dialect, &value, &mut ending);
            }
        }
    } else if let Ok(value) = serde_json::from_slice(body) {
        add(dialect, &value, &mut ending);
    }
    ending
}

fn add(dialect: Dialect, value: &Value, ending: &mut Ending) {
    let head = match dialect {
        Dialect::Messages | Dialect::Chat => value.get("message").unwrap_or(value),
        Dialect::Responses => value.get("response").unwrap_or(value),
    };
    let stop = match dialect {
        Dialect::Messages => value.get("delta").unwrap_or(value).get("stop_reason"),
        Dialect::Chat => value.pointer("/choices/0/finish_reason"),
        Dialect::Responses => status(value, head),
    };
    ending.model = ending.model.take().or_else(|| head.get("model").and_then(text));
    ending.stop_reason = stop.and_then(text).or_else(|| ending.stop_reason.take());
    for usage in [head.get("usage"), value.get("usage")].into_iter().flatten() {
        match (&mut ending.usage, usage) {
            (Some(Value::Object(known)), Value::Object(more)) => {
                known.extend(more.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())));
            }
            (none @ None, Value::Object(_)) => *none = Some(usage.clone()),
            _ => {}
        }
    }
    if let Some(error) = value.get("error").or_else(|| head.get("error")).filter(|error| !error.is_null()) {
        let message = error.get("message").and_then(text).unwrap_or_else(|| error.to_string());
        ending.error = Some(message);
    } else if dialect == Dialect::Responses && value.get("type").is_some_and(|kind| kind == "error") {
        ending.error = value.get("message").and_then(text).or_else(|| ending.error.take());
    }
}

/// Why a response ended, once it has: an item's status is another matter, and so is a response's on the way.
fn status<'v>(value: &'v Value, response: &'v Value) -> Option<&'v Value> {
    let of_response = value.get("response").is_some() || value.get("output").is_some();
    let status = response.get("status").filter(|_| of_response)?;
    let on_the_way = status == "in_progress" || status == "queued";
    let reason = response.pointer("/incomplete_details/reason").filter(|reason| reason.is_string());
    (!on_the_way).then(|| reason.unwrap_or(status))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn frames(body: &[u8]) -> impl Iterator<Item = crate::sse::Frame> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(body);
    let mut ended = false;
    std::iter::from_fn(move || match splitter.next_frame() {
        Ok(Some(frame)) => Some(frame),
        _ if ended => None,
        _ => {
            ended = true;
            splitter.finish()
        }
    })
}

#[cfg(test)]
mod tests;
