//! What stands in an event, and the event with another number or place.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::item::Content;
use crate::json::{self, Step};
use crate::sse::{Frame, Splitter};
use crate::stream::Atom;

/// The event's number.
pub(super) fn number(frame: &Arc<Frame>) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence_number: Option<u64>,
    }
    serde_json::from_slice::<Numbered>(frame.data.as_deref()?).ok()?.sequence_number
}

/// The response as a stream's first event has it, as JSON. `frames` are its first bytes.
pub fn begun(frames: &[u8]) -> Option<String> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(frames);
    std::iter::from_fn(|| splitter.next_frame().ok().flatten()).find_map(|frame| response_of(&frame).map(str::to_owned))
}

/// The response in an event.
pub(super) fn response_of(frame: &Frame) -> Option<&str> {
    let data = std::str::from_utf8(frame.data.as_deref()?).ok()?;
    json::member(data, "response").map(|span| &data[span])
}

/// The item in an event.
pub(super) fn item_of(frame: &Frame) -> Option<&str> {
    let data = std::str::from_utf8(frame.data.as_deref()?).ok()?;
    json::member(data, "item").map(|span| &data[span])
}

/// The event is about a refusal.
pub(super) fn is_refusal(atom: &Atom) -> bool {
    let data = atom.data();
    kind_of(data).starts_with("response.refusal")
        || json::find(data, &[Step::Key("part"), Step::Key("type")]).is_some_and(|span| &data[span] == "\"refusal\"")
}

/// What an event repeats of a part.
pub(super) fn repeated(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Closing<'a> {
        text: Option<String>,
        refusal: Option<String>,
        #[serde(borrow)]
        part: Option<Content<'a>>,
    }
    let closing: Closing<'_> = serde_json::from_str(data).ok()?;
    closing.text.or(closing.refusal).or_else(|| closing.part.map(|part| part.said().to_owned()))
}

/// The event's type.
pub(super) fn kind_of(data: &str) -> String {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Typed>(data).map(|typed| typed.kind).unwrap_or_default()
}

/// The event with this number and place; `None` where it has them.
pub(super) fn renumber(data: &str, number: u64, at: Option<u32>) -> Option<String> {
    let members = json::members(data)?;
    let span = |name: &str| members.iter().rev().find(|(key, _)| key == name).map(|(_, span)| span.clone());
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut missing = String::new();
    let wanted = [("sequence_number", Some(number)), ("output_index", at.map(u64::from))];
    for (name, value) in wanted.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))) {
        match span(name) {
            Some(span) if data[span.clone()] == value => {}
            Some(span) => edits.push((span, value)),
            None => missing.extend(["\"", name, "\":", &value, ","]),
        }
    }
    if edits.is_empty() && missing.is_empty() {
        return None;
    }
    edits.sort_by_key(|(span, _)| span.start);
    let data = json::splice(data, &edits);
    Some(if missing.is_empty() { data } else { data.replacen('{', &format!("{{{missing}"), 1) })
}
