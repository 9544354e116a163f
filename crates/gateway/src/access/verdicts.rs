//! What vendors have said of callers' credentials: remembered by a keyed hash for a while, and asked for once where many wait.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use super::{CredentialType, Validity};

/// How many credentials are remembered; the one that has not been used for longest is forgotten first. Some 200 bytes each.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// How many questions to vendors may be under way at once. Beyond that nobody is asked.
const MOST_QUESTIONS: usize = 256;

/// What a vendor says of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It takes it.
    Valid,
    /// It does not.
    Invalid,
    /// It did not say.
    Unknown,
}

/// By which a credential is known here: a keyed hash of it and of whose it is.
pub(crate) type Hash = [u8; 16];

/// A credential that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) hash: Hash,
    pub(crate) kind: CredentialType,
    /// The upstream that was asked.
    pub(crate) upstream: String,
    pub(crate) valid: bool,
    pub(crate) validated_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
}

impl Remembered {
    /// Until when the verdict counts.
    pub(crate) fn expires_at(&self, validity: Validity) -> Timestamp {
        let lasts = if self.valid { validity.valid } else { validity.invalid };
        let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
        self.validated_at.saturating_add(lasts).unwrap_or(Timestamp::MAX)
    }
}

/// A question to a vendor that several may wait for.
type Question = BoxFuture<'static, Verdict>;

/// All verdicts. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Verdicts(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    remembered: LruCache<Hash, Remembered>,
    /// Held by those who wait alone: where all have gone, the question ends.
    asked: HashMap<Hash, WeakShared<Question>>,
    /// How often something was to be forgotten.
    forgotten: u64,
}

impl Default for Verdicts {
    fn default() -> Self {
        let inner = Inner { remembered: LruCache::new(MOST), asked: HashMap::new(), forgotten: 0 };
        Self(Arc::new(Mutex::new(inner)))
    }
}

/// A verdict, or what to wait for.
enum Found {
    Verdict(Verdict),
    Asked(Shared<Question>, u64),
}

impl Verdicts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered, else what the vendor says to `question`, which is asked once however many wait for it. What it does not say is
    /// not remembered.
    pub(crate) async fn find(
        &self,
        hash: Hash,
        (kind, upstream): (CredentialType, &str),
        (validity, now): (Validity, Timestamp),
        question: impl FnOnce() -> Question,
    ) -> Verdict {
        let (asked, before) = match self.lock().look(hash, validity, now, question) {
            Found::Verdict(verdict) => return verdict,
            Found::Asked(asked, forgotten) => (asked, forgotten),
        };
        let verdict = asked.clone().await;
        let mut inner = self.lock();
        if inner.asked.get(&hash).and_then(WeakShared::upgrade).is_some_and(|other| other.ptr_eq(&asked)) {
            inner.asked.remove(&hash);
        }
        // What was to be forgotten meanwhile is not remembered after all.
        if verdict != Verdict::Unknown && inner.forgotten == before {
            let valid = verdict == Verdict::Valid;
            let upstream = upstream.to_owned();
            let new = Remembered { hash, kind, upstream, valid, validated_at: now, last_used_at: now };
            if new.expires_at(validity) > now {
                inner.remembered.put(hash, new);
            }
        }
        verdict
    }

    /// All that count now, the last used first.
    pub(crate) fn all(&self, validity: Option<Validity>, now: Timestamp) -> Vec<Remembered> {
        let Some(validity) = validity else { return Vec::new() };
        let inner = self.lock();
        let counts = |one: &&Remembered| one.expires_at(validity) > now;
        inner.remembered.iter().map(|(_, one)| one).filter(counts).cloned().collect()
    }

    /// Forgets one; says whether it was there.
    pub(crate) fn forget(&self, hash: Hash) -> bool {
        let mut inner = self.lock();
        inner.forgotten += 1;
        inner.asked.remove(&hash);
        inner.remembered.pop(&hash).is_some()
    }

    /// Forgets all; says how many there were.
    pub(crate) fn clear(&self) -> usize {
        let mut inner = self.lock();
        inner.forgotten += 1;
        inner.asked.clear();
        let there = inner.remembered.len();
        inner.remembered.clear();
        there
    }
}

impl Inner {
    fn look(&mut self, hash: Hash, validity: Validity, now: Timestamp, question: impl FnOnce() -> Question) -> Found {
        if let Some(known) = self.remembered.get_mut(&hash).filter(|known| known.expires_at(validity) > now) {
            known.last_used_at = now;
            return Found::Verdict(if known.valid { Verdict::Valid } else { Verdict::Invalid });
        }
        if let Some(asked) = self.asked.get(&hash).and_then(WeakShared::upgrade) {
            return Found::Asked(asked, self.forgotten);
        }
        if self.asked.len() >= MOST_QUESTIONS {
            self.asked.retain(|_, asked| asked.upgrade().is_some());
            if self.asked.len() >= MOST_QUESTIONS {
                return Found::Verdict(Verdict::Unknown);
            }
        }
        let asked = question().shared();
        if let Some(weak) = asked.downgrade() {
            self.asked.insert(hash, weak);
        }
        Found::Asked(asked, self.forgotten)
    }
}

#[cfg(test)]
mod tests;
