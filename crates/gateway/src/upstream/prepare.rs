//! Makes the upstream request out of the client's: URL, headers, credential, body. Sends nothing.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use luthien_wire::Dialect;

use super::Upstream;
use super::execute::broken;
use crate::credentials::{Forward, Keys, strip_callers, without_secrets};
use crate::errors::GatewayError;
use crate::headers::{speak, strip_request};

/// What the client asked for, as far as it concerns the upstream.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// What the upstream is asked in.
    pub(crate) dialect: Dialect,
    pub(crate) method: Method,
    /// The path as it stands after `/v1`.
    pub(crate) path: &'a str,
    /// The query, empty if there is none.
    pub(crate) query: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) forward: &'a Forward,
    /// The upstream is the caller's own: what the caller proves itself with may go there.
    pub(crate) callers: bool,
    /// The body has been converted from another dialect, and whether a stream is asked for.
    pub(crate) converted: Option<bool>,
    /// The answer will be read while it comes, so it must not be compressed.
    pub(crate) plain_answer: bool,
    /// The body is no longer what `content-encoding` says: it was decoded and changed.
    pub(crate) body_decoded: bool,
    pub(crate) body: Bytes,
}

/// The request for the upstream.
pub(crate) fn prepare(
    upstream: &Upstream,
    keys: &Keys,
    outgoing: Outgoing<'_>,
) -> Result<Request<Full<Bytes>>, GatewayError> {
    if keys.stands_in_path(outgoing.path) {
        return Err(GatewayError::BadRequest("a gateway key stands in the path: send it in a header".to_owned()));
    }
    // Nothing that proves anything goes to an upstream that asks for nothing, the caller's own or not.
    let callers = outgoing.callers && !upstream.keyless;
    let query = match (outgoing.converted, callers) {
        (Some(_), _) => String::new(),
        (None, true) => keys.clean_query(outgoing.query),
        (None, false) => without_secrets(&keys.clean_query(outgoing.query)),
    };
    let url = upstream.base.url(outgoing.dialect, outgoing.path, &query);
    let url = url.map_err(|_| GatewayError::BadRequest("the path or the query is not a valid URL".to_owned()))?;
    let mut headers = outgoing.headers;
    strip_request(&mut headers);
    if !callers {
        strip_callers(&mut headers);
    }
    if let Some(stream) = outgoing.converted {
        speak(&mut headers, outgoing.dialect, stream);
    }
    keys.apply(&mut headers, outgoing.forward, outgoing.dialect, upstream)?;
    if outgoing.plain_answer {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if outgoing.body_decoded {
        headers.remove(CONTENT_ENCODING);
    }
    let mut request = Request::builder()
        .method(outgoing.method)
        .uri(url)
        .body(Full::new(outgoing.body))
        .map_err(|_| broken(upstream, "the request could not be built"))?;
    *request.headers_mut() = headers;
    Ok(request)
}
