//! A request body, read where it lies and edited without touching the rest (W-40, W-41).
//!
//! Parsing is one scan that notes where things stand; nothing is built and nothing is checked that the gateway does not
//! need itself, so that whatever agents send goes through (W-65).

use std::ops::Range;

use bytes::Bytes;

use crate::conversation::{self, Message};
use crate::dialect::Dialect;
use crate::json;

mod note;
mod scan;
mod texts;
pub(crate) mod walk;

pub use texts::{TextPlace, TextSlot};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// An answer of the model.
    Turn,
    /// A count of the tokens a turn would have.
    CountTokens,
    /// The conversation so far made short by the model (`POST /v1/responses/compact`).
    Compact,
}

/// Why a body is not a request: for the client, in its dialect's 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong, in words for a person.
    pub message: String,
    /// The top-level field that is wrong, if it is one.
    pub param: Option<String>,
}

/// A request body and where the parts that the gateway reads stand in it.
#[derive(Clone, Debug)]
pub struct Request {
    dialect: Dialect,
    body: Bytes,
    model: String,
    stream: bool,
    max_tokens: Option<u64>,
    /// The top-level members, in order, with the spans of their values.
    members: Vec<(String, Range<usize>)>,
    messages: Vec<Range<usize>>,
}

impl Request {
    /// Reads a body. Fails where it is not UTF-8, not one JSON object, repeats a field that the gateway reads, or lacks
    /// a usable `model`, `messages` or (for a turn in Messages) `max_tokens`, or has a `stream` that is no boolean.
    /// In Responses `input` stands for `messages`; there `prompt` may bring both it and the model, and a conversation that
    /// the vendor keeps needs no `input`.
    pub fn parse(dialect: Dialect, kind: RequestKind, body: Bytes) -> Result<Self, RequestError> {
        let text =
            std::str::from_utf8(&body).map_err(|_| RequestError::whole("the body is not valid UTF-8".to_owned()))?;
        let found = scan::scan(dialect, text)?;
        let fields = scan::fields(dialect, kind, text, &found.members)?;
        let scan::Fields { model, stream, max_tokens } = fields;
        let scan::Found { members, messages } = found;
        Ok(Self { dialect, body, model, stream, max_tokens, members, messages })
    }

