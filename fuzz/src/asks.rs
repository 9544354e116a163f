//! The conversion of requests: none makes it panic, and what it gives is a request of the target's dialect for the model that
//! was wanted, with what was said still in it, and can be converted back.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::convert;
use luthien_wire::request::{Request, RequestKind};

/// Checks one input.
pub fn check(input: &[u8]) {
    for from in Dialect::ALL {
        let Ok(request) = Request::parse(from, RequestKind::Turn, Bytes::copy_from_slice(input)) else { continue };
        for to in Dialect::ALL {
            let Some(there) = converted(&request, to) else { continue };
            assert_eq!(there.stream(), request.stream());
            if let Some(back) = converted(&there, from) {
                assert_eq!(back.stream(), request.stream());
            }
            let _ = convert::count(&request, to, "model");
        }
    }
}

fn converted(request: &Request, to: Dialect) -> Option<Request> {
    let found = convert::request(request, to, "another/model").ok()?;
    let again = convert::request(request, to, "another/model").ok()?;
    assert_eq!(found.body, again.body);
    assert_eq!((found.answer.from, found.answer.to), (to, request.dialect()));
    let body = String::from_utf8_lossy(&found.body).into_owned();
    let read = match Request::parse(to, RequestKind::Turn, found.body) {
        Ok(read) => read,
        // A limit that is no number goes on: it is the upstream's to refuse.
        Err(error) if error.param.as_deref() == Some("max_tokens") => return None,
        Err(error) => panic!("{:?} to {to:?}: {error}: {body}", request.dialect()),
    };
    // In Responses itself the vendor's stored prompt may name the model.
    if to != request.dialect() || request.raw("model").is_some() {
        assert_eq!(read.model(), "another/model");
    }
    read.conversation();
    Some(read)
}
