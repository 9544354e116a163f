//! The reasoning of a Chat answer, in the four forms in which servers write it.

use std::borrow::Cow;

use serde_json::Value;

use super::chat::REASONING;
use crate::convert::answer::event::{Delta, Event, Kind, Member, Opaque};

/// What a delta or message has of it.
pub(super) struct Reasoning<'a> {
    /// `reasoning_content` (DeepSeek, vLLM, llama.cpp) or `reasoning` (OpenRouter).
    pub(super) text: Option<Cow<'a, str>>,
    /// Which of them.
    pub(super) member: Member,
    /// `reasoning_details` (OpenRouter), with signatures.
    pub(super) details: Vec<Value>,
    /// `thinking_blocks` (LiteLLM), with signatures.
    pub(super) blocks: Vec<Value>,
}

impl Reasoning<'_> {
    /// Adds what it says to `out`. The text is taken once, from the plainest form that has it.
    pub(super) fn events(self, begun: &mut bool, out: &mut Vec<Event>) {
        let text = self.text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        let member = if text.is_some() { self.member } else { Member::InList };
        let text = text.unwrap_or_else(|| {
            let from_details = texts(&self.details, &["text", "summary"]);
            if from_details.is_empty() { texts(&self.blocks, &["thinking"]) } else { from_details }
        });
        let told = member != Member::default() && !text.is_empty();
        let deltas = [
            told.then_some(Delta::Opaque(Opaque::Member(member))),
            (!text.is_empty()).then(|| Delta::Text(text)),
            (!self.details.is_empty()).then(|| Delta::Opaque(Opaque::Details(self.details))),
            (!self.blocks.is_empty()).then(|| Delta::Opaque(Opaque::Blocks(self.blocks))),
        ];
        for delta in deltas.into_iter().flatten() {
            if !std::mem::replace(begun, true) {
                out.push(Event::Start(REASONING, Kind::Thinking));
            }
            out.push(Event::Delta(REASONING, delta));
        }
    }
}

/// The reasoning among the parts of a content, as Mistral writes it.
pub(super) fn parts(parts: &[Value]) -> Option<Cow<'static, str>> {
    let thinking = parts.iter().filter_map(|part| part.get("thinking")?.as_array());
    let text: String = thinking.map(|inner| texts(inner, &["text"])).collect();
    (!text.is_empty()).then_some(Cow::Owned(text))
}

fn texts(elements: &[Value], names: &[&str]) -> String {
    let text = |element: &Value| names.iter().find_map(|name| element.get(name)?.as_str().map(str::to_owned));
    elements.iter().filter_map(text).collect()
}
