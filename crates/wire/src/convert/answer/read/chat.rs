//! Reads OpenAI Chat Completions, in the many forms in which servers write it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::chat_calls::{CallRead, Calls};
use super::chat_reasoning::{self, Reasoning};
use crate::convert::answer::event::{Delta, Event, Head, Key, Kind, MAX_CITATIONS, Member, Stop, Usage};
use crate::convert::answer::logprobs;
use crate::convert::answer::usage::{self, whole_number};
use crate::convert::citation::Citation;
use crate::convert::errors::Failure;
use crate::dialect::Dialect;
use crate::turn::Unreadable;

const CONTENT: Key = 0;
const REFUSAL: Key = 1;
/// Reasoning; the calls' keys follow it.
pub(super) const REASONING: Key = 2;

/// More tokens than any server keeps its text back for.
const MAX_AHEAD: usize = 1000;

/// The reader.
#[derive(Debug, Default)]
pub(in crate::convert::answer) struct Reader {
    /// What is read is a body, not a stream.
    whole: bool,
    headed: bool,
    content: bool,
    refusal: bool,
    reasoning: bool,
    calls: Calls,
    /// They may come before the text that they belong to.
    citations: Vec<Citation>,
    others_dropped: bool,
    /// Tokens whose text has not come yet.
    ahead: Vec<Value>,
    logprobs_dropped: bool,
    stopped: bool,
    done: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    created: Option<Value>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<Value>,
    error: Option<Value>,
    message: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    code: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    logprobs: Option<Value>,
    /// vLLM: the stop sequence that matched, or a token's number.
    stop_reason: Option<Value>,
    /// Moonshot's place for it.
    usage: Option<Value>,
}

/// A delta, or a message.
#[derive(Deserialize)]
struct Said<'a> {
    /// Text, or parts as Mistral writes them.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    reasoning_details: Option<Vec<Value>>,
    thinking_blocks: Option<Vec<Value>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<CallRead<'a>>>,
    #[serde(borrow)]
    function_call: Option<super::chat_calls::Function<'a>>,
    annotations: Option<Vec<Value>>,
    audio: Option<IgnoredAny>,
    images: Option<Vec<IgnoredAny>>,
}

impl Reader {
    pub(super) fn chunk(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        if text.trim() == "[DONE]" {
            self.end(out);
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
        if let Some(failure) = failure(&chunk) {
            out.push(Event::Failure(failure));
            return Ok(());
        }
        self.head(&chunk, out);
        for choice in chunk.choices.into_iter().flatten() {
            self.choice(choice, out)?;
        }
        if let Some(usage) = chunk.usage.filter(Value::is_object) {
            out.push(Event::Usage(usage::chat(&usage)));
        }
        Ok(())
    }

    pub(super) fn whole(&mut self, text: &str, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let chunk: Chunk<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
        if failure(&chunk).is_none() && chunk.choices.as_ref().is_none_or(Vec::is_empty) {
            return Err(Unreadable::Contradiction);
        }
        self.whole = true;
        self.chunk(text, out)?;
        // A body is all there is, whether or not it says why it ends.
        if !self.stopped && !matches!(out.last(), Some(Event::Failure(_))) {
            self.stop(Stop::End, out)?;
        }
        self.end(out);
        Ok(())
    }

    /// The stream ended without `[DONE]`: a finish reason says that the answer is complete (W-54).
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.stopped && !self.done {
            self.end(out);
        }
    }

    /// `[DONE]` without a finish reason ends nothing properly.
    fn end(&mut self, out: &mut Vec<Event>) {
        if self.stopped && !self.done {
            self.done = true;
            out.push(Event::Done);
        }
    }

    /// Azure's first chunk has neither id nor choices; the answer begins with the next.
    fn head(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Event>) {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
        let (id, model) = (text(&chunk.id), text(&chunk.model));
        let empty = chunk.choices.as_ref().is_none_or(Vec::is_empty);
        if self.headed || (empty && id.is_none()) {
            return;
        }
        self.headed = true;
        let created = chunk.created.as_ref().and_then(whole_number).filter(|created| *created > 0);
        out.push(Event::Head(Head { id, model, created, usage: Usage::default() }));
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        if let Some(index @ 1..) = choice.index {
            if !self.others_dropped {
                self.others_dropped = true;
                out.push(Event::Dropped(format!("choices[{index}]")));
            }
            return Ok(());
        }
        if let Some(said) = choice.delta.or(choice.message) {
            let from = out.len();
            self.said(said, out)?;
            if choice.logprobs.is_some() || !self.ahead.is_empty() {
                self.spell(&choice.logprobs.unwrap_or_default(), from, out);
            }
        }
        if let Some(usage) = choice.usage.filter(Value::is_object) {
            out.push(Event::Usage(usage::chat(&usage)));
        }
        if let Some(reason) = choice.finish_reason.as_deref().filter(|reason| !reason.is_empty()) {
            self.stop(meaning(reason, choice.stop_reason.as_ref()), out)?;
        }
        Ok(())
    }

    fn stop(&mut self, stop: Stop, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        for citation in self.citations.drain(..) {
            out.push(Event::Delta(CONTENT, Delta::Citation(citation)));
        }
        if !std::mem::take(&mut self.ahead).is_empty() {
            self.unspelt(out);
        }
        self.calls.finish(out)?;
        self.stopped = true;
        out.push(Event::Stop(stop));
        Ok(())
    }

