//! A block of reasoning with what its vendor needs to take it back, put together for the envelope.

use serde_json::{Map, Value, json};

use super::event::{Delta, Member, Opaque};
use crate::convert::envelope;
use crate::dialect::Dialect;

/// A block of reasoning as far as it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Thought {
    pub(super) text: String,
    signature: String,
    redacted: Option<String>,
    item: Option<Value>,
    details: Vec<Value>,
    blocks: Vec<Value>,
    member: Member,
}

impl Thought {
    /// What the block gains.
    pub(super) fn add(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(more) | Delta::Spelt(more, _) => self.text.push_str(more),
            // The last one stands, as in the vendor's SDKs.
            Delta::Opaque(Opaque::Signature(signature)) => self.signature.clone_from(signature),
            Delta::Opaque(Opaque::Redacted(data)) => self.redacted = Some(data.clone()),
            Delta::Opaque(Opaque::Item(item)) => self.item = Some(item.clone()),
            Delta::Opaque(Opaque::Details(more)) => more.iter().for_each(|element| join(&mut self.details, element)),
            Delta::Opaque(Opaque::Blocks(more)) => more.iter().for_each(|element| join(&mut self.blocks, element)),
            // A text that stood in a member before stands there whole.
            Delta::Opaque(Opaque::Member(Member::InList)) if !self.text.is_empty() => {}
            Delta::Opaque(Opaque::Member(member)) => self.member = *member,
            Delta::Opaque(Opaque::OfCall(..)) | Delta::Citation(_) | Delta::Arguments(_) | Delta::Found(_) => {}
        }
    }

    /// The vendor hides what it thought.
    pub(super) fn is_redacted(&self) -> bool {
        self.redacted.is_some()
    }

    /// It holds something that the vendor alone can read.
    pub(super) fn is_signed(&self) -> bool {
        let encrypted = self.item.as_ref().and_then(|item| item.get("encrypted_content")).and_then(Value::as_str);
        !self.signature.is_empty() || self.is_redacted() || encrypted.is_some_and(|content| !content.is_empty())
    }

    /// All of it, for the way back to a vendor of dialect `from`.
    pub(super) fn sealed(&self, from: Dialect) -> String {
        envelope::seal(from, &self.as_given(from))
    }

    fn as_given(&self, from: Dialect) -> Value {
        match (from, &self.redacted, &self.item) {
            (Dialect::Messages, Some(data), _) => json!({"type": "redacted_thinking", "data": data}),
            (Dialect::Messages, None, _) => {
                json!({"type": "thinking", "thinking": self.text, "signature": self.signature})
            }
            (Dialect::Responses, _, Some(item)) if item.get("summary").is_some_and(Value::is_array) => item.clone(),
            (Dialect::Responses, ..) => {
                json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": self.text}]})
            }
            (Dialect::Chat, ..) => {
                let mut members = Map::new();
                let alone = self.details.is_empty() && self.blocks.is_empty();
                let name = match self.member {
                    Member::Content => Some("reasoning_content"),
                    Member::Reasoning => Some("reasoning"),
                    Member::InList => alone.then_some("reasoning_content"),
                };
                if let Some(name) = name.filter(|_| alone || !self.text.is_empty()) {
                    members.insert(name.into(), self.text.as_str().into());
                }
                for (name, elements) in [("reasoning_details", &self.details), ("thinking_blocks", &self.blocks)] {
                    if !elements.is_empty() {
                        members.insert(name.into(), elements.clone().into());
                    }
                }
                Value::Object(members)
            }
        }
    }
}

/// Adds an element of a stream's list: one that goes on with the last (the same type and number, not yet signed) is joined
/// to it.
fn join(all: &mut Vec<Value>, element: &Value) {
    const TEXTS: [&str; 4] = ["text", "summary", "thinking", "data"];
    let same = |last: &Value, name: &str| last.get(name) == element.get(name);
    let goes_on = all.last().is_some_and(|last| {
        let signed = last.get("signature").is_some_and(|signature| signature.as_str().is_some_and(|s| !s.is_empty()));
        same(last, "type") && same(last, "index") && same(last, "id") && !signed
    });
    let (true, Some(Value::Object(last)), Value::Object(more)) = (goes_on, all.last_mut(), element) else {
        all.push(element.clone());
        return;
    };
    for (name, value) in more {
        match (last.get_mut(name), value) {
            (_, Value::Null) => {}
            (Some(Value::String(text)), Value::String(more)) if TEXTS.contains(&name.as_str()) => text.push_str(more),
            (Some(known), value) => *known = value.clone(),
            (None, value) => {
                last.insert(name.clone(), value.clone());
            }
        }
    }
}
