//! Pictures and documents: data URLs, and documents that are text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ask::Source;

/// Why a file that is only named cannot go on.
pub(super) const STORED: &str =
    "a file that is stored with one vendor cannot be shown to another: send its bytes or its address";

/// What is at an address; a `data:` URL holds it itself. `None` for a `data:` URL that is not base64.
pub(super) fn source(url: String) -> Option<Source> {
    let Some(inside) = url.strip_prefix("data:") else { return Some(Source::Url(url)) };
    let (head, data) = inside.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media = head.split(';').next().unwrap_or_default();
    Some(Source::Data { media: media.to_owned(), data: data.to_owned() })
}

/// The URL of a source: its address, or a `data:` URL that holds it.
pub(super) fn url(source: Source) -> String {
    match source {
        Source::Url(url) => url,
        Source::Data { media, data } => format!("data:{media};base64,{data}"),
    }
}

/// The bytes of base64 as text, if they are UTF-8.
pub(super) fn decoded(data: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(data.trim()).ok()?).ok()
}

/// A text that was a document of its own, under its name.
pub(super) fn titled(name: Option<&str>, text: &str) -> String {
    match name {
        Some(name) if !name.is_empty() => format!("[{name}]\n{text}"),
        _ => text.to_owned(),
    }
}

/// The media type that a file's name tells, for the kinds that models read.
pub(super) fn media_of(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        "html" => "text/html",
        _ => return None,
    })
}

/// Whether a document of this type is text.
pub(super) fn is_text(media: &str) -> bool {
    media.starts_with("text/") || media == "application/json"
}
