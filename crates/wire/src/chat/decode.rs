//! Reads the chunks of a Chat stream.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{CONTENT, FUNCTION_CALL, REASONING, REFUSAL, TOOL_CALLS, stop_reason};
use crate::sse::Frame;
use crate::stream::{Atom, Field, Kind, Part, Piece, What};
use crate::turn::{BlockId, ToolForm, Unreadable};

/// Reads frames. Remembers which blocks have begun and how each call was named.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: HashSet<BlockId>,
    named: HashMap<BlockId, (String, String)>,
    last_call: HashMap<u32, u32>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    /// Read elsewhere; said twice, readers differ in which they take.
    #[serde(rename = "logprobs")]
    _logprobs: Option<IgnoredAny>,
    /// What stands there in an answer that is not streamed.
    message: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Delta<'a> {
    role: Option<IgnoredAny>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
    #[serde(borrow)]
    function_call: Option<FunctionDelta<'a>>,
    reasoning_details: Option<IgnoredAny>,
    thinking_blocks: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<FunctionDelta<'a>>,
    #[serde(borrow)]
    custom: Option<CustomDelta<'a>>,
}

#[derive(Deserialize)]
struct FunctionDelta<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct CustomDelta<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

impl Decoder {
    /// Adds the atoms of a frame to `out`.
    pub fn decode(&mut self, frame: Frame, out: &mut Vec<Atom>) {
        let found = self.read(&frame);
        let of = found.len();
        let frame = Arc::new(frame);
        for (index, (position, field, what)) in found.into_iter().enumerate() {
            let part = if of == 1 { Part::Whole } else { Part::Field { position, field } };
            out.push(Atom { frame: Arc::clone(&frame), index, of, part, what });
        }
    }

    fn read(&mut self, frame: &Frame) -> Vec<(usize, Field, What)> {
        let one = |what| vec![(0, Field::Rest, what)];
        let Some(data) = &frame.data else {
            return one(if frame.is_silent() { What::Loose } else { What::Unreadable(Unreadable::NotJson) });
        };
        if data.trim_ascii() == b"[DONE]" {
            return one(What::Done);
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(error) => return one(What::Unreadable(Unreadable::from(&error))),
        };
        if chunk.choices.iter().flatten().any(|choice| choice.message.is_some()) {
            // Readers that take it would get calls past all that looks at deltas.
            return one(What::Unreadable(Unreadable::Contradiction));
        }
        let mut out = Vec::new();
        for (position, choice) in chunk.choices.into_iter().flatten().enumerate() {
            self.choice(position, choice, &mut out);
        }
        if out.is_empty() {
            return one(if chunk.error.is_some() { What::Failed } else { What::Loose });
        }
        if out.len() > 1 && serde_json::from_slice::<Value>(data).is_err() {
            // Parts of different fates that cannot be written apart: too deep, a number beyond all, half a character.
            return one(What::Unreadable(Unreadable::NotJson));
        }
        out
    }

    fn choice(&mut self, position: usize, read: Choice<'_>, out: &mut Vec<(usize, Field, What)>) {
        let choice = read.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
        let delta = read.delta.unwrap_or_default();
        let before = out.len();
        let thinking = delta.reasoning_content.or(delta.reasoning).filter(|text| !text.is_empty());
        if let Some(text) = thinking {
            let what = self.part(choice, REASONING, Kind::Thinking, Piece::Thinking(text.into_owned()));
            out.push((position, Field::Rest, what));
        } else if delta.role.is_some() {
            out.push((position, Field::Rest, What::Head));
        } else if delta.reasoning_details.is_some() || delta.thinking_blocks.is_some() {
            out.push((position, Field::Rest, What::Loose));
        }
        if let Some(text) = delta.content.filter(|text| !text.is_empty()) {
            let what = self.part(choice, CONTENT, Kind::Text, Piece::Text(text.into_owned()));
            out.push((position, Field::Content, what));
        }
        if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
            let what = self.part(choice, REFUSAL, Kind::Text, Piece::Text(text.into_owned()));
            out.push((position, Field::Refusal, what));
        }
        if let Some(call) = delta.function_call {
            let what = self.call(choice, FUNCTION_CALL, None, call.name, call.arguments, Some("function"));
            out.push((position, Field::FunctionCall, what));
        }
        for (at, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            let what = self.tool_call(choice, call);
            out.push((position, Field::ToolCall(at), what));
        }
        if let Some(reason) = read.finish_reason {
            out.push((position, Field::Finish, What::Stop { choice, reason: stop_reason(&reason) }));
        }
        if out.len() == before {
            out.push((position, Field::Rest, What::Loose));
        }
    }

    fn tool_call(&mut self, choice: u32, call: CallDelta<'_>) -> What {
        let index = call.index.unwrap_or_else(|| self.index_of(choice, call.id.as_deref()));
        self.last_call.insert(choice, index);
        let kind = call.kind.as_deref();
        let (name, fragment) = match (call.function, call.custom) {
            (Some(function), None) => (function.name, function.arguments),
            (None, Some(custom)) => (custom.name, custom.input),
            (None, None) => (None, None),
            (Some(_), Some(_)) => return What::Unreadable(Unreadable::Contradiction),
        };
        self.call(choice, TOOL_CALLS.saturating_add(index), call.id, name, fragment, kind)
    }

    /// The index of a fragment that has none: a new id is a new call, else the last one goes on.
    fn index_of(&self, choice: u32, id: Option<&str>) -> u32 {
        let Some(last) = self.last_call.get(&choice).copied() else { return 0 };
        let known = |index: u32| self.named.get(&BlockId { choice, block: TOOL_CALLS.saturating_add(index) });
        match id {
            Some(id) if known(last).is_none_or(|(known, _)| known != id) => last.saturating_add(1),
            _ => last,
        }
    }

    fn call(
        &mut self,
        choice: u32,
        block: u32,
        id: Option<Cow<'_, str>>,
        name: Option<Cow<'_, str>>,
        fragment: Option<Cow<'_, str>>,
        kind: Option<&str>,
    ) -> What {
        let at = BlockId { choice, block };
        let id = id.unwrap_or_default().into_owned();
        let name = name.unwrap_or_default().into_owned();
        let begins = self.begun.insert(at);
        let piece = Piece::Arguments(fragment.unwrap_or_default().into_owned());
        if begins {
            self.named.insert(at, (id.clone(), name.clone()));
            let (form, free_text, name) = match kind {
                None | Some("function") => (ToolForm::Client, false, name),
                Some("custom") => (ToolForm::Client, true, name),
                Some(unknown) => (ToolForm::Unknown, true, unknown.to_owned()),
            };
            let start = Some(Kind::Call { form, id, name, free_text });
            return What::Block { id: at, start, piece, end: false };
        }
        let known = self.named.entry(at).or_default();
        let differs = |new: &str, old: &str| !new.is_empty() && new != old;
        let piece = if differs(&id, &known.0) || differs(&name, &known.1) { Piece::Contradiction } else { piece };
        What::Block { id: at, start: None, piece, end: false }
    }

    fn part(&mut self, choice: u32, block: u32, kind: Kind, piece: Piece) -> What {
        let id = BlockId { choice, block };
        let start = self.begun.insert(id).then_some(kind);
        What::Block { id, start, piece, end: false }
    }
}
