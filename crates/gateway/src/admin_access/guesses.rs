//! How often a credential that is short enough to be guessed may be tried: per address and in all, refilling.
//!
//! Credentials of [`LONG`] characters and more are not counted: guessing them is hopeless, and who shares an address with the operator
//! (the agent that is being guarded does) must not be able to lock the operator out.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

/// From how many characters on a credential cannot be guessed.
const LONG: usize = 32;

/// How many addresses are remembered; the one that has been silent longest is forgotten first.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// How many may be tried at once, and how often another one.
#[derive(Clone, Copy, Debug)]
struct Quota {
    burst: u32,
    each: Duration,
}

const OF_ONE: Quota = Quota { burst: 10, each: Duration::from_secs(6) };
const OF_ALL: Quota = Quota { burst: 100, each: Duration::from_millis(600) };

/// Until when the tries so far count: one number for each account.
#[derive(Clone, Copy, Debug)]
struct Account(Instant);

impl Account {
    /// Counts a try, or says how long to wait.
    fn take(&mut self, quota: Quota, now: Instant) -> Result<(), Duration> {
        let after = self.0.max(now) + quota.each;
        let ahead = after - now;
        match ahead.checked_sub(quota.each * quota.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.0 = after;
                Ok(())
            }
        }
    }

    fn give_back(&mut self, quota: Quota) {
        self.0 = self.0.checked_sub(quota.each).unwrap_or(self.0);
    }
}

/// The tries so far.
#[derive(Debug)]
pub(crate) struct Guesses(Mutex<Accounts>);

#[derive(Debug)]
struct Accounts {
    all: Account,
    peers: LruCache<IpAddr, Account>,
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Accounts { all: Account(Instant::now()), peers: LruCache::new(MOST) }))
    }

    /// Looks whether a credential is right, unless this address, or all together, have tried too many that were wrong: then it says
    /// how long to wait, and nothing is compared.
    pub(crate) fn judged<T>(
        &self,
        credential: &[u8],
        peer: IpAddr,
        compare: impl FnOnce() -> Option<T>,
    ) -> Result<Option<T>, Duration> {
        if length(credential) >= LONG {
            return Ok(compare());
        }
        let (peer, now) = (network(peer), Instant::now());
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.peers.get_or_insert_mut(peer, || Account(now)).take(OF_ONE, now)?;
        if let Err(wait) = accounts.all.take(OF_ALL, now) {
            accounts.peers.get_or_insert_mut(peer, || Account(now)).give_back(OF_ONE);
            return Err(wait);
        }
        let found = compare();
        if found.is_some() {
            accounts.peers.get_or_insert_mut(peer, || Account(now)).give_back(OF_ONE);
            accounts.all.give_back(OF_ALL);
        }
        Ok(found)
    }
}

fn length(credential: &[u8]) -> usize {
    std::str::from_utf8(credential).map_or(credential.len(), |text| text.chars().count())
}

/// What one client can have many addresses of counts as one.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    const KEY: &[u8] = b"short-key";

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    /// What a try got: right, wrong, or the seconds to wait.
    fn attempt(guesses: &Guesses, credential: &[u8], peer: IpAddr) -> Result<bool, u64> {
        let judged = guesses.judged(credential, peer, || (credential == KEY).then_some(()));
        judged.map(|found| found.is_some()).map_err(|wait| wait.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn brute_force_gets_ten_tries_and_then_ten_a_minute() {
        let guesses = Guesses::new();
        let mut compared = 0;
        for _ in 0..600 {
            for _ in 0..100 {
                compared += u32::from(attempt(&guesses, b"guess", peer(1)) == Ok(false));
            }
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(compared, 10 + 99, "of 60000 tries in ten minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_tried_too_often_waits_even_with_the_right_one() {
        let guesses = Guesses::new();
        for _ in 0..10 {
            assert_eq!(attempt(&guesses, b"guess", peer(1)), Ok(false));
        }
        assert_eq!(attempt(&guesses, KEY, peer(1)), Err(6));
        assert_eq!(attempt(&guesses, KEY, peer(2)), Ok(true), "another address is not concerned");
        advance(Duration::from_secs(6)).await;
        assert_eq!(attempt(&guesses, KEY, peer(1)), Ok(true));
        for _ in 0..1000 {
            assert_eq!(attempt(&guesses, KEY, peer(1)), Ok(true), "the right one is no guess");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_one_is_always_compared() {
        let guesses = Guesses::new();
        let (long, wrong) = ([b'k'; LONG], [b'w'; LONG]);
        for _ in 0..1000 {
            let _ = attempt(&guesses, b"guess", peer(1));
            assert_eq!(guesses.judged(&wrong, peer(1), || None::<()>), Ok(None));
        }
        assert_eq!(guesses.judged(&long, peer(1), || Some(())), Ok(Some(())));
        assert!(guesses.judged(&long[..LONG - 1], peer(1), || Some(())).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_together_have_a_limit_and_bounded_memory() {
        let guesses = Guesses::new();
        let many = (0..20_000u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n)));
        let compared = many.filter(|peer| attempt(&guesses, b"guess", *peer) == Ok(false)).count();
        assert_eq!(compared, 100);
        assert!(guesses.0.lock().unwrap().peers.len() <= MOST.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_version_six_is_one_address() {
        let guesses = Guesses::new();
        let of = |last: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, last));
        for n in 0..10 {
            assert_eq!(attempt(&guesses, b"guess", of(n)), Ok(false));
        }
        assert_eq!(attempt(&guesses, b"guess", of(11)), Err(6));
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(network(mapped), peer(1));
    }
}
