//! Reads the content of Chat messages.

use serde_json::{Map, Value};

use super::super::super::Refused;
use super::super::ask::{Document, Image, Part, Role, Source, What};
use super::super::ledger::{Ledger, refuse};
use super::super::{media, take};

/// A string, or parts.
pub(super) fn content(at: &str, role: Role, content: Option<Value>, ledger: &mut Ledger) -> Result<Vec<Part>, Refused> {
    match content {
        Some(Value::String(text)) => Ok(vec![Part::text(at, text)]),
        Some(Value::Array(parts)) => {
            let mut out = Vec::with_capacity(parts.len());
            for (i, part) in parts.into_iter().enumerate() {
                let at = format!("{at}.content[{i}]");
                // A bare string is no part in this dialect, and policies do not read it.
                let Value::Object(part) = part else { return Err(refuse(&at, "a part of a content is an object")) };
                let part = one(&at, role, part, ledger)?;
                out.extend(part.map(|what| Part::new(at, what)));
            }
            Ok(out)
        }
        _ => Ok(Vec::new()),
    }
}

fn one(at: &str, role: Role, mut part: Map<String, Value>, ledger: &mut Ledger) -> Result<Option<What>, Refused> {
    super::messages_blocks::hints(&mut part, ledger);
    let kind = take::kind(&mut part);
    Ok(Some(match kind.as_str() {
        "text" => What::Text(take::text(&mut part, "text").unwrap_or_default()),
        "refusal" => What::Text(take::text(&mut part, "refusal").unwrap_or_default()),
        "image_url" => {
            let (url, detail) = match part.shift_remove("image_url") {
                Some(Value::String(url)) => (url, None),
                Some(Value::Object(mut image)) => {
                    (take::text(&mut image, "url").unwrap_or_default(), take::some(&mut image, "detail"))
                }
                _ => return Err(refuse(at, "an image without an address or data")),
            };
            image(at, url, detail)?
        }
        "file" => {
            let mut inside = take::object(&mut part, "file");
            file(at, take::text(&mut inside, "filename"), take::text(&mut inside, "file_data"), None)?
        }
        "input_audio" => What::Audio(part.shift_remove("input_audio").unwrap_or_default()),
        // Reasoning that a server put among the contents of its answer, for its own use.
        "thinking" | "reasoning" => {
            ledger.drop_each(at, "reasoning of another vendor");
            return Ok(None);
        }
        _ if role == Role::Assistant => {
            ledger.drop_as(at, &kind);
            return Ok(None);
        }
        _ => return Err(refuse(at, &format!("a part of type {kind:?} cannot be said in the dialect of the upstream"))),
    }))
}

/// A picture by its URL, which may hold it.
pub(super) fn image(at: &str, url: String, detail: Option<Value>) -> Result<What, Refused> {
    let source = media::source(url).ok_or_else(|| refuse(at, "a data: URL that is not base64"))?;
    Ok(What::Image(Image { source, detail }))
}

/// A document by its data (a `data:` URL, or bare base64 whose kind the name tells) or its address. Text becomes text.
pub(super) fn file(
    at: &str,
    name: Option<String>,
    data: Option<String>,
    address: Option<String>,
) -> Result<What, Refused> {
    let source = match (data, address) {
        (Some(data), _) if data.starts_with("data:") => {
            media::source(data).ok_or_else(|| refuse(at, "a data: URL that is not base64"))?
        }
        (Some(data), _) => {
            let media = name.as_deref().and_then(media::media_of).unwrap_or("application/pdf").to_owned();
            Source::Data { media, data }
        }
        (None, Some(url)) => Source::Url(url),
        (None, None) => return Err(refuse(at, media::STORED)),
    };
    Ok(match &source {
        Source::Data { media, data } if media::is_text(media) => match media::decoded(data) {
            Some(text) => What::Text(media::titled(name.as_deref(), &text)),
            None => return Err(refuse(at, "a text document that is not base64 of UTF-8")),
        },
        _ => What::Document(Document { source, name }),
    })
}
