//! The way to one judge, over all requests: a few questions at a time, none while it is known to be away, and no question twice.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::{Failure, JudgeError, JudgeRequest, JudgeRoute};
use crate::breaker::{Attempt, Breaker};
use crate::breakers::Breakers;
use crate::catalogue::range;

/// The most verdicts that a judge remembers. Each takes at most [`REMEMBERED`] bytes.
const ENTRIES: u64 = 2000;

/// A longer answer is not remembered, in bytes.
const REMEMBERED: usize = 16 << 10;

/// Bounds of a judge, over all requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JudgeLimits {
    /// Seconds that one try may take.
    #[serde(deserialize_with = "range::seconds")]
    #[schemars(range(min = 0.01, max = 600.0))]
    timeout: f64,
    /// The most questions at once; more wait for their turn.
    #[serde(deserialize_with = "range::count")]
    #[schemars(range(min = 1, max = 10_000))]
    max_concurrency: u32,
    /// Failures in a row after which the judge is left alone for a while; 0: never. Refusals and rate limits are none.
    breaker_failures: u32,
    /// Seconds for which it is left alone; then one question finds out.
    #[serde(deserialize_with = "range::seconds")]
    #[schemars(range(min = 0.01, max = 600.0))]
    breaker_seconds: f64,
    /// Seconds for which a verdict stands for the same question again, with the same model and words; 0: never.
    #[serde(deserialize_with = "range::cache_seconds")]
    #[schemars(range(min = 0.0, max = 86400.0))]
    cache_seconds: f64,
}

impl Default for JudgeLimits {
    fn default() -> Self {
        Self { timeout: 30.0, max_concurrency: 64, breaker_failures: 5, breaker_seconds: 15.0, cache_seconds: 300.0 }
    }
}

/// A digest of a question: instructions, content, model, parameters, and where it goes.
pub(crate) type Digest = [u8; 32];

/// The digest of a question.
pub(crate) fn digest(request: &JudgeRequest) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let place = match &request.via {
        JudgeRoute::UserCredentials => String::from("caller"),
        JudgeRoute::Provider(name) => format!("provider {name}"),
        JudgeRoute::ApiBase(base) => format!("base {base}"),
    };
    let (temperature, most) = (request.temperature.to_string(), request.max_tokens.to_string());
    for part in [&request.model, &request.system, &request.prompt, &place, &temperature, &most] {
        // The length first, so that no two questions run together to the same bytes.
        hasher.update(&part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// What an answer to this question is remembered by, while the way to judges is of this version.
pub(crate) fn remembered_by(digest: &Digest, version: u64) -> Digest {
    *blake3::keyed_hash(digest, &version.to_le_bytes()).as_bytes()
}

/// What all questions to one judge share.
#[derive(Debug)]
pub(crate) struct Access {
    limits: JudgeLimits,
    places: Semaphore,
    breaker: Option<Breaker>,
    watch: Breakers,
    cache: Option<Cache<Digest, Arc<str>>>,
}

/// Leave to ask once: a place, and the breaker's word.
pub(crate) struct Leave<'a> {
    _place: SemaphorePermit<'a>,
    attempt: Option<Attempt<'a>>,
    access: &'a Access,
}

impl Access {
    /// Within these bounds.
    pub(crate) fn new(limits: JudgeLimits) -> Self {
        let places = Semaphore::new(usize::try_from(limits.max_concurrency).unwrap_or(usize::MAX));
        let open = Duration::from_secs_f64(limits.breaker_seconds);
        let breaker = (limits.breaker_failures > 0).then(|| Breaker::new(limits.breaker_failures, open));
        let kept = (limits.cache_seconds > 0.0).then(|| Duration::from_secs_f64(limits.cache_seconds));
        let cache = kept.map(|kept| Cache::builder().max_capacity(ENTRIES).time_to_live(kept).build());
        Self { limits, places, breaker, watch: Breakers::default(), cache }
    }

    /// The same, with somebody who hears when the judge is left alone.
    pub(crate) fn watched(self, watch: &Breakers) -> Self {
        Self { watch: watch.clone(), ..self }
    }

    /// How long one try may take.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.limits.timeout)
    }

    /// The answer that a question got before.
    pub(crate) fn remembered(&self, digest: &Digest) -> Option<Arc<str>> {
        self.cache.as_ref()?.get(digest)
    }

    /// This answer held a verdict.
    pub(crate) fn remember(&self, digest: Digest, answer: &str) {
        if let Some(cache) = &self.cache
            && answer.len() <= REMEMBERED
        {
            cache.insert(digest, answer.into());
        }
    }

    /// Waits for leave to ask, as long as a try may take.
    pub(crate) async fn leave(&self) -> Result<Leave<'_>, Failure> {
        let place = timeout(self.patience(), self.places.acquire()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(|| Failure::Busy(self.patience()))?;
        let attempt = self.breaker.as_ref().map(Breaker::begin).transpose().map_err(Failure::LeftAlone)?;
        Ok(Leave { _place: place, attempt, access: self })
    }
}

impl Leave<'_> {
    /// How the question to `model` went. Only a judge that is away counts against it: content that it refuses must not switch it off for
    /// everything else, nor a caller's own limits.
    pub(crate) fn went(self, failed: Option<&JudgeError>, model: &str) {
        let Self { attempt: Some(attempt), access, .. } = self else { return };
        match failed {
            Some(error @ (JudgeError::Unavailable(_) | JudgeError::TimedOut(_))) => {
                if attempt.failed() {
                    let open = Duration::from_secs_f64(access.limits.breaker_seconds);
                    access.watch.opened("judge", model, open, error);
                }
            }
            Some(JudgeError::RateLimited(_)) => drop(attempt),
            Some(JudgeError::Refused(_)) | None => {
                if attempt.succeeded() {
                    access.watch.closed("judge", model);
                }
            }
        }
    }
}
