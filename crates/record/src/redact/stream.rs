//! Finding in event streams: a text comes there in many pieces, which are looked at together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::{MARK, Redactor};

/// One event: where the JSON after `data:` stands, and what it says.
pub(super) struct Event {
    place: Range<usize>,
    value: Option<Value>,
}

/// The events of a stream; `None` if the text is none.
pub(super) fn events(text: &str) -> Option<Vec<Event>> {
    let start = text.trim_start();
    if !["event:", "data:", "id:", "retry:", ":"].iter().any(|field| start.starts_with(field)) {
        return None;
    }
    let (mut out, mut at) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        if let Some(data) = line.strip_prefix("data:") {
            let from = at + line.len() - data.trim_start_matches(' ').len();
            let place = from..at + line.trim_end_matches(['\r', '\n']).len().max(from - at);
            let value = serde_json::from_str(&text[place.clone()]).ok();
            out.push(Event { place, value });
        }
        at += line.len();
    }
    Some(out)
}

/// A text's piece: in which event, and where in it.
struct Piece {
    event: usize,
    pointer: String,
    /// Where it begins in the whole text.
    start: usize,
}

/// A text that comes in pieces.
#[derive(Default)]
struct Whole {
    text: String,
    pieces: Vec<Piece>,
}

/// The stream with what was found replaced; `None` where nothing was.
pub(super) fn redacted(redactor: &Redactor, text: &str, mut events: Vec<Event>) -> Option<String> {
    let mut wholes: BTreeMap<String, Whole> = BTreeMap::new();
    for (number, event) in events.iter().enumerate() {
        let Some(value) = &event.value else { continue };
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        pieces(value, &mut String::new(), kind, false, &mut |key, pointer, piece| {
            let whole = wholes.entry(key).or_default();
            whole.pieces.push(Piece { event: number, pointer, start: whole.text.len() });
            whole.text.push_str(piece);
        });
    }
    let mut changed = BTreeSet::new();
    for whole in wholes.values() {
        for range in redactor.found(&whole.text).iter().rev() {
            cut(whole, range, &mut events, &mut changed);
        }
    }
    let (mut out, mut copied) = (String::new(), 0);
    for (number, event) in events.iter_mut().enumerate() {
        let place = event.place.clone();
        let new = match &mut event.value {
            Some(value) => (redactor.value(value) || changed.contains(&number)).then(|| value.to_string()),
            None => {
                Some(redactor.text(&text[place.clone()])).filter(|new| **new != text[place.clone()]).map(Into::into)
            }
        };
        if let Some(new) = new {
            out.push_str(&text[copied..place.start]);
            out.push_str(&new);
            copied = place.end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Hands out each text below a `delta`, with a key that is the same for all pieces of one text.
fn pieces(value: &Value, pointer: &mut String, key: &str, below: bool, out: &mut impl FnMut(String, String, &str)) {
    const NUMBERS: [&str; 4] = ["index", "output_index", "content_index", "summary_index"];
    match value {
        Value::String(text) if below => out(key.to_owned(), pointer.clone(), text),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                step(pointer, &number.to_string(), |pointer| pieces(item, pointer, key, below, out));
            }
        }
        Value::Object(members) => {
            let numbers = NUMBERS.iter().filter_map(|name| members.get(*name)).map(ToString::to_string);
            let key = [key.to_owned()].into_iter().chain(numbers).collect::<Vec<_>>().join(" ");
            for (name, member) in members {
                let (key, below) = (format!("{key} {name}"), below || name == "delta");
                let name = name.replace('~', "~0").replace('/', "~1");
                step(pointer, &name, |pointer| pieces(member, pointer, &key, below, out));
            }
        }
        _ => {}
    }
}

fn step(pointer: &mut String, name: &str, then: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(name);
    then(pointer);
    pointer.truncate(length);
}

/// Takes a range of the whole out of its pieces: the first of them has the mark then. To be called from the last range on.
fn cut(whole: &Whole, range: &Range<usize>, events: &mut [Event], changed: &mut BTreeSet<usize>) {
    let ends = whole.pieces.iter().skip(1).map(|piece| piece.start).chain([whole.text.len()]);
    for (piece, end) in whole.pieces.iter().zip(ends) {
        let (from, to) = (range.start.max(piece.start), range.end.min(end));
        if from >= to {
            continue;
        }
        let value = events[piece.event].value.as_mut().and_then(|value| value.pointer_mut(&piece.pointer));
        if let Some(Value::String(text)) = value {
            let mark = if from == range.start { MARK } else { "" };
            text.replace_range(from - piece.start..to - piece.start, mark);
            changed.insert(piece.event);
        }
    }
}

/// How many bytes of a body that goes on can be looked at for themselves, whatever comes: in an event stream, up to where no
/// text is under way; in any other body none.
pub fn closed(body: &[u8]) -> usize {
    // A character that is not whole yet is behind the last whole line.
    let whole = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let Ok(text) = std::str::from_utf8(&body[..whole]) else { return 0 };
    let Some(events) = events(text) else { return 0 };
    let (mut open, mut closed): (BTreeSet<String>, usize) = (BTreeSet::new(), 0);
    for event in events {
        let Some(value) = &event.value else { continue };
        let number = |name: &str| value.get(name).map(ToString::to_string).unwrap_or_default();
        match value.get("type").and_then(Value::as_str).unwrap_or_default() {
            "content_block_start" => drop(open.insert(number("index"))),
            "content_block_stop" => drop(open.remove(&number("index"))),
            "response.output_item.added" => drop(open.insert(number("output_index"))),
            "response.output_item.done" => drop(open.remove(&number("output_index"))),
            // Nothing says where a text of Chat ends.
            "" => drop(open.insert("chat".to_owned())),
            _ => {}
        }
        // The blank line is the event's too.
        let end = text[event.place.end..].find("\n\n").map(|at| event.place.end + at + 2);
        if let (true, Some(end)) = (open.is_empty(), end) {
            closed = end;
        }
    }
    closed
}
