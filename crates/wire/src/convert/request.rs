//! Requests: read into a neutral form, written in the target's dialect.

use super::{Converted, Refused};
use crate::dialect::Dialect;
use crate::request::Request;

/// The request for an upstream that speaks `to` and calls the model `model`. Fails where it would mean something else there.
pub fn request(_request: &Request, _to: Dialect, _model: &str) -> Result<Converted, Refused> {
    Err(Refused { message: "conversion is not there yet".into(), param: None })
}

/// As [`request`] for a request that asks for a count of tokens. Fails towards Chat, which has no counting.
pub fn count(_request: &Request, _to: Dialect, _model: &str) -> Result<Converted, Refused> {
    Err(Refused { message: "conversion is not there yet".into(), param: None })
}
