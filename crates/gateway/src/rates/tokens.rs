//! How many tokens a caller may use in a minute. What a request will cost is not known before its answer: who is a minute ahead of the
//! clock waits, and after the answer its account moves on by what that used.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};

use super::{micros, seconds};

/// Tokens in a minute.
const LIMIT: HeaderName = HeaderName::from_static("x-luthien-ratelimit-limit-tokens");
/// Tokens that may still be used now.
const REMAINING: HeaderName = HeaderName::from_static("x-luthien-ratelimit-remaining-tokens");
/// Seconds until all of a minute's may be used again.
const RESET: HeaderName = HeaderName::from_static("x-luthien-ratelimit-reset-tokens");

/// A minute in microseconds: so far ahead of the clock a caller may be before it waits.
const MINUTE: i64 = 60_000_000;

/// What a caller may use: tokens in a minute, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenQuota(u32);

impl TokenQuota {
    /// `None` for no limit.
    pub(crate) fn new(per_minute: u32) -> Option<Self> {
        (per_minute > 0).then_some(Self(per_minute))
    }

    /// Microseconds that so many tokens stand for, rounded up.
    pub(super) fn time_of(self, tokens: u64) -> i64 {
        /// Some three hundred years: nobody waits for more, and times stay far from their end.
        const MOST: u128 = 1 << 53;
        let time = (u128::from(tokens) * 60_000_000).div_ceil(u128::from(self.0)).min(MOST);
        i64::try_from(time).unwrap_or(i64::MAX)
    }

    /// How an account stands at a time, both in microseconds.
    pub(super) fn standing(self, account: i64, now: i64) -> TokenStanding {
        let lead = account.saturating_sub(now).max(0);
        let wait = lead.saturating_sub(MINUTE).saturating_add(self.time_of(1));
        let left = i128::from((MINUTE - lead).max(0)) * i128::from(self.0) / i128::from(MINUTE);
        TokenStanding {
            per_minute: self.0,
            remaining: u32::try_from(left).unwrap_or(u32::MAX).min(self.0),
            reset: micros(lead),
            wait: (lead >= MINUTE).then(|| micros(wait)),
        }
    }

    /// The account after so many tokens were used.
    pub(super) fn after(self, account: i64, now: i64, tokens: u64) -> i64 {
        account.max(now).saturating_add(self.time_of(tokens))
    }
}

/// How a caller stands to the tokens that it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenStanding {
    pub(crate) per_minute: u32,
    /// How many may still be used now.
    pub(super) remaining: u32,
    /// Until all of a minute's may be used.
    reset: Duration,
    /// How long to wait, where nothing may be asked now.
    pub(crate) wait: Option<Duration>,
}

impl TokenStanding {
    /// What the answer says of it. Under names of the gateway's own: a vendor's say how the gateway's or caller's own account stands there.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(LIMIT, self.per_minute.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, seconds(self.reset));
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, seconds(wait));
        }
        headers
    }
}
