//! What became of the responses that their vendors keep, so that who reads one again gets no other verdict (W-11).
//!
//! A response is known by its id alone: ids are the vendor's and unique, and who asks with another credential gets no other
//! answer. What is remembered is lost with the process, and the oldest of very many is forgotten: such a response is reviewed
//! once more when it is read, and what becomes of it then counts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::errors::GatewayError;

/// The most responses remembered of each fate.
const MOST: usize = 100_000;

/// The hash of an id: each takes the same little room.
type Key = [u8; 32];

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It went out as it came.
    Released,
    /// A policy withheld or changed something of it.
    Changed,
}

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Fates(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// Under review now.
    pending: HashSet<Key>,
    // Apart, so that many of the one kind push out none of the other.
    released: LruCache<Key, ()>,
    changed: LruCache<Key, ()>,
}

/// A review of one response. Dropped without [`Claim::end`], it leaves no fate.
#[derive(Debug)]
pub(crate) struct Claim {
    fates: Arc<Fates>,
    key: Key,
    /// Others are to wait for it.
    held: bool,
}

impl Fates {
    pub(crate) fn new() -> Arc<Self> {
        let (released, changed) = (LruCache::unbounded(), LruCache::unbounded());
        Arc::new(Self(Mutex::new(Known { pending: HashSet::new(), released, changed })))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The review of an answer that its vendor gives for the first time.
    pub(crate) fn answer(self: &Arc<Self>, id: &str) -> Claim {
        let key = key(id);
        let held = self.known().pending.insert(key);
        Claim { fates: Arc::clone(self), key, held }
    }

    /// The review of a response that is read. Refused where a verdict has been against it, or is still out.
    pub(crate) fn read(self: &Arc<Self>, id: &str) -> Result<Claim, GatewayError> {
        let key = key(id);
        let mut known = self.known();
        if known.changed.get(&key).is_some() {
            let why = "a policy has blocked or changed this response before; it is not handed out";
            return Err(GatewayError::PolicyBlocked(why.to_owned()));
        }
        if known.pending.contains(&key) {
            return Err(GatewayError::UnderReview);
        }
        // What everybody may have needs no turns.
        let held = known.released.get(&key).is_none() && known.pending.insert(key);
        Ok(Claim { fates: Arc::clone(self), key, held })
    }
}

impl Claim {
    /// The review is over. What was changed once stays so.
    pub(crate) fn end(self, fate: Fate) {
        let mut known = self.fates.known();
        match fate {
            Fate::Changed => {
                known.released.pop(&self.key);
                keep(&mut known.changed, self.key);
            }
            Fate::Released if known.changed.contains(&self.key) => {}
            Fate::Released => keep(&mut known.released, self.key),
        }
    }

    /// It is the review of this response.
    pub(crate) fn is_of(&self, id: &str) -> bool {
        self.key == key(id)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.held {
            self.fates.known().pending.remove(&self.key);
        }
    }
}

fn keep(known: &mut LruCache<Key, ()>, key: Key) {
    known.put(key, ());
    if known.len() > MOST {
        known.pop_lru();
    }
}

fn key(id: &str) -> Key {
    *blake3::hash(id.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(read: &Result<Claim, GatewayError>, status: u16) -> bool {
        matches!(read, Err(error) if error.status().as_u16() == status)
    }

    #[test]
    fn a_response_is_judged_once_and_what_became_of_it_counts() {
        let fates = Fates::new();
        let first = fates.read("resp_1").unwrap();
        assert!(is_refused(&fates.read("resp_1"), 409));
        assert!(fates.read("resp_2").is_ok());
        first.end(Fate::Changed);
        assert!(is_refused(&fates.read("resp_1"), 400));
        fates.answer("resp_1").end(Fate::Released);
        assert!(is_refused(&fates.read("resp_1"), 400));
    }

    #[test]
    fn what_went_out_is_read_by_many_at_once() {
        let fates = Fates::new();
        fates.answer("resp_1").end(Fate::Released);
        let (one, two) = (fates.read("resp_1").unwrap(), fates.read("resp_1").unwrap());
        one.end(Fate::Changed);
        two.end(Fate::Released);
        assert!(is_refused(&fates.read("resp_1"), 400));
    }

    #[test]
    fn a_review_without_an_end_leaves_no_fate() {
        let fates = Fates::new();
        let answer = fates.answer("resp_1");
        assert!(is_refused(&fates.read("resp_1"), 409));
        drop(answer);
        drop(fates.read("resp_1").unwrap());
        assert!(fates.read("resp_1").is_ok());
    }

    #[test]
    fn many_that_went_out_push_out_none_that_did_not() {
        let fates = Fates::new();
        fates.answer("blocked").end(Fate::Changed);
        for n in 0..=MOST {
            fates.answer(&n.to_string()).end(Fate::Released);
        }
        assert!(is_refused(&fates.read("blocked"), 400));
        assert_eq!(fates.known().released.len(), MOST);
    }
}
