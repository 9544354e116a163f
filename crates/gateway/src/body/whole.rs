//! An answer in one piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::transaction::{Outcome, Transaction};

/// Sends the bytes and closes the record: as `outcome` says once they have been taken, else the client has gone.
pub(crate) struct Whole {
    bytes: Bytes,
    outcome: Option<Outcome>,
    transaction: Option<Transaction>,
    taken: bool,
    head_only: bool,
}

impl Whole {
    pub(crate) fn new(bytes: Bytes, outcome: Outcome, transaction: Transaction) -> Self {
        let taken = bytes.is_empty();
        Self { bytes, outcome: Some(outcome), transaction: Some(transaction), taken, head_only: false }
    }

    /// The client asked for the head alone and will have had its answer without the bytes.
    pub(crate) fn head_only(&mut self) {
        self.head_only = true;
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.taken {
            return Poll::Ready(None);
        }
        this.taken = true;
        if let Some(transaction) = &this.transaction {
            transaction.first_byte();
            transaction.went(this.bytes.len());
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.taken
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let (Some(mut transaction), Some(outcome)) = (self.transaction.take(), self.outcome.take()) else { return };
        if self.taken || self.head_only {
            transaction.close(outcome);
        } else {
            transaction.note_evaluation(outcome.evaluation);
        }
    }
}
