//! Asking a policy server until it answers: within a deadline, a few at a time, again after a broken connection, and not at
//! all while it is known to be away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::protocol;
use super::{Message, PolicyServer, Reply, ServerError};
use crate::breaker::Breaker;
use crate::breakers::Breakers;
use crate::message::clip;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 16 << 20;
/// The wait before the first try again; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(50);
/// The most characters of a server's own words about a failure.
const WORDS: usize = 300;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// For an answer: the wait for a place, all tries and their pauses.
    pub(crate) timeout: Duration,
    /// The most questions at once.
    pub(crate) at_once: usize,
    /// Tries after the first.
    pub(crate) retries: u32,
    /// Failures in a row after which it is left alone.
    pub(crate) failures: u32,
    /// How long.
    pub(crate) open: Duration,
}

/// Asks one server.
#[derive(Debug)]
pub(crate) struct Caller {
    server: Arc<dyn PolicyServer>,
    /// Which it is, for the log.
    named: String,
    bounds: Bounds,
    places: Semaphore,
    breaker: Breaker,
    watch: Breakers,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// It has failed too often.
    #[error("the policy server is left alone for {:.1} s after failures in a row", .0.as_secs_f64())]
    LeftAlone(Duration),
    /// Too many other questions were under way.
    #[error("the policy server was busy with other questions for {0:?}")]
    Busy(Duration),
    /// Nothing came in time.
    #[error("the policy server took more than {0:?}")]
    TimedOut(Duration),
    /// It is not there, or breaks off.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It says that it could not decide.
    #[error("the policy server answered with status {0}: {1}")]
    Status(u16, String),
    /// What it says is no answer.
    #[error("the policy server's answer cannot be used: {0}")]
    Unreadable(String),
}

impl Failure {
    /// Its kind, as the record names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LeftAlone(_) => "breaker_open",
            Self::Busy(_) => "busy",
            Self::TimedOut(_) => "timed_out",
            Self::Server(ServerError::Unreachable(_)) => "unreachable",
            Self::Server(ServerError::Broken(_)) => "broken",
            Self::Server(ServerError::TooLarge(_)) => "too_large",
            Self::Status(..) => "status",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The server is away, not only unable to decide about this. Only that opens the breaker: else content that a policy
    /// stumbles over could switch it off for everything else.
    fn is_away(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Server(ServerError::Unreachable(_) | ServerError::Broken(_)) => true,
            Self::Status(status, _) => matches!(status, 502..=504),
            Self::LeftAlone(_) | Self::Busy(_) | Self::Unreadable(_) | Self::Server(ServerError::TooLarge(_)) => false,
        }
    }

    /// Another try may help.
    fn may_pass(&self) -> bool {
        self.is_away() && !matches!(self, Self::TimedOut(_))
    }
}

impl Caller {
    /// For this server, within these bounds.
    pub(crate) fn new(server: Arc<dyn PolicyServer>, bounds: Bounds) -> Self {
        let breaker = Breaker::new(bounds.failures, bounds.open);
        let (places, watch) = (Semaphore::new(bounds.at_once), Breakers::default());
        Self { server, named: String::new(), bounds, places, breaker, watch }
    }

    /// The same, called so in the log and towards who hears when it is left alone.
    pub(crate) fn named(self, named: String, watch: Breakers) -> Self {
        Self { named, watch, ..self }
    }

    /// The body of the server's answer to a review. `tries` counts how often it was asked.
    pub(crate) async fn review(&self, body: Bytes, tries: &mut u32) -> Result<Bytes, Failure> {
        let within = self.bounds.timeout;
        let deadline = Instant::now() + within;
        let place = timeout_at(deadline, self.places.acquire()).await.map_err(|_| Failure::Busy(within))?;
        let asked = Instant::now();
        if asked >= deadline {
            return Err(Failure::Busy(within));
        }
        let attempt = self.breaker.begin().map_err(Failure::LeftAlone)?;
        let message = Message { path: protocol::REVIEW, body: Some(body), largest: LARGEST };
        let answer = timeout_at(deadline, self.until_answered(message, tries)).await;
        let answer = answer.unwrap_or(Err(Failure::TimedOut(within)));
        drop(place);
        match &answer {
            // Most of the time was lost in the queue: that says nothing about the server.
            Err(Failure::TimedOut(_)) if asked.elapsed() < within / 2 => {}
            Err(failure) if failure.is_away() => {
                if attempt.failed() {
                    self.watch.opened("policy_server", &self.named, self.bounds.open, failure);
                }
            }
            _ => {
                if attempt.succeeded() {
                    self.watch.closed("policy_server", &self.named);
                }
            }
        }
        answer
    }

    async fn until_answered(&self, message: Message, tries: &mut u32) -> Result<Bytes, Failure> {
        let mut pause = PAUSE;
        loop {
            *tries += 1;
            match self.server.send(message.clone()).await.map_err(Failure::from).and_then(body) {
                Err(failure) if *tries <= self.bounds.retries && failure.may_pass() => {}
                ended => return ended,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }
}

/// The body of a message that was answered with 200.
pub(crate) fn body(reply: Reply) -> Result<Bytes, Failure> {
    if reply.status == 200 {
        return Ok(reply.body);
    }
    let said = serde_json::from_slice::<protocol::Failure>(&reply.body);
    let said = said.map_or_else(|_| "it does not say why".to_owned(), |failure| clip(&failure.error, WORDS));
    Err(Failure::Status(reply.status, said))
}

#[cfg(test)]
mod tests;