    /// The dialect.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The body as it came, or as the last edit left it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        self.slice(0..self.body.len())
    }

    /// The model's name, decoded; empty where a stored prompt (Responses) brings its own.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the answer is to be streamed; `false` where the body does not say.
    pub fn stream(&self) -> bool {
        self.stream
    }

    /// The answer's token limit: `max_tokens`, on Chat `max_completion_tokens` first, on Responses `max_output_tokens`.
    pub fn max_tokens(&self) -> Option<u64> {
        self.max_tokens
    }

    /// The number of elements in `messages`; on Responses in `input`, where a string is one.
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// The raw JSON of a top-level member; the last one where an unread field is repeated.
    pub fn raw(&self, member: &str) -> Option<&str> {
        self.span(member).map(|span| self.slice(span))
    }

    /// The spans in the body of the elements of `messages`; on Responses of `input`, where a string is one.
    pub fn message_spans(&self) -> &[Range<usize>] {
        &self.messages
    }

    /// `metadata.user_id`, decoded; often JSON text of its own, with the client's session in it.
    pub fn user_id(&self) -> Option<String> {
        let metadata = walk::object(self.raw("metadata")?)?;
        let (_, raw) = metadata.into_iter().rev().find(|(key, _)| key == "user_id")?;
        walk::string(raw)
    }

    /// `prompt_cache_key`, decoded.
    pub fn prompt_cache_key(&self) -> Option<String> {
        walk::string(self.raw("prompt_cache_key")?)
    }

    /// Responses: the stored response that this request goes on from.
    pub fn previous_response_id(&self) -> Option<String> {
        walk::string(self.raw("previous_response_id")?)
    }

    /// Whether the vendor is asked to keep the answer: `store`, which on Responses is meant where the body does not say
    /// `false`.
    pub fn store(&self) -> bool {
        match self.dialect {
            Dialect::Messages => false,
            Dialect::Chat => self.raw("store") == Some("true"),
            Dialect::Responses => self.raw("store") != Some("false"),
        }
    }

    /// Responses: the answer is to be made after this request has been answered, and fetched later.
    pub fn background(&self) -> bool {
        self.dialect == Dialect::Responses && !matches!(self.raw("background"), None | Some("null" | "false"))
    }

    /// The same request for another model; every other byte stays.
    #[must_use]
    pub fn with_model(&self, model: &str) -> Self {
        match self.span("model") {
            Some(span) if model != self.model => self.spliced(&[(span, json::quote(model))]),
            _ => self.clone(),
        }
    }

    /// Every string that a policy may rewrite, in the order of the body: instructions, string contents, text blocks and tool
    /// results' texts. Of a `system` array only the entries after the first (W-44). Never thinking (W-25) or tool calls.
    pub fn texts(&self) -> Vec<TextSlot> {
        texts::slots(self)
    }

    /// The request with the string literals at these spans (from [`Request::texts`] of this request) replaced by the
    /// given texts, unescaped. A text that already stands there leaves its bytes alone; a span that is no string literal
    /// is passed over; of two edits of one span the last counts. The same edits always give the same bytes.
    #[must_use]
    pub fn with_texts(&self, edits: &[(Range<usize>, String)]) -> Self {
        let text = self.text();
        let mut wanted: Vec<&(Range<usize>, String)> = edits.iter().collect();
        wanted.sort_by_key(|(span, _)| span.start);
        let mut literals: Vec<(Range<usize>, String)> = Vec::with_capacity(wanted.len());
        for (span, new) in wanted {
            let Some(old) = text.get(span.clone()).and_then(walk::string) else { continue };
            if literals.last().is_some_and(|(last, _)| last == span) {
                literals.pop();
            }
            if literals.last().is_none_or(|(last, _)| last.end <= span.start) && old != *new {
                literals.push((span.clone(), json::quote(new)));
            }
        }
        if literals.is_empty() { self.clone() } else { self.spliced(&literals) }
    }

    /// The conversation as judges and histories read it: the system prompt first, then the messages (Responses: one for each
    /// item of `input`). Parts that this version does not know appear by their type.
    pub fn conversation(&self) -> Vec<Message> {
        conversation::read(self)
    }

    fn span(&self, member: &str) -> Option<Range<usize>> {
        self.members.iter().rev().find(|(key, _)| key == member).map(|(_, span)| span.clone())
    }

    fn slice(&self, span: Range<usize>) -> &str {
        // The body was checked when it was read, and spans end where JSON values do.
        self.body.get(span).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Replaces spans (in order, apart from each other, each a whole JSON value) and moves all that follows along.
    fn spliced(&self, edits: &[(Range<usize>, String)]) -> Self {
        let shift = |at: usize| {
            edits.iter().take_while(|(span, _)| span.end <= at).fold(at, |at, (span, new)| at - span.len() + new.len())
        };
        let moved = |span: &Range<usize>| shift(span.start)..shift(span.end);
        let body = Bytes::from(json::splice(self.text(), edits));
        let mut out = Self {
            dialect: self.dialect,
            body,
            model: String::new(),
            stream: self.stream,
            max_tokens: self.max_tokens,
            members: self.members.iter().map(|(key, span)| (key.clone(), moved(span))).collect(),
            messages: self.messages.iter().map(moved).collect(),
        };
        out.model = out.raw("model").and_then(walk::string).unwrap_or_default();
        out
    }
}

impl RequestError {
    fn whole(message: String) -> Self {
        Self { message, param: None }
    }

    fn field(name: &str, what: &str) -> Self {
        Self { message: format!("{name}: {what}"), param: Some(name.to_owned()) }
    }
}

#[cfg(test)]
mod tests;
