//! Asks a vendor whether a caller's own credential is valid, where the operator wants that: by the vendor's list of models, which
//! costs nothing, changes nothing and needs no model's name.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use jiff::Timestamp;
use luthien_wire::Dialect;
use serde_json::Value;
use tokio::time::timeout;

use crate::access::OAUTH;
use crate::access::verdicts::{Hash, Verdict};
use crate::credentials::{Caller, Forward, bearer};
use crate::errors::GatewayError;
use crate::headers::API_KEY;
use crate::upstream::Upstream;
use crate::upstream::execute::execute;
use crate::way::Core;

/// How long a vendor may take. One that takes longer is about to be asked for the turn itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much of a refusal is read.
const LARGEST: usize = 16 << 10;

/// Refuses a caller whose own credential its vendor does not take. Where the vendor does not say, or there is nobody to ask, the
/// request goes on: its upstream decides.
pub(crate) async fn check(
    core: &Core,
    dialect: Dialect,
    headers: &HeaderMap,
    caller: &mut Caller,
    now: Timestamp,
) -> Result<(), GatewayError> {
    let Some(validity) = core.access.rules().validation else { return Ok(()) };
    if caller.forward == Forward::ServerKey {
        return Ok(());
    }
    // A caller's credential goes to its own upstream, here as everywhere.
    let own = |upstream: &&Upstream| !upstream.keyless && core.upstreams.is_callers(upstream, dialect);
    let Some(upstream) = core.upstreams.default_for(dialect).filter(own) else { return Ok(()) };
    let mut brought = HeaderMap::new();
    for name in [API_KEY, AUTHORIZATION] {
        if let Some(value) = headers.get(&name) {
            brought.insert(name, value.clone());
        }
    }
    core.keys.apply(&mut brought, &caller.forward, dialect, upstream)?;
    let hash = core.keys.hash_of_sent(&upstream.name, &brought);
    let (asked, to) = (brought, upstream.clone());
    let question = move || question(to, dialect, asked);
    let whose = (caller.kind, upstream.name.as_str());
    let verdict = core.access.verdicts.find(hash, whose, (validity, now), question).await;
    caller.validated = Some(hash);
    match verdict {
        Verdict::Invalid => Err(GatewayError::BadCredential("the vendor that it is for says that it is not valid")),
        Verdict::Valid | Verdict::Unknown => Ok(()),
    }
}

/// A caller's own upstream has refused what it was sent: what was said of it before does not count any more.
pub(crate) fn refused(core: &Core, dialect: Dialect, upstream: &Upstream, status: StatusCode, hash: Option<Hash>) {
    let own = || core.upstreams.default_for(dialect).is_some_and(|own| own.name == upstream.name);
    if let Some(hash) = hash.filter(|_| status == StatusCode::UNAUTHORIZED && own()) {
        core.access.verdicts.forget(hash);
    }
}

fn question(upstream: Upstream, dialect: Dialect, headers: HeaderMap) -> BoxFuture<'static, Verdict> {
    async move {
        let patience = PATIENCE.min(upstream.first_byte);
        match timeout(patience, ask(&upstream, dialect, headers)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(why)) => unknown(&upstream, &why),
            Err(_) => unknown(&upstream, "it took too long"),
        }
    }
    .boxed()
}

fn unknown(upstream: &Upstream, why: &str) -> Verdict {
    tracing::warn!(upstream = upstream.name, why, "a caller's credential cannot be validated; its request goes on");
    Verdict::Unknown
}

async fn ask(upstream: &Upstream, dialect: Dialect, headers: HeaderMap) -> Result<Verdict, String> {
    let request = request(upstream, dialect, headers).map_err(|error| error.to_string())?;
    let response = execute(upstream, request).await.map_err(|error| error.to_string())?;
    match response.status() {
        StatusCode::UNAUTHORIZED => Ok(Verdict::Invalid),
        StatusCode::FORBIDDEN => {
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok(forbidden(&body.map_err(|error| error.to_string())?.to_bytes()))
        }
        status if status.is_success() => Ok(Verdict::Valid),
        status => Err(format!("it answered {}", status.as_u16())),
    }
}

/// What a 403 says of the credential: one that may not list models is known all the same, and a page that some proxy puts in the way
/// says nothing.
fn forbidden(body: &[u8]) -> Verdict {
    let error = serde_json::from_slice::<Value>(body).ok().and_then(|body| body.get("error").cloned());
    match error.map(|error| error.to_string()) {
        Some(error) if error.contains("scope") => Verdict::Valid,
        Some(_) => Verdict::Invalid,
        None => Verdict::Unknown,
    }
}

/// The request, which carries the credential and nothing else of the caller's.
fn request(upstream: &Upstream, dialect: Dialect, mut headers: HeaderMap) -> Result<Request<Full<Bytes>>, http::Error> {
    let query = if dialect == Dialect::Messages { "limit=1" } else { "" };
    if dialect == Dialect::Messages {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        // Without it the vendor does not take a login's token at all.
        if headers.get(AUTHORIZATION).is_some_and(|value| bearer(value).starts_with(OAUTH)) {
            headers.insert("anthropic-beta", HeaderValue::from_static("oauth-2025-04-20"));
        }
    }
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("luthien/", env!("CARGO_PKG_VERSION"))));
    let url = upstream.base.url(dialect, "/models", query)?;
    let mut request = Request::builder().method(Method::GET).uri(url).body(Full::default())?;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_list_models_is_known_all_the_same() {
        let missing = br#"{"error":{"message":"Missing scopes: api.model.read","type":"invalid_request_error"}}"#;
        let scope =
            br#"{"type":"error","error":{"type":"permission_error","message":"does not meet scope requirement"}}"#;
        let account = br#"{"type":"error","error":{"type":"permission_error","message":"this account is closed"}}"#;
        for (body, verdict) in [
            (&missing[..], Verdict::Valid),
            (scope, Verdict::Valid),
            (account, Verdict::Invalid),
            (b"<html>scope</html>", Verdict::Unknown),
            (b"{}", Verdict::Unknown),
            (b"", Verdict::Unknown),
        ] {
            assert_eq!(forbidden(body), verdict, "{}", String::from_utf8_lossy(body));
        }
    }
}
