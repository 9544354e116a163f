//! Finds in a Chat message the reasoning that another dialect's vendor gave, in the forms seen in the wild.

use serde_json::{Map, Value, json};

use super::super::super::envelope::{self, CHAT_MEMBERS};
use super::super::ask::What;
use super::super::take;
use crate::dialect::Dialect;

/// The reasoning of an assistant's message: what a vendor gave with its signature, once, however often it is shown; else
/// the members as they are, which mean something to a Chat server only.
pub(super) fn read(message: &mut Map<String, Value>) -> Vec<What> {
    found(message).into_iter().map(|(from, value)| What::Reasoning(from, value)).collect()
}

/// Whether an envelope is among the reasoning of a message.
pub(in super::super) fn is_sealed(message: &Map<String, Value>) -> bool {
    let list = |name| message.get(name).and_then(Value::as_array).into_iter().flatten();
    list("thinking_blocks").chain(list("reasoning_details")).any(|element| sealed(element).is_some())
}

/// As [`read`], by whose it is; the members are taken out of the message.
pub(in super::super) fn found(message: &mut Map<String, Value>) -> Vec<(Dialect, Value)> {
    let mut own = Map::new();
    for name in CHAT_MEMBERS {
        if let Some(value) = take::some(message, name).filter(|value| value != "") {
            own.insert(name.to_owned(), value);
        }
    }
    let list = |name: &str| own.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (blocks, details) = (list("thinking_blocks"), list("reasoning_details"));
    let mut found: Vec<(Dialect, Value)> = Vec::new();
    for reasoning in blocks.iter().chain(&details).filter_map(sealed) {
        // The same thought may stand in both.
        if !found.contains(&reasoning) {
            found.push(reasoning);
        }
    }
    if found.is_empty() {
        let is_thinking = |block: &Value| envelope::is_reasoning(Dialect::Messages, block);
        found = blocks.into_iter().filter(is_thinking).map(|block| (Dialect::Messages, block)).collect();
    }
    if found.is_empty() {
        found = of_intermediary(details);
    }
    if found.is_empty() && !own.is_empty() {
        found.push((Dialect::Chat, Value::Object(own)));
    }
    found
}

/// What our envelope in a block or detail holds.
fn sealed(element: &Value) -> Option<(Dialect, Value)> {
    ["signature", "data"].into_iter().find_map(|name| envelope::open(element.get(name)?.as_str()?))
}

/// `reasoning_details` as an intermediary wrote them for the vendor that `format` names.
fn of_intermediary(details: Vec<Value>) -> Vec<(Dialect, Value)> {
    let mut out = Vec::new();
    let mut summary = Vec::new();
    for detail in details {
        let text = |name: &str| detail.get(name).and_then(Value::as_str);
        let (format, kind) = (text("format").unwrap_or_default(), text("type").unwrap_or_default());
        let anthropic = format.starts_with("anthropic");
        let openai = format.starts_with("openai-responses");
        match kind {
            "reasoning.text" if anthropic => {
                let Some(signature) = text("signature") else { continue };
                let block =
                    json!({"type": "thinking", "thinking": text("text").unwrap_or_default(), "signature": signature});
                out.push((Dialect::Messages, block));
            }
            "reasoning.encrypted" if anthropic => {
                let block = json!({"type": "redacted_thinking", "data": text("data").unwrap_or_default()});
                out.push((Dialect::Messages, block));
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
                out.push((Dialect::Responses, item));
            }
            _ => {}
        }
    }
    out
}
