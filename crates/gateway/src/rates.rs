//! How many requests a caller may make: so many a minute, and so many of them at once. Counted in this process, or over Redis for
//! several gateways together.
//!
//! Both count in the same way: each request moves the caller's account forward by the time that one request stands for; who is ahead
//! of the clock by more than a burst has to wait (the generic cell rate algorithm). An account is one number.

mod shared;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use lru::LruCache;

use self::shared::SharedAccounts;
use crate::client_keys::KeyLimits;

/// Requests in a minute.
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// Requests that may come at once now.
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// Seconds until a whole burst may come again.
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// How many accounts are kept unless the operator says otherwise.
pub const MOST_ACCOUNTS: usize = 100_000;

/// What a caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in a minute, at least 1.
    pub per_minute: u32,
    /// How many of them may come at once, at least 1.
    pub burst: u32,
}

impl Quota {
    /// `None` for no limit. Without a burst all of a minute's requests may come at once.
    pub fn new(per_minute: u32, burst: u32) -> Option<Self> {
        (per_minute > 0).then_some(Self { per_minute, burst: if burst == 0 { per_minute } else { burst } })
    }

    /// Microseconds that one request stands for.
    fn each(self) -> i64 {
        (60_000_000 / i64::from(self.per_minute)).max(1)
    }

    /// Microseconds that a caller may be ahead.
    fn ahead(self) -> i64 {
        self.each() * i64::from(self.burst)
    }

    /// What follows from the account before and the time, in microseconds: the account after, or how long to wait.
    fn take(self, account: i64, now: i64) -> Result<i64, i64> {
        // Nobody is further ahead than a burst, even if the quota was changed or the clock went back.
        let after = account.min(now + self.ahead()).max(now) + self.each();
        let wait = after - self.ahead() - now;
        if wait > 0 { Err(wait) } else { Ok(after) }
    }
}

/// How a request stands to its caller's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) quota: Quota,
    /// How many more may come now.
    remaining: u32,
    /// Until a whole burst may come.
    reset: Duration,
    /// How long to wait, where this one may not come.
    pub(crate) wait: Option<Duration>,
}

impl Standing {
    fn new(quota: Quota, taken: Result<i64, i64>, account: i64, now: i64) -> Self {
        let lead = (*taken.as_ref().unwrap_or(&account) - now).max(0);
        let remaining = (quota.ahead() - lead).max(0) / quota.each();
        Self {
            quota,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX).min(quota.burst),
            reset: micros(lead),
            wait: taken.err().map(micros),
        }
    }

    /// What the answer says of it.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(LIMIT, self.quota.per_minute.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, seconds(self.reset));
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, seconds(wait));
        }
        headers
    }
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> HeaderValue {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).into()
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// The quota of callers whose key says nothing else; it can be changed while running. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct UsualQuota(Arc<ArcSwapOption<Quota>>);

impl UsualQuota {
    /// Changes it for all requests from now on; `None`: no limit.
    pub fn set(&self, quota: Option<Quota>) {
        self.0.store(quota.map(Arc::new));
    }
}

impl From<Option<Quota>> for UsualQuota {
    fn from(quota: Option<Quota>) -> Self {
        Self(Arc::new(ArcSwapOption::from_pointee(quota)))
    }
}

/// The accounts of all callers.
#[derive(Debug)]
pub struct Rates {
    usual: UsualQuota,
    own: Mutex<LruCache<[u8; 16], i64>>,
    shared: Option<SharedAccounts>,
}

impl Rates {
    /// With this quota for everybody, and so many accounts in memory; the caller who has been silent longest is forgotten first.
    pub fn new(usual: impl Into<UsualQuota>, most: usize, redis: Option<redis::Client>) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self { usual: usual.into(), own: Mutex::new(LruCache::new(most)), shared: redis.and_then(SharedAccounts::new) }
    }

    fn usual(&self) -> Option<Quota> {
        self.usual.0.load().as_deref().copied()
    }

    /// Counts a request. `None`: this caller has no limit.
    pub(crate) async fn take(&self, caller: &[u8; 16], limits: KeyLimits, now: Timestamp) -> Option<Standing> {
        let quota = match (limits.requests_per_minute, limits.burst) {
            (Some(own), burst) => Quota::new(own, burst.unwrap_or_default())?,
            (None, Some(burst)) => Quota::new(self.usual()?.per_minute, burst)?,
            (None, None) => self.usual()?,
        };
        if let Some(shared) = &self.shared
            && let Some((taken, account, now)) = shared.take(caller, quota).await
        {
            return Some(Standing::new(quota, taken, account, now));
        }
        let now = now.as_microsecond();
        let mut accounts = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(caller).copied().unwrap_or_default();
        let taken = quota.take(account, now);
        if let Ok(after) = taken {
            accounts.put(*caller, after);
        }
        Some(Standing::new(quota, taken, account, now))
    }
}

#[cfg(test)]
mod tests;
