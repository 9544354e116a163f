//! Reads the content blocks of Messages.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::super::citation::Citation;
use super::super::ask::{Call, Document, Image, Input, Outcome, Part, Role, Source, What};
use super::super::ledger::{Ledger, refuse};
use super::super::searched::{self, Searched};
use super::super::{media, take};
use super::reasoning;
use crate::dialect::Dialect;

/// The name of hints for the vendor's prompt cache. They change no meaning: they are named once for the whole request.
pub(super) const HINT: &str = "cache_control";

pub(super) fn cached(ledger: &mut Ledger) {
    ledger.drop(HINT);
}

/// Takes a cache hint off a block.
pub(super) fn hints(block: &mut Map<String, Value>, ledger: &mut Ledger) {
    if block.shift_remove(HINT).is_some_and(|hint| !hint.is_null()) {
        cached(ledger);
    }
}

/// How deep contents may nest: policies read the texts of as many levels.
const DEPTH: usize = 8;

/// The text of a block that may be nothing else. A block that does not say so is none to those who read requests.
pub(super) fn text(at: &str, mut block: Map<String, Value>) -> Result<String, Refused> {
    match take::kind(&mut block).as_str() {
        "text" => Ok(take::text(&mut block, "text").unwrap_or_default()),
        kind => Err(refuse(at, &format!("a block of type {kind:?} where only a text may stand"))),
    }
}