    /// Gives the tokens of a chunk to its text. What has run ahead of the text waits for it.
    fn spell(&mut self, logprobs: &Value, from: usize, out: &mut Vec<Event>) {
        let tokens = logprobs::tokens(logprobs.get("content")).cloned();
        let (said, about) = (out.len() > from, out[from..].iter().rposition(|event| of(event) == Some(CONTENT)));
        let unplaced = logprobs::tokens(logprobs.get("refusal")).next().is_some();
        if let Some(at) = about {
            let tokens = self.ahead.drain(..).chain(tokens).collect();
            self.ahead = logprobs::spell(CONTENT, tokens, &mut out[..=from + at]);
        } else if !said && self.ahead.len() < MAX_AHEAD {
            self.ahead.extend(tokens);
        } else if logprobs::tokens(logprobs.get("content")).next().is_some() {
            self.unspelt(out);
        }
        if unplaced {
            self.unspelt(out);
        }
    }

    /// Tokens of what no other dialect spells (reasoning, calls, refusals), or of nothing.
    fn unspelt(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.logprobs_dropped, true) {
            out.push(Event::Dropped("logprobs of other than text".into()));
        }
    }

    fn said(&mut self, said: Said<'_>, out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let (text, parts) = content(said.content)?;
        let thought = chat_reasoning::parts(&parts);
        let content = said.reasoning_content.filter(|text| !text.is_empty());
        let other = said.reasoning.filter(|text| content.is_none() && !text.is_empty());
        let reasoning = Reasoning {
            member: if other.is_some() { Member::Reasoning } else { Member::Content },
            text: content.or(other).or(thought),
            details: said.reasoning_details.unwrap_or_default(),
            blocks: said.thinking_blocks.unwrap_or_default(),
        };
        reasoning.events(&mut self.reasoning, out);
        words(&mut self.content, CONTENT, Kind::Text, &text, out);
        for part in &parts {
            let text = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
            words(&mut self.content, CONTENT, Kind::Text, text.unwrap_or_default(), out);
        }
        words(&mut self.refusal, REFUSAL, Kind::Refusal, &said.refusal.unwrap_or_default(), out);
        for annotation in said.annotations.iter().flatten() {
            match annotation.get("url_citation").and_then(Citation::of_openai) {
                Some(citation) if self.citations.len() < MAX_CITATIONS => {
                    // A source of nothing yet belongs to the text that follows.
                    if !std::mem::replace(&mut self.content, true) {
                        out.push(Event::Start(CONTENT, Kind::Text));
                    }
                    self.citations.push(citation);
                }
                _ => out.push(Event::Dropped("annotation".into())),
            }
        }
        if said.audio.is_some() {
            out.push(Event::Dropped("audio".into()));
        }
        if said.images.is_some_and(|images| !images.is_empty()) {
            out.push(Event::Dropped("images".into()));
        }
        if let Some(function) = said.function_call {
            self.calls.legacy(function, out)?;
        }
        for call in said.tool_calls.into_iter().flatten() {
            self.calls.fragment(call, self.whole, out)?;
        }
        Ok(())
    }
}

/// The block that an event says more of.
fn of(event: &Event) -> Option<Key> {
    if let Event::Delta(key, Delta::Text(_)) = event { Some(*key) } else { None }
}

/// A content as a text, or as parts.
fn content(raw: Option<&RawValue>) -> Result<(Cow<'_, str>, Vec<Value>), Unreadable> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok((Cow::Borrowed(""), Vec::new())) };
    let read = if raw.starts_with('[') {
        serde_json::from_str(raw).map(|parts| (Cow::Borrowed(""), parts))
    } else {
        serde_json::from_str(raw).map(|Text(text)| (text, Vec::new()))
    };
    read.map_err(|error| Unreadable::from(&error))
}

/// A text that is borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn words(begun: &mut bool, key: Key, kind: Kind, text: &str, out: &mut Vec<Event>) {
    if text.is_empty() {
        return;
    }
    if !std::mem::replace(begun, true) {
        out.push(Event::Start(key, kind));
    }
    out.push(Event::Delta(key, Delta::Text(text.to_owned())));
}

/// The upstream's failure, where the chunk is one: `error`, or an error written flat as vLLM does.
fn failure(chunk: &Chunk<'_>) -> Option<Failure> {
    if let Some(error) = chunk.error.as_ref().filter(|error| !error.is_null()) {
        return Some(Failure::read(Dialect::Chat, error, None));
    }
    if chunk.object.as_deref() == Some("error") {
        let flat = serde_json::json!({"message": chunk.message, "type": chunk.kind, "code": chunk.code});
        return Some(Failure::read(Dialect::Chat, &flat, None));
    }
    None
}

fn meaning(reason: &str, sequence: Option<&Value>) -> Stop {
    match reason {
        "stop" => match sequence {
            Some(Value::String(sequence)) => Stop::Sequence(Some(sequence.clone())),
            _ => Stop::End,
        },
        "tool_calls" | "function_call" => Stop::ToolUse,
        "length" | "max_tokens" => Stop::MaxTokens,
        "content_filter" => Stop::Refusal { category: None, explanation: None },
        "end_turn" | "eos" | "eos_token" => Stop::End,
        other => Stop::Other(other.to_owned()),
    }
}
