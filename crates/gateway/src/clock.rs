//! Where the time and fresh ids come from: passed in, so that tests can be exact.

use jiff::Timestamp;
use luthien_record::model::TransactionId;
use uuid::Uuid;

/// Tells the time and makes transaction ids.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: fn() -> Timestamp,
    id: fn() -> Uuid,
}

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where the gateway reads the clock and makes ids")]
    pub fn system() -> Self {
        Self { now: Timestamp::now, id: Uuid::now_v7 }
    }

    /// A clock made of two functions.
    pub fn new(now: fn() -> Timestamp, id: fn() -> Uuid) -> Self {
        Self { now, id }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// What tells the time.
    pub(crate) fn source(&self) -> fn() -> Timestamp {
        self.now
    }

    /// A fresh id, later than all before it.
    pub fn transaction_id(&self) -> TransactionId {
        TransactionId((self.id)())
    }
}
