//! An archive in a bucket of S3, or of storage that speaks its protocol: one signed request a file, tried again where that helps.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use luthien_record::archive::{Archive, ArchiveError, Put};
use rusty_s3::actions::{PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use secrecy::ExposeSecret;
use tokio_util::task::TaskTracker;

use super::SetupError;
use crate::clock::Clock;
use crate::config::{UpstreamConfig, UpstreamTimeouts};
use crate::settings::{S3Encryption, Settings};
use crate::upstream::client::HttpClient;
use crate::upstream::connector::proxies;
use crate::upstream::execute::root_cause;
use crate::upstream::tls;

/// How often a file is sent at most. With the times below this stays within a quarter of an hour.
const TRIES: u32 = 5;

/// How long one try may take: a file has some 32 MiB.
const DEADLINE: Duration = Duration::from_mins(2);

/// The wait after the first try; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a signature is valid. Clocks may differ by some minutes.
const VALID: Duration = Duration::from_mins(15);

/// The most that is read of an answer, in bytes.
const ANSWER: usize = 64 << 10;

/// Puts files into a bucket.
pub(crate) struct S3Archive {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    headers: Vec<(&'static str, String)>,
    client: HttpClient,
    clock: Clock,
    pause: Duration,
}

impl std::fmt::Debug for S3Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Archive").field("place", &self.place()).finish_non_exhaustive()
    }
}

/// Why a try failed.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    /// Another try may not.
    Maybe(String),
    /// So will every other.
    Surely(String),
}

impl S3Archive {
    /// The bucket that the settings name; none where they name none. Connects to nothing yet; `tasks` owns its connections.
    pub(crate) fn new(settings: &Settings, clock: Clock, tasks: &TaskTracker) -> Result<Option<Self>, SetupError> {
        let Some(name) = &settings.archive_s3_bucket else { return Ok(None) };
        let (Some(id), Some(secret)) = (&settings.aws_access_key_id, &settings.aws_secret_access_key) else {
            return Err(SetupError::Bucket("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set".to_owned()));
        };
        let (id, secret) = (id.expose_secret(), secret.expose_secret());
        let credentials = match &settings.aws_session_token {
            Some(token) => Credentials::new_with_token(id, secret, token.expose_secret()),
            None => Credentials::new(id, secret),
        };
        Ok(Some(Self {
            bucket: bucket(settings, name)?,
            credentials,
            prefix: settings.archive_s3_prefix.clone(),
            headers: encryption(settings),
            client: client(settings, tasks)?,
            clock,
            pause: PAUSE,
        }))
    }

    async fn send(&self, name: &str, bytes: &Bytes) -> Result<(), Failed> {
        let object = format!("{}{name}", self.prefix);
        let mut action = PutObject::new(&self.bucket, Some(&self.credentials), &object);
        let mut headers = HeaderMap::new();
        for (header, value) in &self.headers {
            action.headers_mut().insert(*header, value.as_str());
            let value = HeaderValue::from_str(value).map_err(|error| Failed::Surely(error.to_string()))?;
            headers.insert(HeaderName::from_static(header), value);
        }
        let url = action.sign_with_time(VALID, &self.clock.now());
        let mut request = Request::new(Full::new(bytes.clone()));
        *request.method_mut() = Method::PUT;
        *request.uri_mut() = url.as_str().parse().map_err(|_| Failed::Surely("its URL cannot be used".to_owned()))?;
        *request.headers_mut() = headers;
        let sending = self.client.send(request).ok_or_else(|| Failed::Maybe("no connection".to_owned()))?;
        let response = sending.await.map_err(|error| Failed::Maybe(root_cause(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        Err(refusal(status, &body.map(http_body_util::Collected::to_bytes).unwrap_or_default()))
    }

    async fn put_trying(&self, name: &str, bytes: &Bytes) -> Result<(), String> {
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            let sent = tokio::time::timeout(DEADLINE, self.send(name, bytes)).await;
            let why = match sent {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Failed::Surely(why))) => return Err(why),
                Ok(Err(Failed::Maybe(why))) => why,
                Err(_) => format!("no answer within {} seconds", DEADLINE.as_secs()),
            };
            if tries == TRIES {
                return Err(format!("{why} ({TRIES} tries)"));
            }
            tracing::warn!(file = name, why, "a file did not reach the archive; it is sent again");
            tokio::time::sleep(pause).await;
            (tries, pause) = (tries + 1, pause * 2);
        }
    }
}

