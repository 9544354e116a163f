//! A small HTTP client for gateways on this machine: asking whether one is alive, and playing an agent in the demo.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::failure::Failure;

/// Whether a gateway answers at `base` (`http://127.0.0.1:8000`) within a second.
pub(crate) async fn alive(base: &str) -> bool {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let Ok(uri) = format!("{base}/livez").parse() else { return false };
    matches!(tokio::time::timeout(Duration::from_secs(1), client.get(uri)).await, Ok(Ok(answer)) if answer.status().is_success())
}

/// Sends one request; the answer's body is still to be read. Half a minute at most.
pub(crate) async fn send(request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(Duration::from_secs(30), client.request(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) => Err(Failure::new(format!("the gateway did not answer: {e}"))),
        Err(_) => Err(Failure::new("the gateway did not answer within 30 seconds")),
    }
}

/// Reads an answer's body to its end. Half a minute at most.
pub(crate) async fn read(body: Incoming) -> Result<Bytes, Failure> {
    match tokio::time::timeout(Duration::from_secs(30), body.collect()).await {
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(e)) => Err(Failure::new(format!("the answer broke off: {e}"))),
        Err(_) => Err(Failure::new("the answer did not end within 30 seconds")),
    }
}

/// Whether the gateway at `base` serves the Responses API: it answers an upgrade there as such, and does not find the path.
pub(crate) async fn speaks_responses(base: &str) -> bool {
    let request = Request::get(format!("{base}/v1/responses")).header("upgrade", "websocket").body(Full::default());
    let Ok(request) = request else { return false };
    send(request).await.is_ok_and(|answer| answer.status() == StatusCode::UPGRADE_REQUIRED)
}
