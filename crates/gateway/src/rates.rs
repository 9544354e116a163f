//! How many requests a caller may make: so many a minute, and so many of them at once; and how many tokens it may use (`tokens`).
//! Counted in this process, or over Redis for several gateways together.
//!
//! Both count in the same way: each request moves the caller's account forward by the time that one request stands for; who is ahead
//! of the clock by more than a burst has to wait (the generic cell rate algorithm). An account is one number.

mod shared;
mod tokens;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use lru::LruCache;

use self::shared::SharedAccounts;
use self::tokens::TokenQuota;
pub(crate) use self::tokens::TokenStanding;
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

/// The quotas of callers whose key says nothing else; they can be changed while running. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct UsualQuota(Arc<Usual>);

#[derive(Debug, Default)]
struct Usual {
    requests: ArcSwapOption<Quota>,
    /// Tokens in a minute; 0: no limit.
    tokens: AtomicU32,
}

impl UsualQuota {
    /// Changes how many requests may be made, for all from now on; `None`: no limit.
    pub fn set(&self, quota: Option<Quota>) {
        self.0.requests.store(quota.map(Arc::new));
    }

    /// Changes how many tokens may be used in a minute, for all requests from now on; 0: no limit.
    pub fn set_tokens(&self, per_minute: u32) {
        self.0.tokens.store(per_minute, Ordering::Relaxed);
    }
}

impl From<Option<Quota>> for UsualQuota {
    fn from(quota: Option<Quota>) -> Self {
        Self(Arc::new(Usual { requests: ArcSwapOption::from_pointee(quota), tokens: AtomicU32::new(0) }))
    }
}

/// A caller's accounts, in microseconds of the clock.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    requests: i64,
    tokens: i64,
}

/// The accounts of all callers.
#[derive(Debug)]
pub struct Rates {
    usual: UsualQuota,
    own: Mutex<LruCache<[u8; 16], Account>>,
    shared: Option<SharedAccounts>,
}

impl Rates {
    /// With these quotas for everybody, and so many accounts in memory; the caller who has been silent longest is forgotten first.
    pub fn new(usual: impl Into<UsualQuota>, most: usize, redis: Option<redis::Client>) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self { usual: usual.into(), own: Mutex::new(LruCache::new(most)), shared: redis.and_then(SharedAccounts::new) }
    }

    fn usual(&self) -> Option<Quota> {
        self.usual.0.requests.load().as_deref().copied()
    }

    fn token_quota(&self, limits: &KeyLimits) -> Option<TokenQuota> {
        TokenQuota::new(limits.tokens_per_minute.unwrap_or_else(|| self.usual.0.tokens.load(Ordering::Relaxed)))
    }

    /// How the caller stands to the tokens that it may use. `None`: it has no limit.
    pub(crate) async fn tokens(&self, caller: &[u8; 16], limits: &KeyLimits, now: Timestamp) -> Option<TokenStanding> {
        let quota = self.token_quota(limits)?;
        if let Some(shared) = &self.shared
            && let Some((account, now)) = shared.tokens(caller).await
        {
            return Some(quota.standing(account, now));
        }
        let mut accounts = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(caller).copied().unwrap_or_default();
        Some(quota.standing(account.tokens, now.as_microsecond()))
    }

    /// The caller has used so many tokens. Where they are counted in this process that is done at once; else it is what the future does.
    pub(crate) fn used(
        self: &Arc<Self>,
        caller: [u8; 16],
        limits: &KeyLimits,
        tokens: u64,
        now: Timestamp,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let quota = self.token_quota(limits)?;
        let now = now.as_microsecond();
        if self.shared.is_none() {
            self.used_here(&caller, quota, tokens, now);
            return None;
        }
        let rates = Arc::clone(self);
        Some(async move {
            let shared = match &rates.shared {
                Some(shared) => shared.used(&caller, quota.time_of(tokens)).await,
                None => false,
            };
            if !shared {
                rates.used_here(&caller, quota, tokens, now);
            }
        })
    }

    fn used_here(&self, caller: &[u8; 16], quota: TokenQuota, tokens: u64, now: i64) {
        let mut accounts = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get_or_insert_mut(*caller, Account::default);
        account.tokens = quota.after(account.tokens, now, tokens);
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
        let taken = quota.take(account.requests, now);
        if let Ok(after) = taken {
            accounts.put(*caller, Account { requests: after, ..account });
        }
        Some(Standing::new(quota, taken, account.requests, now))
    }
}

#[cfg(test)]
mod tests;
