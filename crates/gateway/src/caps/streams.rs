//! Answers under way at once: counted when a request is admitted, and given back however it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ScopeId;

/// How many answers are under way.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// At most so many in this gateway; 0: as many as come.
    most: AtomicUsize,
    all: AtomicUsize,
    of: Mutex<HashMap<ScopeId, u32>>,
}

/// Places of one request. Dropped, they are free.
#[derive(Debug)]
pub(crate) struct Places {
    streams: Arc<Streams>,
    /// One of the whole gateway's.
    all: bool,
    of: Vec<ScopeId>,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// In the whole gateway, which has so many.
    Gateway(usize),
    /// In the one at this place of those that were named.
    At(usize),
}

impl Streams {
    /// Changes how many there may be in the whole gateway.
    pub(crate) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The whole gateway has a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.most.load(Ordering::Relaxed) > 0
    }

    /// How many are under way of one.
    pub(crate) fn of(&self, who: &ScopeId) -> u32 {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).get(who).copied().unwrap_or_default()
    }

    /// A place in the whole gateway and in each of these that has a limit: all of them, or none.
    pub(crate) fn take(self: &Arc<Self>, of: Vec<(ScopeId, u32)>) -> Result<Places, Full> {
        let mut places = Places { streams: Arc::clone(self), all: false, of: Vec::new() };
        let most = self.most.load(Ordering::Relaxed);
        if most > 0 {
            let more = |now: usize| (now < most).then_some(now + 1);
            self.all.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).map_err(|_| Full::Gateway(most))?;
            places.all = true;
        }
        if !of.is_empty() {
            let mut now = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let full = of.iter().position(|(who, most)| now.get(who).copied().unwrap_or_default() >= *most);
            if let Some(at) = full {
                return Err(Full::At(at));
            }
            for (who, _) in of {
                *now.entry(who.clone()).or_default() += 1;
                places.of.push(who);
            }
        }
        Ok(places)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.all {
            self.streams.all.fetch_sub(1, Ordering::AcqRel);
        }
        if self.of.is_empty() {
            return;
        }
        let mut now = self.streams.of.lock().unwrap_or_else(PoisonError::into_inner);
        for who in &self.of {
            if let Some(count) = now.get_mut(who) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    now.remove(who);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> ScopeId {
        ScopeId::User(name.into())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_than_the_limit_pass_of_a_hundred_at_once() {
        let streams = Arc::new(Streams::default());
        streams.set_most(7);
        let mut asks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let streams = Arc::clone(&streams);
            asks.spawn(async move { streams.take(vec![(user("ada"), 5)]) });
        }
        let taken = asks.join_all().await;
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 5);
        assert_eq!(streams.of(&user("ada")), 5);
        let others: Vec<_> = (0..10).map(|_| streams.take(vec![(user("bob"), 50)])).collect();
        assert_eq!(others.iter().filter(|taken| taken.is_ok()).count(), 2);
        assert!(matches!(others[2], Err(Full::Gateway(7))));
        drop((taken, others));
        assert_eq!((streams.of(&user("ada")), streams.of(&user("bob"))), (0, 0));
        assert_eq!(streams.all.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_place_that_is_missing_takes_none_of_the_others() {
        let streams = Arc::new(Streams::default());
        streams.set_most(3);
        let held = streams.take(vec![(user("ada"), 1)]).unwrap();
        let refused = streams.take(vec![(user("bob"), 1), (user("ada"), 1)]);
        assert!(matches!(refused, Err(Full::At(1))));
        assert_eq!((streams.of(&user("bob")), streams.all.load(Ordering::SeqCst)), (0, 1));
        drop(held);
        assert!(streams.take(vec![(user("bob"), 1), (user("ada"), 1)]).is_ok());
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let streams = Arc::new(Streams::default());
        streams.set_most(1);
        let held = Arc::clone(&streams);
        let panicked = std::thread::spawn(move || {
            let _places = held.take(vec![(user("ada"), 1)]).unwrap();
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(streams.take(vec![(user("ada"), 1)]).is_ok());
    }
}