impl Archive for S3Archive {
    fn put<'a>(&'a self, name: &'a str, bytes: Bytes) -> Put<'a> {
        Box::pin(async move {
            self.put_trying(name, &bytes).await.map_err(|why| ArchiveError {
                file: name.to_owned(),
                place: self.place(),
                why,
            })
        })
    }

    fn place(&self) -> String {
        format!("{}{}", self.bucket.base_url(), self.prefix)
    }
}

/// Amazon's storage has the bucket in the host's name, where that makes a name that certificates cover; others have it in the path.
fn bucket(settings: &Settings, name: &str) -> Result<Bucket, SetupError> {
    let region = settings.archive_s3_region.clone();
    let (endpoint, style) = match &settings.archive_s3_endpoint {
        Some(endpoint) => (format!("{endpoint}/"), UrlStyle::Path),
        None if name.contains('.') => (format!("https://s3.{region}.amazonaws.com/"), UrlStyle::Path),
        None => (format!("https://s3.{region}.amazonaws.com/"), UrlStyle::VirtualHost),
    };
    let unusable =
        |why: &dyn std::fmt::Display| SetupError::Bucket(format!("{endpoint} with the bucket {name}: {why}"));
    let url = endpoint.parse().map_err(|error| unusable(&error))?;
    Bucket::new(url, style, name.to_owned(), region).map_err(|error| unusable(&error))
}

fn encryption(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if let Some(encryption) = settings.retention_s3_encryption {
        headers.push(("x-amz-server-side-encryption", encryption.as_str().to_owned()));
    }
    if let (Some(S3Encryption::Kms), Some(key)) = (settings.retention_s3_encryption, &settings.retention_s3_kms_key_id)
    {
        headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key.clone()));
    }
    headers
}

fn client(settings: &Settings, tasks: &TaskTracker) -> Result<HttpClient, SetupError> {
    let place = UpstreamConfig {
        name: "archive".to_owned(),
        dialects: Vec::new(),
        base_url: String::new(),
        key: None,
        credential: None,
        keyless: true,
        http2: false,
        ca_file: settings.extra_ca_file.clone(),
        client_certificate: None,
        timeouts: UpstreamTimeouts::default(),
    };
    let tls = tls::client_config(&place, &tls::native_roots())?;
    Ok(HttpClient::new(tls, proxies(&settings.network())?, settings.connect_timeout, false, tasks))
}

/// What an answer other than success means.
fn refusal(status: StatusCode, body: &[u8]) -> Failed {
    let body = String::from_utf8_lossy(body);
    let (code, message) = (element(&body, "Code"), element(&body, "Message"));
    let hint = match (status.as_u16(), code) {
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed") => "; AWS_REGION must be the bucket's region",
        (_, "NoSuchBucket") => "; make it, or set ARCHIVE_S3_BUCKET to another",
        (_, "RequestTimeTooSkewed") => "; this machine's clock is wrong",
        (_, "ExpiredToken") => "; set a new AWS_SESSION_TOKEN and start again",
        (401 | 403, _) => "; the key must be allowed s3:PutObject there",
        _ => "",
    };
    let why = format!("status {}, {code} {message}", status.as_u16());
    let why: String = why.trim_end_matches([' ', ',']).chars().filter(|c| !c.is_control()).take(300).collect();
    let passing = status.is_server_error()
        || matches!(status.as_u16(), 408 | 429)
        || matches!(code, "RequestTimeout" | "SlowDown" | "OperationAborted");
    if passing { Failed::Maybe(why) } else { Failed::Surely(why + hint) }
}

/// The text of an element without attributes; empty where there is none.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let inside = xml.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    inside.map_or("", |(text, _)| text)
}

#[cfg(test)]
mod tests;
