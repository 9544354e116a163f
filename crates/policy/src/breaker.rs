//! A circuit breaker: who has failed several times in a row is left alone for a while, then tried by one question.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts failures in a row, over all requests.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures: u32,
    open: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many failures since the last success.
    Closed(u32),
    /// Nobody may ask before.
    Open(Instant),
    /// One question is under way, to see.
    Trying,
}

/// Leave to ask. Dropped without a word, it changes nothing.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    breaker: &'a Breaker,
    /// It is the one question that finds out.
    probe: bool,
}

impl Breaker {
    /// Opens for `open` after so many failures in a row.
    pub(crate) fn new(failures: u32, open: Duration) -> Self {
        Self { failures, open, state: Mutex::new(State::Closed(0)) }
    }

    /// Leave to ask; else how long nobody may, zero while another question finds out.
    pub(crate) fn begin(&self) -> Result<Attempt<'_>, Duration> {
        let mut state = self.state();
        match *state {
            State::Closed(_) => Ok(Attempt { breaker: self, probe: false }),
            State::Trying => Err(Duration::ZERO),
            State::Open(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                *state = State::Trying;
                Ok(Attempt { breaker: self, probe: true })
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It was there. True if everybody may ask again from now on.
    pub(crate) fn succeeded(mut self) -> bool {
        let mut state = self.breaker.state();
        if self.probe || matches!(*state, State::Closed(_)) {
            *state = State::Closed(0);
        }
        drop(state);
        std::mem::take(&mut self.probe)
    }

    /// It was not there. True if nobody may ask from now on.
    pub(crate) fn failed(mut self) -> bool {
        let mut state = self.breaker.state();
        let count = match *state {
            State::Closed(count) => count + 1,
            State::Trying if self.probe => self.breaker.failures,
            State::Open(_) | State::Trying => return false,
        };
        let opens = count >= self.breaker.failures;
        *state = if opens { State::Open(Instant::now() + self.breaker.open) } else { State::Closed(count) };
        drop(state);
        self.probe = false;
        opens
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probe {
            *self.breaker.state() = State::Open(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(10);

    fn opened() -> Breaker {
        let breaker = Breaker::new(2, OPEN);
        assert!(!breaker.begin().unwrap().failed());
        assert!(breaker.begin().unwrap().failed());
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_for_a_while() {
        let breaker = opened();
        assert_eq!(breaker.begin().unwrap_err(), OPEN);
        tokio::time::advance(OPEN).await;
        assert!(breaker.begin().unwrap().succeeded());
        assert!(!breaker.begin().unwrap().succeeded());
        assert!(!breaker.begin().unwrap().failed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::new(2, OPEN);
        for _ in 0..3 {
            assert!(!breaker.begin().unwrap().failed());
            breaker.begin().unwrap().succeeded();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_finds_out_and_a_failure_opens_it_again() {
        let breaker = opened();
        tokio::time::advance(OPEN).await;
        let probe = breaker.begin().unwrap();
        assert_eq!(breaker.begin().unwrap_err(), Duration::ZERO);
        assert!(probe.failed());
        assert_eq!(breaker.begin().unwrap_err(), OPEN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_given_up_leaves_the_finding_out_to_the_next() {
        let breaker = opened();
        tokio::time::advance(OPEN).await;
        drop(breaker.begin().unwrap());
        breaker.begin().unwrap().succeeded();
    }

    #[tokio::test(start_paused = true)]
    async fn late_answers_of_earlier_questions_do_not_close_it() {
        let breaker = Breaker::new(1, OPEN);
        let early = breaker.begin().unwrap();
        assert!(breaker.begin().unwrap().failed());
        early.succeeded();
        assert_eq!(breaker.begin().unwrap_err(), OPEN);
    }
}
