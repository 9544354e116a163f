//! The tokens of an answer, counted from its bytes as they come: as its vendor tells them, else estimated.

use serde_json::Value;

use crate::convert::{ToldUsage, told_usage};
use crate::dialect::Dialect;
use crate::sse::Splitter;

/// How many bytes of text stand for one token, where nobody tells.
const BYTES_PER_TOKEN: u64 = 4;

/// The largest answer in one piece that is read for what it tells, in bytes.
const LARGEST: usize = 64 << 20;

/// Tokens, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The prompt's, without those read from or written to a cache.
    pub input: u64,
    /// The prompt's that were read from a cache.
    pub cache_read: u64,
    /// The prompt's that were written to a cache.
    pub cache_write: u64,
    /// The answer's, reasoning included.
    pub output: u64,
    /// Some of it was not told, and is estimated from bytes.
    pub estimated: bool,
}

impl Usage {
    /// All of them.
    pub fn total(self) -> u64 {
        [self.input, self.cache_read, self.cache_write, self.output].into_iter().fold(0, u64::saturating_add)
    }

    /// What a request of so many bytes stands for that got no answer.
    pub fn of_request(bytes: usize) -> Self {
        Self { input: tokens(bytes as u64), estimated: true, ..Self::default() }
    }
}

/// How many tokens so many bytes of text stand for.
fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Reads one answer, streamed or whole. Never fails: what cannot be read is estimated.
#[derive(Debug)]
pub struct UsageMeter {
    dialect: Dialect,
    form: Form,
    told: ToldUsage,
    /// The answer has told all of it.
    complete: bool,
    /// Bytes of text, thinking and arguments in a stream.
    said: u64,
    /// Bytes of any kind that nobody could read.
    unread: u64,
}

/// What form the answer has.
#[derive(Debug)]
enum Form {
    /// Nothing has come.
    Unknown,
    Stream(Splitter),
    Whole(Vec<u8>),
    /// It is not read any further.
    Unreadable,
}

impl UsageMeter {
    /// Reads an answer in this dialect, as its upstream writes it; events of at most so many bytes.
    pub fn new(dialect: Dialect) -> Self {
        let told = ToldUsage::default();
        Self { dialect, form: Form::Unknown, told, complete: false, said: 0, unread: 0 }
    }

    /// The next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.form, Form::Unknown) {
            let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else { return };
            self.form = if *first == b'{' { Form::Whole(Vec::new()) } else { Form::Stream(Splitter::new(LARGEST)) };
        }
        match &mut self.form {
            Form::Whole(all) if all.len().saturating_add(bytes.len()) <= LARGEST => all.extend_from_slice(bytes),
            Form::Stream(splitter) => {
                splitter.push(bytes);
                self.read_frames();
            }
            Form::Whole(_) | Form::Unknown | Form::Unreadable => {
                self.unread = self.unread.saturating_add(bytes.len() as u64);
                self.form = Form::Unreadable;
            }
        }
    }

    fn read_frames(&mut self) {
        loop {
            let Form::Stream(splitter) = &mut self.form else { return };
            match splitter.next_frame() {
                Ok(Some(frame)) => match frame.data {
                    Some(data) => self.event(&data),
                    None => self.unread = self.unread.saturating_add(frame.raw.len() as u64),
                },
                Ok(None) => return,
                Err(_) => self.form = Form::Unreadable,
            }
        }
    }

    fn event(&mut self, data: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
        let head = match self.dialect {
            Dialect::Messages | Dialect::Chat => value.get("message").unwrap_or(&value),
            Dialect::Responses => value.get("response").unwrap_or(&value),
        };
        let first = value.get("type").is_some_and(|kind| kind == "message_start");
        for usage in [head.get("usage"), value.get("usage")].into_iter().flatten().filter(|usage| usage.is_object()) {
            self.told.add(told_usage(self.dialect, usage));
            self.complete |= !first;
        }
        self.said = self.said.saturating_add(said(self.dialect, &value));
    }

    /// What the answer used, or has used so far if it broke off. `request` is how many bytes it was asked with.
    pub fn usage(&self, request: usize) -> Usage {
        let (mut told, mut complete) = (self.told, self.complete);
        let mut said = self.said;
        if let Form::Whole(all) = &self.form {
            match serde_json::from_slice::<Value>(all).map(|value| value.get("usage").cloned()) {
                Ok(Some(usage @ Value::Object(_))) => {
                    told.add(told_usage(self.dialect, &usage));
                    complete = true;
                }
                _ => said = all.len() as u64,
            }
        }
        // A stream of which nothing could be read: compressed, say.
        if said == 0 && !told.is_known() {
            let pending = if let Form::Stream(splitter) = &self.form { splitter.pending().len() as u64 } else { 0 };
            said = self.unread.saturating_add(pending);
        }
        if complete && told.is_known() {
            return told.usage();
        }
        let told = told.usage();
        let input = if told.total() > told.output { told.input } else { tokens(request as u64) };
        Usage { input, output: told.output.max(tokens(said)), estimated: true, ..told }
    }
}

/// How many bytes of what the model says are in this event.
fn said(dialect: Dialect, event: &Value) -> u64 {
    match dialect {
        Dialect::Chat => {
            let choices = event.get("choices").and_then(Value::as_array).into_iter().flatten();
            choices.filter_map(|choice| choice.get("delta")).map(texts).fold(0, u64::saturating_add)
        }
        Dialect::Messages | Dialect::Responses => event.get("delta").map_or(0, texts),
    }
}

/// The bytes of all texts in a value, names and types of its members apart.
fn texts(value: &Value) -> u64 {
    const NOT_SAID: [&str; 5] = ["type", "role", "id", "signature", "finish_reason"];
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(texts).fold(0, u64::saturating_add),
        Value::Object(members) => {
            let said = members.iter().filter(|(name, _)| !NOT_SAID.contains(&name.as_str()));
            said.map(|(_, value)| texts(value)).fold(0, u64::saturating_add)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
