//! One notification on its way: sent, and sent again after a while where that may help.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{sleep, timeout};

use super::sign::signature;
use crate::clock::Clock;
use crate::upstream::client::HttpClient;
use crate::upstream::execute::root_cause;

/// The longest wait between two tries, also where the receiver asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// So much of an answer's body is read, so that the connection can be used again; in bytes.
const READ: usize = 64 << 10;

const ID: HeaderName = HeaderName::from_static("x-luthien-notification");
const KIND: HeaderName = HeaderName::from_static("x-luthien-kind");
const SIGNATURE: HeaderName = HeaderName::from_static("x-luthien-signature");

/// Where notifications go, and how.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) client: HttpClient,
    pub(super) url: Uri,
    pub(super) secret: Option<SecretString>,
    /// For one try.
    pub(super) timeout: Duration,
    /// Tries after the first.
    pub(super) retries: usize,
    /// The wait before the first of them; doubled for each further one.
    pub(super) delay: Duration,
    pub(super) clock: Clock,
}

/// A notification that is ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) body: Bytes,
}

/// Why a try failed.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Another may not.
    Passing { why: String, after: Option<Duration> },
    /// Every other would too.
    Lasting(String),
}

impl Address {
    /// Sends it until it is taken. The error says why it was given up.
    pub(super) async fn deliver(&self, letter: &Letter) -> Result<(), String> {
        let mut tries = 0;
        loop {
            let failure = match timeout(self.timeout, self.once(letter)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Passing { why: format!("no answer within {:?}", self.timeout), after: None },
            };
            let (why, after) = match failure {
                Failure::Passing { why, after } if tries < self.retries => (why, after),
                Failure::Passing { why, .. } | Failure::Lasting(why) => return Err(why),
            };
            let pause = pause(self.delay, tries, after, random());
            tracing::debug!(id = letter.id, kind = letter.kind, %why, ?pause, "a notification is sent again");
            sleep(pause).await;
            tries += 1;
        }
    }

    async fn once(&self, letter: &Letter) -> Result<(), Failure> {
        let mut request = Request::new(Full::new(letter.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers(letter);
        let passing = |why: String| Failure::Passing { why, after: None };
        let sending = self.client.send(request).ok_or_else(|| passing("no connection".to_owned()))?;
        let response = sending.await.map_err(|error| passing(root_cause(&error)))?;
        let (head, body) = response.into_parts();
        // What it says more than its status does not matter.
        let _ = Limited::new(body, READ).collect().await;
        judged(head.status.as_u16(), &head.headers, self.clock.now())
    }

    fn headers(&self, letter: &Letter) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("luthien/", env!("CARGO_PKG_VERSION"))));
        headers.insert(KIND, HeaderValue::from_static(letter.kind));
        if let Ok(id) = HeaderValue::from_str(&letter.id) {
            headers.insert(ID, id);
        }
        let secret = self.secret.as_ref().map(|secret| secret.expose_secret().as_bytes());
        let signed = secret.and_then(|secret| signature(secret, self.clock.now().as_second(), &letter.body));
        if let Some(signed) = signed.and_then(|signed| HeaderValue::from_str(&signed).ok()) {
            headers.insert(SIGNATURE, signed);
        }
        headers
    }
}

/// What an answer means. A redirect is not followed: it would tell whoever it names.
fn judged(status: u16, headers: &HeaderMap, now: Timestamp) -> Result<(), Failure> {
    let why = format!("it answered {status}");
    match status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => Err(Failure::Passing { why, after: retry_after(headers, now) }),
        300..=399 => Err(Failure::Lasting(format!("{why}, a redirect, and these are not followed"))),
        _ => Err(Failure::Lasting(why)),
    }
}

/// How long the receiver wants to be left alone: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

/// The wait before another try: doubled each time, between half and all of it by chance (`0..=255`), so that many that failed
/// together do not come back together. At least what the receiver asks for.
fn pause(delay: Duration, tries: usize, after: Option<Duration>, chance: u8) -> Duration {
    let doubled = delay.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
    let spread = doubled / 2 + doubled.mul_f64(f64::from(chance) / 510.0);
    after.unwrap_or_default().max(spread).min(LONGEST_PAUSE)
}

fn random() -> u8 {
    let mut byte = [0];
    // Without chance they merely come together.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(after: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(after).unwrap())])
    }

    #[rstest]
    #[case("7", Some(7))]
    #[case("Thu, 01 Jan 1970 00:02:00 GMT", Some(120))]
    #[case("soon", None)]
    fn what_may_pass_is_tried_again_when_the_receiver_says(#[case] text: &str, #[case] seconds: Option<u64>) {
        for status in [408, 425, 429, 500, 503] {
            let expected =
                Failure::Passing { why: format!("it answered {status}"), after: seconds.map(Duration::from_secs) };
            assert_eq!(judged(status, &headers(text), Timestamp::UNIX_EPOCH), Err(expected));
        }
    }

    #[test]
    fn what_lasts_is_not() {
        for status in [301, 307, 400, 401, 404, 410] {
            assert!(matches!(judged(status, &HeaderMap::new(), Timestamp::UNIX_EPOCH), Err(Failure::Lasting(_))));
        }
        assert_eq!(judged(204, &HeaderMap::new(), Timestamp::UNIX_EPOCH), Ok(()));
    }

    #[rstest]
    #[case(0, None, 0, 500)]
    #[case(0, None, 255, 1000)]
    #[case(3, None, 0, 4000)]
    #[case(60, None, 255, 300_000)]
    #[case(0, Some(20), 255, 20_000)]
    #[case(0, Some(100_000), 0, 300_000)]
    fn pauses_grow_and_have_an_end(
        #[case] tries: usize,
        #[case] after: Option<u64>,
        #[case] chance: u8,
        #[case] millis: u64,
    ) {
        let pause = pause(Duration::from_secs(1), tries, after.map(Duration::from_secs), chance);
        assert_eq!(pause, Duration::from_millis(millis));
    }
}
