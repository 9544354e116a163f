//! A web search that a vendor ran: what was asked and found, as each dialect tells it.
//!
//! Messages has two blocks for it, `server_tool_use` and `web_search_tool_result`; Responses one item, `web_search_call`; Chat
//! nothing. Anthropic wants back what it found as it gave it: the sealed part of each finding travels in an envelope in the
//! item, beside what the item shows. OpenAI needs nothing back; blocks that tell of its searches are known by their ids.

use serde_json::{Map, Value, json};

use super::envelope;
use crate::dialect::Dialect;

/// The tool's name, and the stem of its types.
pub(super) const TOOL: &str = "web_search";

/// What the ids begin with that Messages blocks have which tell of a search of OpenAI's.
pub(super) const FOREIGN: &str = "srvtoolu_ws_";

/// The longest id that a vendor takes.
const MAX_ID: usize = 64;

/// More findings than any search has.
const MAX_SOURCES: usize = 1000;

/// What a search gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// Pages.
    Sources(Vec<Source>),
    /// Nothing, for this reason (Anthropic's words).
    Failed(String),
}

/// A page that a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    url: String,
    title: String,
    age: Option<String>,
    /// What Anthropic wants back with it; empty where another vendor found it.
    sealed: String,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

impl Found {
    /// The `content` of a `web_search_tool_result`.
    pub(super) fn of_messages(content: &Value) -> Self {
        match content {
            Value::Array(results) => Self::Sources(results.iter().take(MAX_SOURCES).map(Source::of_messages).collect()),
            error => Self::failed(text(error, "error_code")),
        }
    }

    /// What a `web_search_call` item tells of what it found, and the id of the Messages block that it stands for, if it does.
    pub(super) fn of_item(item: &Value) -> (Self, Option<String>) {
        let shown = item.get("action").map(|action| list(action, "sources")).unwrap_or_default();
        let mut sources: Vec<Source> = shown.iter().take(MAX_SOURCES).map(Source::of_item).collect();
        let Some((id, content)) = opened(text(item, "encrypted_content")) else {
            let failed = text(item, "status") == "failed";
            return (if failed { Self::failed("") } else { Self::Sources(sources) }, None);
        };
        match content {
            Value::Array(sealed) if sealed.len() == sources.len() => {
                for (source, sealed) in sources.iter_mut().zip(sealed) {
                    sealed.as_str().unwrap_or_default().clone_into(&mut source.sealed);
                }
                (Self::Sources(sources), Some(id))
            }
            Value::String(code) => (Self::failed(&code), Some(id)),
            _ => (Self::Sources(sources), None),
        }
    }

    /// A reason is a word; anything else is not passed on.
    fn failed(code: &str) -> Self {
        let is_word =
            !code.is_empty() && code.len() <= MAX_ID && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        Self::Failed(if is_word { code } else { "unavailable" }.to_owned())
    }

    /// As the block of Messages that follows the call of this id.
    pub(super) fn block(&self, id: &str) -> Value {
        let content = match self {
            Self::Sources(sources) => sources.iter().map(Source::result).collect(),
            Self::Failed(code) => json!({"type": "web_search_tool_result_error", "error_code": code}),
        };
        json!({"type": "web_search_tool_result", "tool_use_id": id, "content": content})
    }

    /// Anthropic would take it back.
    pub(super) fn is_anthropics(&self) -> bool {
        match self {
            Self::Sources(sources) => sources.iter().all(|source| !source.sealed.is_empty()),
            Self::Failed(_) => true,
        }
    }

    /// The bytes that keeping it costs.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Sources(sources) => sources.iter().map(Source::weight).sum(),
            Self::Failed(code) => code.len(),
        }
    }
}

impl Source {
    fn of_messages(result: &Value) -> Self {
        let sealed = text(result, "encrypted_content");
        // Of another vendor's findings there is nothing to keep.
        let sealed = if sealed.starts_with(envelope::PREFIX) { "" } else { sealed };
        Self { sealed: sealed.to_owned(), ..Self::of_item(result) }
    }

    fn of_item(source: &Value) -> Self {
        let age = source.get("page_age").and_then(Value::as_str).map(str::to_owned);
        Self {
            url: text(source, "url").to_owned(),
            title: text(source, "title").to_owned(),
            age,
            sealed: String::new(),
        }
    }

    fn result(&self) -> Value {
        let sealed = if self.sealed.is_empty() { envelope::nothing() } else { self.sealed.clone() };
        json!({
            "type": "web_search_result", "url": self.url, "title": self.title, "encrypted_content": sealed,
            "page_age": self.age,
        })
    }

    /// `all`: also what OpenAI's own do not have, for the way back.
    fn shown(&self, all: bool) -> Value {
        let mut out = json!({"type": "url", "url": self.url});
        if all && !self.title.is_empty() {
            out["title"] = self.title.as_str().into();
        }
        if let Some(age) = self.age.as_deref().filter(|_| all) {
            out["page_age"] = age.into();
        }
        out
    }

    fn weight(&self) -> usize {
        self.url.len() + self.title.len() + self.sealed.len() + self.age.as_ref().map_or(0, String::len)
    }
}

