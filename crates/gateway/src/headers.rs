//! Which headers pass, in both directions: all but those of the connection and the gateway's own (W-43).

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use luthien_wire::Dialect;

use crate::live::InForce;
use crate::transaction::Transaction;

/// The transaction's id, under the name that older callers know.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
/// The transaction's id.
pub(crate) const TRANSACTION_ID: HeaderName = HeaderName::from_static("x-luthien-transaction-id");
/// The active policies.
pub(crate) const POLICY: HeaderName = HeaderName::from_static("x-luthien-policy");
/// The upstream that was asked, by its name.
pub(crate) const UPSTREAM: HeaderName = HeaderName::from_static("x-luthien-upstream");
/// The upstreams that were asked before it and could not answer, and why.
pub(crate) const FALLBACK: HeaderName = HeaderName::from_static("x-luthien-fallback");
/// What was left out in a conversion, of the request and of the answer, and what was put in.
pub(crate) const DROPPED: HeaderName = HeaderName::from_static("x-luthien-dropped");
/// With the gateway's token: a policy's own question to a model, which no policy reviews.
pub(crate) const UNREVIEWED: HeaderName = HeaderName::from_static("x-luthien-unreviewed");
/// The policy that a request asks for, where the operator lets it.
pub(crate) const USE_POLICY: HeaderName = HeaderName::from_static("x-luthien-use-policy");
/// What tells clients not to try again.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The credential to forward, beside the one a client authenticates with.
pub(crate) const FORWARD_KEY: HeaderName = HeaderName::from_static("x-anthropic-api-key");
/// A gateway key, beside a credential of the upstream's in its usual place.
pub(crate) const GATEWAY_KEY: HeaderName = HeaderName::from_static("x-luthien-api-key");
/// The Anthropic SDKs' credential header.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const OWN_PREFIX: &str = "x-luthien-";
const OWN_COOKIE: &[u8] = b"luthien_session";

/// Takes out what concerns one connection only, what `Connection` names included.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in
        [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE]
    {
        headers.remove(name);
    }
}

/// Takes out of a request what is not for the upstream; credentials apart.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    /// With these some servers take a request for another one than the gateway has judged.
    const OTHERWISE: [&str; 5] =
        ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];
    strip_hop_by_hop(headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
    for name in OTHERWISE {
        headers.remove(name);
    }
    if headers.keys().any(|name| name.as_str().starts_with(OWN_PREFIX)) {
        let own: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with(OWN_PREFIX)).cloned().collect();
        for name in own {
            headers.remove(name);
        }
    }
    if headers.contains_key(COOKIE) {
        strip_own_cookie(headers);
    }
}

/// Takes the gateway's cookie out and leaves the others as they are, whatever bytes they have.
fn strip_own_cookie(headers: &mut HeaderMap) {
    let is_own =
        |pair: &&[u8]| pair.split(|byte| *byte == b'=').next().is_some_and(|name| name.trim_ascii() == OWN_COOKIE);
    let pairs = |value: &HeaderValue| -> Vec<Vec<u8>> {
        value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::to_vec).collect()
    };
    let values: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for value in values {
        let pairs = pairs(&value);
        if !pairs.iter().any(|pair| is_own(&pair.as_slice())) {
            headers.append(COOKIE, value);
            continue;
        }
        let rest: Vec<&[u8]> =
            pairs.iter().map(Vec::as_slice).filter(|pair| !is_own(pair)).map(<[u8]>::trim_ascii).collect();
        if let (false, Ok(value)) = (rest.is_empty(), HeaderValue::from_bytes(&rest.join(&b"; "[..]))) {
            headers.append(COOKIE, value);
        }
    }
}

/// Makes a request's headers those of a client of `dialect`: what means something to another vendor alone is taken out.
pub(crate) fn speak(headers: &mut HeaderMap, dialect: Dialect, stream: bool) {
    const VENDORS: [&str; 7] =
        ["anthropic-", "openai-", "x-stainless-", "x-claude-", "x-codex-", "x-openai-", "chatgpt-"];
    const OTHERS: [&str; 8] = [
        "x-app",
        "originator",
        "version",
        "session_id",
        "session-id",
        "thread-id",
        "conversation_id",
        "x-client-request-id",
    ];
    let vendors = |name: &HeaderName| {
        let name = name.as_str();
        VENDORS.iter().any(|prefix| name.starts_with(prefix)) || OTHERS.contains(&name)
    };
    let gone: Vec<HeaderName> = headers.keys().filter(|name| vendors(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if dialect == Dialect::Messages {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
}

/// Makes the headers of an answer in `from` those of one in `to`: the request's id and the limits under the client's names.
/// `now` is in seconds since 1970.
pub(crate) fn convert_answer(headers: &mut HeaderMap, from: Dialect, to: Dialect, now: i64) {
    let (theirs, ours) = (from.request_id_header(), to.request_id_header());
    if theirs != ours
        && let Some(id) = headers.remove(theirs)
    {
        headers.insert(ours, id);
    }
    let told: Vec<(&str, &str)> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    for (name, value) in luthien_wire::convert::limits(from, to, &told, now) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// Whether a client can be sent trailers: over HTTP/2 always, over HTTP/1.1 if it says so.
pub(crate) fn takes_trailers(version: Version, headers: &HeaderMap) -> bool {
    let says_so = || {
        let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case("trailers"))
    };
    version == Version::HTTP_2 || (version == Version::HTTP_11 && says_so())
}

/// Text as a header's value: what no header can carry is left out, and what is too long for one is cut.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    /// Servers and clients take heads of some 8 KiB in all.
    const LONGEST: usize = 1024;
    let plain: String = text.chars().filter(|c| matches!(c, ' '..='~')).take(LONGEST).collect();
    HeaderValue::try_from(plain).unwrap_or(HeaderValue::from_static("unnamed"))
}

/// The gateway's marks on an answer: the transaction, the policies, and a vendor-style id where the upstream gave none.
pub(crate) fn mark(headers: &mut HeaderMap, transaction: &Transaction) {
    for (name, value) in transaction.marks() {
        headers.insert(name, value.clone());
    }
    mark_unrecorded(headers, transaction.dialect, &transaction.header, transaction.in_force());
}

/// The same for a request that has no transaction.
pub(crate) fn mark_unrecorded(headers: &mut HeaderMap, dialect: Dialect, id: &HeaderValue, in_force: &InForce) {
    headers.insert(CALL_ID, id.clone());
    headers.insert(TRANSACTION_ID, id.clone());
    headers.insert(POLICY, in_force.header().clone());
    let vendor = HeaderName::from_static(dialect.request_id_header());
    headers.entry(vendor).or_insert_with(|| id.clone());
}

#[cfg(test)]
mod tests;
