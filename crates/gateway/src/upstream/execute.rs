//! Sends a prepared request and waits for the head of the answer.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;

use super::Upstream;
use super::connector::TooSlow;
use crate::errors::GatewayError;

/// The upstream's answer, its body still to come.
pub(crate) async fn execute(
    upstream: &Upstream,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, GatewayError> {
    let sending = upstream.client.send(request).ok_or_else(|| broken(upstream, "no connection"))?;
    match tokio::time::timeout(upstream.first_byte, sending).await {
        // Nobody asked for another protocol, and no policy could read it.
        Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            Err(broken(upstream, "it answered 101 Switching Protocols, which nobody had asked for"))
        }
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(failed(upstream, &error)),
        Err(_) => Err(silent(upstream, upstream.first_byte)),
    }
}

/// The upstream sent nothing for too long.
pub(crate) fn silent(upstream: &Upstream, after: Duration) -> GatewayError {
    GatewayError::UpstreamTimeout { upstream: upstream.name.clone(), after }
}

/// The upstream broke off.
pub(crate) fn broken(upstream: &Upstream, why: &str) -> GatewayError {
    GatewayError::UpstreamBroken { upstream: upstream.name.clone(), why: why.to_owned() }
}

fn failed(upstream: &Upstream, error: &legacy::Error) -> GatewayError {
    let (upstream_name, host) = (upstream.name.clone(), upstream.base.host().to_owned());
    if causes(error).any(<dyn Error>::is::<TooSlow>) {
        return GatewayError::ConnectTimeout { upstream: upstream_name, host, after: upstream.connect };
    }
    let why = root_cause(error);
    if error.is_connect() {
        return GatewayError::Unreachable { upstream: upstream_name, host, why };
    }
    broken(upstream, &why)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

/// The innermost cause in words: what the operating system, TLS or HTTP had to say.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