/// The input of a Messages call for an action of Responses.
pub(super) fn input(action: &Value) -> Value {
    let mut out = Map::new();
    match text(action, "type") {
        "search" | "" => {
            let queries = list(action, "queries");
            let first = queries.first().and_then(Value::as_str).unwrap_or_default();
            let query = Some(text(action, "query")).filter(|query| !query.is_empty()).unwrap_or(first);
            out.insert("query".to_owned(), query.into());
            if queries.len() > 1 {
                out.insert("queries".to_owned(), queries.into());
            }
        }
        _ => {
            out.extend(action.as_object().cloned().unwrap_or_default());
            out.shift_remove("sources");
        }
    }
    Value::Object(out)
}

/// The action of Responses for the input of a Messages call.
fn action(input: &Value, found: Option<&Found>, all: bool) -> Value {
    let mut out = if matches!(text(input, "type"), "open_page" | "find_in_page") {
        input.clone()
    } else {
        let query = text(input, "query");
        let queries = input.get("queries").filter(|queries| queries.is_array()).cloned();
        json!({"type": "search", "query": query, "queries": queries.unwrap_or_else(|| json!([query]))})
    };
    if let Some(Found::Sources(sources)) = found
        && !sources.is_empty()
    {
        out["sources"] = sources.iter().map(|source| source.shown(all)).collect();
    }
    out
}

/// The item for a client of Responses.
pub(super) fn item(id: &str, input: &Value, found: Option<&Found>) -> Value {
    let status = if matches!(found, Some(Found::Sources(_))) { "completed" } else { "failed" };
    let mut out = json!({"id": id, "type": "web_search_call", "status": status, "action": action(input, found, true)});
    let told = self::id(Dialect::Messages, id).filter(|told| is_anthropics(told));
    if let (Some(found), Some(told)) = (found.filter(|found| found.is_anthropics()), told) {
        out["encrypted_content"] = sealed(&told, found).into();
    }
    out
}

/// The item for OpenAI itself. It has no id: one that the vendor gave would have to come with all that stood around it.
pub(super) fn item_for_openai(input: &Value, found: &Found) -> Value {
    let status = if matches!(found, Found::Sources(_)) { "completed" } else { "failed" };
    json!({"type": "web_search_call", "status": status, "action": action(input, Some(found), false)})
}

/// What the query of a search is before it is known.
pub(super) fn begun(id: &str) -> Value {
    json!({"id": id, "type": "web_search_call", "status": "in_progress", "action": {"type": "search", "query": ""}})
}

/// The call of Messages.
pub(super) fn call(id: &str, input: &Value) -> Value {
    json!({"type": "server_tool_use", "id": id, "name": TOOL, "input": input})
}

/// What Anthropic alone reads of its findings: they are shown in the item, all else of them is in here.
fn sealed(id: &str, found: &Found) -> String {
    let content = match found {
        Found::Sources(sources) => sources.iter().map(|source| source.sealed.as_str()).collect(),
        Found::Failed(code) => Value::from(code.as_str()),
    };
    envelope::seal(Dialect::Messages, &json!({"type": "web_search_tool_result", "tool_use_id": id, "content": content}))
}

fn opened(text: &str) -> Option<(String, Value)> {
    let (Dialect::Messages, mut value) = envelope::unsealed(text)? else { return None };
    let is_result = value.get("type").is_some_and(|kind| kind == "web_search_tool_result");
    let id = value.get("tool_use_id").and_then(Value::as_str).filter(|id| is_result && is_anthropics(id))?.to_owned();
    Some((id, value["content"].take()))
}

/// Whether a block of Messages tells of a search of another vendor, which Anthropic would not take.
pub(super) fn is_foreign(block: &Value) -> bool {
    let id = if text(block, "type") == "web_search_tool_result" { "tool_use_id" } else { "id" };
    matches!(text(block, "type"), "server_tool_use" | "web_search_tool_result") && text(block, id).starts_with(FOREIGN)
}

/// Takes what OpenAI does not know out of an item whose search another vendor ran; whether it was one.
pub(super) fn strip(item: &mut Map<String, Value>) -> bool {
    let sealed = item.get("encrypted_content").and_then(Value::as_str);
    if !sealed.is_some_and(|sealed| sealed.starts_with(envelope::PREFIX)) {
        return false;
    }
    item.shift_remove("encrypted_content");
    let sources = item.get_mut("action").and_then(|action| action.get_mut("sources")).and_then(Value::as_array_mut);
    for source in sources.into_iter().flatten() {
        *source = Source::of_item(source).shown(false);
    }
    true
}

/// Whether an id is one that Anthropic takes for a tool it runs, and no search of another vendor.
pub(super) fn is_anthropics(id: &str) -> bool {
    let rest = id.strip_prefix("srvtoolu_").unwrap_or_default();
    !rest.is_empty() && id.len() <= MAX_ID && is_word(rest) && !id.starts_with(FOREIGN)
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The id under which a client of dialect `to` knows the search that its vendor calls `id`; `None` where that is no id.
pub(super) fn id(to: Dialect, id: &str) -> Option<String> {
    let told = match to {
        Dialect::Messages => match id.strip_prefix("ws_") {
            Some(rest) if is_anthropics(rest) => rest.to_owned(),
            Some(_) => format!("srvtoolu_{id}"),
            None => return None,
        },
        Dialect::Chat | Dialect::Responses => match id.strip_prefix("srvtoolu_") {
            Some(rest) if id.starts_with(FOREIGN) => rest.to_owned(),
            Some(_) => format!("ws_{id}"),
            None => return None,
        },
    };
    (told.len() <= MAX_ID && is_word(&told)).then_some(told)
}
