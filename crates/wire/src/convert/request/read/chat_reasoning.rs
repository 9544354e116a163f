//! Finds in a Chat message the reasoning that another dialect's vendor gave, in the forms seen in the wild.

use serde_json::{Map, Value, json};

use super::super::super::envelope::{self, CHAT_MEMBERS};
use super::super::ask::What;
use super::super::take;
use crate::dialect::Dialect;

/// The reasoning of an assistant's message: what a vendor gave with its signature, once, however often it is shown; else
/// the members as they are, which mean something to a Chat server only.
pub(super) fn read(message: &mut Map<String, Value>) -> Vec<What> {
    let mut own = Map::new();
    for name in CHAT_MEMBERS {
        if let Some(value) = take::some(message, name).filter(|value| value != "") {
            own.insert(name.to_owned(), value);
        }
    }
    let list = |name: &str| own.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut found: Vec<What> = list("thinking_blocks").into_iter().filter_map(block).collect();
    if found.is_empty() {
        found = details(list("reasoning_details"));
    }
    if found.is_empty() && !own.is_empty() {
        found.push(What::Reasoning(Dialect::Chat, Value::Object(own)));
    }
    found
}

/// One of `thinking_blocks`: a block of Messages, whose signature may be our envelope.
fn block(block: Value) -> Option<What> {
    let opaque = block.get("signature").or_else(|| block.get("data")).and_then(Value::as_str);
    match opaque.and_then(envelope::open) {
        Some((from, value)) => Some(What::Reasoning(from, value)),
        None => envelope::is_reasoning(Dialect::Messages, &block).then_some(What::Reasoning(Dialect::Messages, block)),
    }
}

/// `reasoning_details`: our envelopes, or what an intermediary wrote for the vendor that `format` names.
fn details(details: Vec<Value>) -> Vec<What> {
    let mut out = Vec::new();
    let mut summary = Vec::new();
    for detail in details {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        if let Some((from, value)) = text("signature").or_else(|| text("data")).and_then(envelope::open) {
            out.push(What::Reasoning(from, value));
            continue;
        }
        let (format, kind) = (text("format").unwrap_or_default(), text("type").unwrap_or_default());
        let anthropic = format.starts_with("anthropic");
        let openai = format.starts_with("openai-responses");
        match kind {
            "reasoning.text" if anthropic => {
                let Some(signature) = text("signature") else { continue };
                let block =
                    json!({"type": "thinking", "thinking": text("text").unwrap_or_default(), "signature": signature});
                out.push(What::Reasoning(Dialect::Messages, block));
            }
            "reasoning.encrypted" if anthropic => {
                let block = json!({"type": "redacted_thinking", "data": text("data").unwrap_or_default()});
                out.push(What::Reasoning(Dialect::Messages, block));
            }
            "reasoning.summary" if openai => {
                let text = text("summary").unwrap_or_default();
                summary.push(json!({"type": "summary_text", "text": text}));
            }
            "reasoning.encrypted" if openai => {
                let item = json!({
                    "type": "reasoning", "id": text("id").unwrap_or_default(), "summary": std::mem::take(&mut summary),
                    "encrypted_content": text("data").unwrap_or_default(),
                });
                out.push(What::Reasoning(Dialect::Responses, item));
            }
            _ => {}
        }
    }
    out
}