/// The texts of a content that is a text, or blocks of text.
pub(super) fn texts(at: &str, content: Option<Value>) -> Result<Vec<Part>, Refused> {
    match content {
        Some(Value::String(text)) => Ok(vec![Part::text(at, text)]),
        Some(Value::Array(entries)) => {
            entries.into_iter().map(|entry| Ok(Part::text(at, text(at, take::members(entry))?))).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// What a block says.
pub(super) fn block(
    at: &str,
    role: Role,
    mut block: Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<Vec<Part>, Refused> {
    let one = |what| Ok(vec![Part::new(at, what)]);
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let cites = kind == "text" && role == Role::Assistant;
    if let Some(cited) = block.get("citations").filter(|cited| says(cited) && !cites) {
        let what = if cited.is_array() { "citations" } else { "asked-for citations" };
        ledger.drop_each(&format!("{at}.citations"), what);
    }
    match kind.as_str() {
        "text" => {
            let text = take::text(&mut block, "text").unwrap_or_default();
            let list = block.shift_remove("citations").filter(|_| cites);
            let (sources, lost) = searched::sources(list, &text, Citation::of_messages);
            let place = format!("{at}.citations");
            if lost {
                ledger.drop_each(&place, "citations");
            }
            let mut parts = vec![Part::new(at, What::Text(text))];
            if !sources.is_empty() {
                parts.push(Part::new(place, What::Cited(sources)));
            }
            Ok(parts)
        }
        "image" => one(What::Image(Image { source: source(at, take::object(&mut block, "source"))?, detail: None })),
        "document" => document(at, block, ledger),
        "search_result" => {
            let (title, from) = (take::text(&mut block, "title"), take::text(&mut block, "source"));
            let head = [title, from].into_iter().flatten().collect::<Vec<_>>().join("\n");
            let body = texts(at, block.shift_remove("content"))?.into_iter().filter_map(|part| match part.what {
                What::Text(text) => Some(text),
                _ => None,
            });
            one(What::Text(media::titled(Some(&head), &body.collect::<Vec<_>>().join("\n"))))
        }
        "thinking" => {
            let signature = take_copy(&block, "signature");
            one(reasoning(Dialect::Messages, signature.as_deref(), Value::Object(block)))
        }
        "redacted_thinking" => {
            let data = take_copy(&block, "data");
            one(reasoning(Dialect::Messages, data.as_deref(), Value::Object(block)))
        }
        "tool_use" => one(What::Call(Call {
            id: take::text(&mut block, "id").unwrap_or_default(),
            name: take::text(&mut block, "name").unwrap_or_default(),
            input: Input::Parsed(block.shift_remove("input").unwrap_or(Value::Object(Map::new()))),
        })),
        "tool_result" => one(What::Outcome(Outcome {
            id: take::text(&mut block, "tool_use_id").unwrap_or_default(),
            failed: take::flag(&mut block, "is_error") == Some(true),
            parts: content(at, role, block.shift_remove("content"), ledger)?,
        })),
        "tool_reference" => {
            let name = take::text(&mut block, "tool_name").unwrap_or_default();
            one(What::Text(format!("[the tool {name} can be called now]")))
        }
        "compaction" => {
            let parts = texts(at, block.shift_remove("content"))?;
            if parts.is_empty() {
                return Err(refuse(at, "a compacted history that only its vendor can read"));
            }
            Ok(parts)
        }
        "server_tool_use"
            if role == Role::Assistant
                && let Some(search) = Searched::of_messages(&mut block) =>
        {
            one(What::Search(search))
        }
        "server_tool_use" | "mcp_tool_use" => {
            ledger.drop_each(at, "a tool that the vendor ran");
            Ok(Vec::new())
        }
        kind if kind.ends_with("_tool_result") => {
            ledger.drop_each(at, "a tool that the vendor ran");
            Ok(Vec::new())
        }
        // They have shown in the tools already.
        "tool_addition" | "tool_removal" => Ok(Vec::new()),
        "container_upload" | "fallback" => {
            ledger.drop_as(at, &kind);
            Ok(Vec::new())
        }
        _ if role == Role::Assistant => {
            ledger.drop_as(at, &kind);
            Ok(Vec::new())
        }
        _ => Err(refuse(at, &format!("a block of type {kind:?} cannot be said in the dialect of the upstream"))),
    }
}

/// A string, or blocks.
fn content(at: &str, role: Role, content: Option<Value>, ledger: &mut Ledger) -> Result<Vec<Part>, Refused> {
    match content {
        Some(Value::String(text)) => Ok(vec![Part::text(at, text)]),
        Some(Value::Array(_)) if at.matches(".content[").count() >= DEPTH => {
            Err(refuse(at, "contents that are nested too deep"))
        }
        Some(Value::Array(blocks)) => {
            let mut out = Vec::new();
            for (i, inner) in blocks.into_iter().enumerate() {
                let mut inner = take::members(inner);
                hints(&mut inner, ledger);
                out.extend(block(&format!("{at}.content[{i}]"), role, inner, ledger)?);
            }
            Ok(out)
        }
        _ => Ok(Vec::new()),
    }
}

/// A document. One whose source is text or blocks becomes these, under its title.
fn document(at: &str, mut block: Map<String, Value>, ledger: &mut Ledger) -> Result<Vec<Part>, Refused> {
    let name = take::text(&mut block, "title");
    let mut from = take::object(&mut block, "source");
    let mut out: Vec<Part> = take::text(&mut block, "context").map(|text| Part::text(at, text)).into_iter().collect();
    match from.get("type").and_then(Value::as_str) {
        Some("text") => {
            let text = take::text(&mut from, "data").unwrap_or_default();
            out.push(Part::text(at, media::titled(name.as_deref(), &text)));
        }
        Some("content") => {
            if let Some(name) = name {
                out.push(Part::text(at, format!("[{name}]")));
            }
            out.extend(content(at, Role::User, from.shift_remove("content"), ledger)?);
        }
        _ => out.push(Part::new(at, What::Document(Document { source: source(at, from)?, name }))),
    }
    Ok(out)
}

fn source(at: &str, mut source: Map<String, Value>) -> Result<Source, Refused> {
    let mut text = |name: &str| take::text(&mut source, name).unwrap_or_default();
    match text("type").as_str() {
        "base64" => Ok(Source::Data { media: text("media_type"), data: text("data") }),
        "url" => Ok(Source::Url(text("url"))),
        _ => Err(refuse(at, media::STORED)),
    }
}

fn take_copy(block: &Map<String, Value>, name: &str) -> Option<String> {
    block.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Whether citations are there (on an answer's text) or asked for (on a document).
fn says(citations: &Value) -> bool {
    match citations {
        Value::Array(list) => !list.is_empty(),
        Value::Object(wish) => wish.get("enabled").and_then(Value::as_bool) == Some(true),
        _ => false,
    }
}
