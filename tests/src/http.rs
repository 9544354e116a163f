//! One HTTP request at a time, for what the tests ask by themselves.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it came.
    pub body: Bytes,
}

const WITHIN: Duration = Duration::from_mins(1);

/// Sends one request on a connection of its own. An error is the sentence that says what went wrong.
pub async fn send(request: Request<Bytes>) -> Result<Answer, String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let whole = async {
        let answer = client.request(request.map(Full::new)).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    };
    timeout(WITHIN, whole).await.map_err(|_| format!("no whole answer within {WITHIN:?}"))?
}

/// A GET of `url`.
pub async fn get(url: &str) -> Result<Answer, String> {
    send(Request::get(url).body(Bytes::new()).expect("a request")).await
}

/// A POST of JSON to `url`, with a dummy key in both forms.
pub async fn post(url: &str, body: impl Into<Bytes>) -> Result<Answer, String> {
    let request = Request::post(url)
        .header("content-type", "application/json")
        .header("x-api-key", "sk-test-dummy")
        .header("authorization", "Bearer sk-test-dummy")
        .header("anthropic-version", "2023-06-01");
    send(request.body(body.into()).expect("a request")).await
}
