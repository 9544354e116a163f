//! Web searches that a vendor ran earlier in the conversation, and the sources of the model's texts.

use serde_json::{Map, Value};

use super::super::citation::{Citation, characters};
use super::super::search::{self, Found};
use super::ask::{Part, Turn, What};
use super::take;

/// A search.
#[derive(Debug)]
pub(super) struct Searched {
    /// As Anthropic knows it; empty for other vendors'.
    id: String,
    input: Value,
    /// What came of it; nothing where the turn ended before.
    found: Option<Found>,
}

impl Searched {
    /// A block of Messages; `None` for a tool that is none, or belongs to code that the vendor ran.
    pub(super) fn of_messages(block: &mut Map<String, Value>) -> Option<Self> {
        let direct = block.get("caller").and_then(|caller| caller.get("type")).is_none_or(|kind| kind == "direct");
        if !direct || block.get("name").is_none_or(|name| name != search::TOOL) {
            return None;
        }
        let input = take::some(block, "input").unwrap_or_default();
        Some(Self { id: take::text(block, "id").unwrap_or_default(), input, found: None })
    }

    /// An item of Responses.
    pub(super) fn of_item(item: &Value) -> Self {
        let (found, id) = Found::of_item(item);
        let input = search::input(item.get("action").unwrap_or(&Value::Null));
        Self { id: id.unwrap_or_default(), input, found: Some(found) }
    }

    /// The blocks of Messages, where Anthropic ran it and takes it back.
    pub(super) fn blocks(&self) -> Option<[Value; 2]> {
        let found = self.found.as_ref().filter(|found| found.is_anthropics() && search::is_anthropics(&self.id))?;
        Some([search::call(&self.id, &self.input), found.block(&self.id)])
    }

    /// The item of Responses.
    pub(super) fn item(&self) -> Option<Value> {
        Some(search::item_for_openai(&self.input, self.found.as_ref()?))
    }
}

/// Gives what a `web_search_tool_result` tells to its search; whether there is one.
pub(super) fn found(turns: &mut [Turn], turn: &mut Turn, block: &Map<String, Value>) -> bool {
    let Some(id) = block.get("tool_use_id").and_then(Value::as_str) else { return false };
    let earlier = turns.iter_mut().rev().flat_map(|turn| turn.parts.iter_mut().rev());
    for part in turn.parts.iter_mut().rev().chain(earlier) {
        if let What::Search(searched) = &mut part.what
            && searched.id == id
            && searched.found.is_none()
        {
            searched.found = Some(Found::of_messages(block.get("content").unwrap_or(&Value::Null)));
            return true;
        }
    }
    false
}

/// The sources of a text, each with its place, and whether there are some that have no counterpart.
pub(super) fn sources(
    list: Option<Value>,
    text: &str,
    read: impl Fn(&Value) -> Option<Citation>,
) -> (Vec<Citation>, bool) {
    let Some(Value::Array(list)) = list else { return (Vec::new(), false) };
    let length = characters(text);
    let sources: Vec<Citation> = list.iter().filter_map(read).map(|source| source.within(0, length)).collect();
    let lost = sources.len() < list.len();
    (sources, lost)
}

/// Adds parts to a turn. A text that cites is cut into blocks where its citations begin and end: it is made whole again.
pub(super) fn add(turn: &mut Vec<Part>, parts: Vec<Part>, joins: bool) {
    let mut base = 0;
    for part in parts {
        let cited = turn.last().is_some_and(|last| matches!(last.what, What::Cited(_)));
        let before = turn.len().checked_sub(if cited { 2 } else { 1 });
        match part.what {
            What::Text(text) if joins => match before.and_then(|at| turn.get_mut(at)).map(|last| &mut last.what) {
                Some(What::Text(before)) => {
                    base = characters(before);
                    before.push_str(&text);
                }
                _ => turn.push(Part { at: part.at, what: What::Text(text) }),
            },
            What::Cited(sources) => {
                let moved = sources.into_iter().map(|source| source.within(base, u64::MAX));
                match turn.last_mut().map(|last| &mut last.what) {
                    Some(What::Cited(before)) => before.extend(moved),
                    _ => turn.push(Part { at: part.at, what: What::Cited(moved.collect()) }),
                }
            }
            what => turn.push(Part { at: part.at, what }),
        }
    }
}
