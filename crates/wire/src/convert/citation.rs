//! Sources that a text names: `citations` of Messages, `annotations` of OpenAI's dialects.
//!
//! A citation of Messages belongs to a whole block, and Anthropic wants its sealed part back; OpenAI's has a range of
//! characters. Each travels in the other as an envelope, in the member `encrypted_index`.

use serde_json::{Map, Value, json};

use super::envelope;
use crate::dialect::Dialect;

/// A source of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Citation {
    pub(super) url: String,
    pub(super) title: String,
    /// The characters of the text that it stands for; all of them where nobody says.
    pub(super) range: Option<(u64, u64)>,
    /// What Anthropic wants back with it: an envelope, or nothing.
    sealed: String,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn range(value: &Value) -> Option<(u64, u64)> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    number("start_index").zip(number("end_index"))
}

impl Citation {
    /// No source is longer; sources are kept until their text ends.
    const MAX: usize = 8 << 10;

    /// A citation of Messages; `None` where it has no address.
    pub(super) fn of_messages(citation: &Value) -> Option<Self> {
        let index = text(citation, "encrypted_index");
        let mut out = Self::of(citation, None)?;
        if let Some((Dialect::Responses, told)) = envelope::unsealed(index) {
            out.range = range(&told);
        } else if !index.is_empty() && text(citation, "type") == LOCATION {
            let quoted = text(citation, "cited_text");
            let own = json!({"type": LOCATION, "cited_text": quoted, "encrypted_index": index});
            out.sealed = envelope::seal(Dialect::Messages, &own);
        }
        Some(out.bounded())
    }

    /// An annotation of OpenAI's dialects, or what Chat has in it; `None` where it has no address.
    pub(super) fn of_openai(annotation: &Value) -> Option<Self> {
        let mut out = Self::of(annotation, range(annotation))?;
        let sealed = text(annotation, "encrypted_index");
        if anthropics(sealed).is_some() {
            sealed.clone_into(&mut out.sealed);
        }
        Some(out.bounded())
    }

    fn of(value: &Value, range: Option<(u64, u64)>) -> Option<Self> {
        let (url, title) = (text(value, "url"), text(value, "title"));
        let out = Self { url: url.to_owned(), title: title.to_owned(), range, sealed: String::new() };
        (!url.is_empty() && out.weight() <= Self::MAX).then_some(out)
    }

    /// Without its sealed part where that is too large to be one.
    fn bounded(mut self) -> Self {
        if self.weight() > Self::MAX {
            self.sealed = String::new();
        }
        self
    }

    /// The bytes that keeping it costs.
    pub(super) fn weight(&self) -> usize {
        self.url.len() + self.title.len() + self.sealed.len()
    }

    /// The characters it stands for, of a text of `length` characters.
    pub(super) fn span(&self, length: u64) -> (u64, u64) {
        let (start, end) = self.range.unwrap_or((0, length));
        let end = end.min(length);
        (start.min(end), end)
    }

    /// The same within a larger text, `base` characters behind its beginning; it ends with its own of `length` characters.
    pub(super) fn within(mut self, base: u64, length: u64) -> Self {
        let (start, end) = self.span(length);
        self.range = Some((start.saturating_add(base), end.saturating_add(base)));
        self
    }

    /// As Anthropic wants it back; `None` where it gave no such citation.
    pub(super) fn for_anthropic(&self) -> Option<Value> {
        let told = anthropics(&self.sealed)?;
        let (quoted, index) = (text(&told, "cited_text"), text(&told, "encrypted_index"));
        Some(self.location(quoted, index))
    }

    /// For a client of Messages, on a text that begins `base` characters into the one it was given for.
    pub(super) fn as_messages(&self, base: u64) -> Value {
        self.for_anthropic().unwrap_or_else(|| {
            let told = match self.range {
                Some((start, end)) => {
                    let (start, end) = (start.saturating_sub(base), end.saturating_sub(base));
                    let told = json!({"type": URL, "start_index": start, "end_index": end});
                    envelope::seal(Dialect::Responses, &told)
                }
                None => envelope::nothing(),
            };
            self.location("", &told)
        })
    }

    fn location(&self, quoted: &str, index: &str) -> Value {
        json!({
            "type": LOCATION, "cited_text": quoted, "url": self.url, "title": self.title, "encrypted_index": index,
        })
    }

    /// As an annotation of Responses, on a text of `length` characters that begins `base` characters into its part.
    pub(super) fn as_responses(&self, base: u64, length: u64) -> Value {
        let mut out = self.for_openai(base, length);
        if !self.sealed.is_empty() {
            out["encrypted_index"] = self.sealed.as_str().into();
        }
        out
    }

    /// The same as OpenAI knows it.
    pub(super) fn for_openai(&self, base: u64, length: u64) -> Value {
        let (start, end) = self.placed(base, length);
        json!({"type": URL, "start_index": start, "end_index": end, "url": self.url, "title": self.title})
    }

    /// As an annotation of Chat.
    pub(super) fn as_chat(&self, base: u64, length: u64) -> Value {
        let (start, end) = self.placed(base, length);
        let inside = json!({"start_index": start, "end_index": end, "url": self.url, "title": self.title});
        json!({"type": URL, "url_citation": inside})
    }

    fn placed(&self, base: u64, length: u64) -> (u64, u64) {
        let (start, end) = self.range.unwrap_or((0, length));
        (base.saturating_add(start), base.saturating_add(end))
    }
}

const LOCATION: &str = "web_search_result_location";
const URL: &str = "url_citation";

/// What an envelope holds of a citation of Anthropic's.
fn anthropics(sealed: &str) -> Option<Value> {
    let (Dialect::Messages, told) = envelope::unsealed(sealed)? else { return None };
    (text(&told, "type") == LOCATION && !text(&told, "encrypted_index").is_empty()).then_some(told)
}

/// Takes what is ours out of the sources of a text that goes to a vendor of the client's dialect; whether there was any.
pub(super) fn strip(part: &mut Map<String, Value>) -> bool {
    let mut stripped = false;
    let ours = |source: &Value| text(source, "encrypted_index").starts_with(envelope::PREFIX);
    if let Some(Value::Array(sources)) = part.get_mut("citations") {
        let before = sources.len();
        sources.retain(|source| !ours(source));
        stripped = sources.len() < before;
        if stripped && sources.is_empty() {
            part.shift_remove("citations");
        }
    }
    for source in part.get_mut("annotations").and_then(Value::as_array_mut).into_iter().flatten() {
        if ours(source)
            && let Some(source) = source.as_object_mut()
        {
            source.shift_remove("encrypted_index");
            stripped = true;
        }
    }
    stripped
}

/// How many characters a text has.
pub(super) fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}
