//! Responses that the vendor keeps: what is read of them goes through the response policies like an answer (W-11).

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};

use crate::credentials::parameter_name;
use crate::errors::GatewayError;

/// What policies are shown as the request: which one led to the response is not known.
pub(crate) fn request() -> Result<Request, GatewayError> {
    let body = Bytes::from_static(br#"{"model":"stored","input":[]}"#);
    let request = Request::parse(Dialect::Responses, RequestKind::Turn, body);
    request.map_err(|error| GatewayError::BadRequest(error.message))
}

/// Whether what is asked for can be reviewed: a stream can only from its start.
pub(crate) fn check(query: &str) -> Result<(), GatewayError> {
    let name = |pair: &str| parameter_name(pair.split('=').next().unwrap_or_default());
    // Some servers read `;` as `&`.
    if query.split(['&', ';']).any(|pair| name(pair) == b"starting_after") {
        return Err(GatewayError::BadRequest(
            "`starting_after` cannot be used where policies check answers: they have to see the response from its start"
                .to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_reviewed_from_its_start() {
        assert!(check("stream=true&include%5B%5D=starting_after").is_ok());
        for query in [
            "stream=true&starting_after=4",
            "starting%5Fafter=4",
            "%73TARTING_AFTER",
            "stream=true;starting_after=3",
            "a&starting_after=",
        ] {
            assert_eq!(check(query).unwrap_err().status(), 400, "{query}");
        }
        assert!(check("%").is_ok() && check("%zz=starting").is_ok());
    }
}
