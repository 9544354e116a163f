//! Log probabilities: they spell a text once more, token by token, and must say no more than the text beside them.
//!
//! Some servers let them run ahead of the text, or give those of calls and reasoning too. Where a policy decides what leaves,
//! only those leave whose text leaves with them.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::json;
use crate::sse::Frame;

const NAME: &[u8] = b"\"logprobs\"";

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// An event of a Responses stream, or a whole response.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Token<'a> {
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    bytes: Option<Vec<u8>>,
}

/// The data of an event, or a whole answer, without the log probabilities that say more than its texts; `None` where it has none.
pub fn sift(dialect: Dialect, data: &str) -> Option<String> {
    if !has_some(data) {
        return None;
    }
    let mut spans = Vec::new();
    let (found, nothing) = match dialect {
        Dialect::Messages => return None,
        Dialect::Chat => (chunk(data, &mut spans), "null"),
        Dialect::Responses => (event(data, &mut spans), "[]"),
    };
    found?;
    spans.sort_by_key(|span| span.start);
    let edits: Vec<(Range<usize>, &str)> = spans.into_iter().map(|span| (span, nothing)).collect();
    (!edits.is_empty()).then(|| json::splice(data, &edits))
}

/// The frame without such log probabilities; `None` where it has none.
pub fn sift_frame(dialect: Dialect, frame: &Frame) -> Option<Frame> {
    let data = sift(dialect, std::str::from_utf8(frame.data.as_deref()?).ok()?)?;
    let raw = Frame::write(std::str::from_utf8(&frame.event).ok()?, &data);
    Some(Frame { raw, event: frame.event.clone(), data: Some(Bytes::from(data)) })
}

/// Log probabilities stand there that are neither null nor an empty list.
fn has_some(data: &str) -> bool {
    memmem::find_iter(data.as_bytes(), NAME).any(|at| {
        let after = data[at + NAME.len()..].trim_start();
        let value = after.strip_prefix(':').unwrap_or_default().trim_start();
        !value.is_empty() && !value.starts_with("null") && !value.starts_with("[]")
    })
}

fn chunk(data: &str, spans: &mut Vec<Range<usize>>) -> Option<()> {
    let chunk: Chunk<'_> = serde_json::from_str(data).ok()?;
    for choice in chunk.choices.into_iter().flatten() {
        let Some(raw) = choice.logprobs else { continue };
        let words = choice.delta.or(choice.message).map_or("{}", RawValue::get);
        // Each list is named like the member that it spells.
        let spelt = json::members(raw.get()).is_some_and(|lists| {
            lists.into_iter().all(|(name, span)| {
                let text: Option<String> =
                    json::member(words, &name).and_then(|span| serde_json::from_str(&words[span]).ok());
                spells_no_more(&raw.get()[span], &text.unwrap_or_default())
            })
        });
        if !spelt {
            spans.push(json::span_in(data, raw.get()));
        }
    }
    Some(())
}

fn event(data: &str, spans: &mut Vec<Range<usize>>) -> Option<()> {
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    if let Some(raw) = event.logprobs {
        let text: Option<String> = event.delta.or(event.text).and_then(|raw| serde_json::from_str(raw.get()).ok());
        if !spells_no_more(raw.get(), &text.unwrap_or_default()) {
            spans.push(json::span_in(data, raw.get()));
        }
    }
    let inner = event.response.and_then(|raw| serde_json::from_str::<Output<'_>>(raw.get()).ok());
    let outputs = [event.output, inner.and_then(|response| response.output)];
    let items = outputs.into_iter().flatten().flat_map(elements).chain(event.item);
    let parts = items
        .filter_map(|item| serde_json::from_str::<Content<'_>>(item.get()).ok()?.content)
        .flat_map(elements)
        .chain(event.part);
    for part in parts {
        let Ok(part) = serde_json::from_str::<Part<'_>>(part.get()) else { continue };
        if let Some(raw) = part.logprobs
            && !spells_no_more(raw.get(), &part.text.unwrap_or_default())
        {
            spans.push(json::span_in(data, raw.get()));
        }
    }
    Some(())
}

fn elements(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Whether what the tokens of a list spell stands in `text`. A character that is cut by the list's ends does not count.
fn spells_no_more(list: &str, text: &str) -> bool {
    let Ok(tokens) = serde_json::from_str::<Option<Vec<Token<'_>>>>(list) else { return false };
    let mut spelt: Vec<u8> = Vec::with_capacity(text.len());
    for token in tokens.into_iter().flatten() {
        let name = token.token.unwrap_or_default();
        match token.bytes {
            None => spelt.extend_from_slice(name.as_bytes()),
            // Half a character has no name of its own.
            Some(bytes) if bytes == name.as_bytes() || std::str::from_utf8(&bytes).is_err() => spelt.extend(bytes),
            Some(_) => return false,
        }
    }
    let begins = spelt.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(spelt.len());
    let whole = &spelt[begins..];
    let whole = match std::str::from_utf8(whole) {
        Ok(whole) => whole,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&whole[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    text.contains(whole.trim())
}

#[cfg(test)]
mod tests;
