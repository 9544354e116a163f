//! Errors and limits of one vendor in the words of another.

mod failure;
mod limits;
mod page;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Dialect;
pub(super) use failure::{Class, Failure};
pub use limits::limits;

/// An upstream's error body in the client's envelope; the status stays what it was. The message is kept word for word, since
/// agents act on it. `id` stands where the upstream named no request.
pub fn error(from: Dialect, to: Dialect, status: u16, body: &[u8], id: &str) -> Bytes {
    let read: Option<Value> = serde_json::from_slice(body).ok().filter(Value::is_object);
    let failure = match &read {
        Some(value) => Failure::read(from, error_of(value), Some(status)),
        None => Failure::read(from, &Value::String(page::words(body, status)), Some(status)),
    };
    let named = read.as_ref().and_then(|value| value.get("request_id").or_else(|| value.pointer("/error/request_id")));
    envelope(&failure, to, named.and_then(Value::as_str).unwrap_or(id))
}

/// The part of an error body that says what is wrong: `error`, or the whole where a server writes it flat.
fn error_of(body: &Value) -> &Value {
    match body.get("error") {
        Some(error) if !error.is_null() => error,
        _ => body.get("detail").filter(|detail| detail.is_string() && body.get("message").is_none()).unwrap_or(body),
    }
}

/// A failure as a body.
pub(super) fn envelope(failure: &Failure, to: Dialect, id: &str) -> Bytes {
    match to {
        Dialect::Messages => json!({"type": "error", "error": failure.messages(), "request_id": id}),
        Dialect::Chat | Dialect::Responses => {
            let mut error = failure.openai();
            error["request_id"] = id.into();
            json!({"error": error})
        }
    }
    .to_string()
    .into()
}

#[cfg(test)]
mod tests;
