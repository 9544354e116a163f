//! What goes to the client goes on the record, which is closed when the last byte has gone or the client has.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Pieces, SourceError};
use crate::transaction::Transaction;

/// Sends pieces to the client and owns the transaction meanwhile.
pub(crate) struct Delivery<P: Pieces> {
    pieces: P,
    transaction: Option<Transaction>,
    /// Bytes sent, keep-alives not counted.
    sent: usize,
    /// The client's bytes are no longer the upstream's.
    own: bool,
}

impl<P: Pieces> Delivery<P> {
    pub(crate) fn new(pieces: P, transaction: Transaction) -> Self {
        Self { pieces, transaction: Some(transaction), sent: 0, own: false }
    }

    /// Pieces that were never the upstream's bytes.
    pub(crate) fn converted(pieces: P, transaction: Transaction) -> Self {
        transaction.recording().with(|record| record.own_client_copy(0));
        Self { pieces, transaction: Some(transaction), sent: 0, own: true }
    }

    /// A keep-alive may be sent now.
    pub(crate) fn may_ping(&self) -> bool {
        self.transaction.is_some() && self.pieces.may_ping()
    }

    fn record(&mut self, bytes: &[u8], same: usize) {
        let Some(transaction) = &self.transaction else { return };
        if self.sent == 0 {
            transaction.first_byte();
        }
        if self.own {
            transaction.recording().with(|record| record.client_bytes(bytes));
        } else if same < bytes.len() {
            self.own = true;
            let prefix = self.sent + same;
            transaction.recording().with(|record| {
                record.own_client_copy(prefix);
                record.client_bytes(&bytes[same..]);
            });
        }
        self.sent += bytes.len();
    }

    /// The client did not get all that came from the upstream: the record must not say so.
    fn note_shortfall(&self) {
        if let Some(transaction) = &self.transaction
            && !self.own
            && self.sent < transaction.recording().received()
        {
            transaction.recording().with(|record| record.own_client_copy(self.sent));
        }
    }

    fn close(&mut self) {
        self.note_shortfall();
        if let Some(transaction) = self.transaction.take() {
            transaction.went(self.sent);
            transaction.close(self.pieces.outcome());
        }
    }
}

impl<P: Pieces + Unpin> Body for Delivery<P> {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        match ready!(this.pieces.poll_piece(cx)) {
            Some(Ok(piece)) => {
                this.record(&piece.bytes, piece.same);
                Poll::Ready(Some(Ok(Frame::data(piece.bytes))))
            }
            Some(Err(error)) => {
                this.close();
                Poll::Ready(Some(Err(error)))
            }
            None => {
                this.close();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.transaction.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl<P: Pieces> Drop for Delivery<P> {
    fn drop(&mut self) {
        self.note_shortfall();
        if let Some(transaction) = &mut self.transaction {
            transaction.went(self.sent);
            transaction.note_evaluation(self.pieces.outcome().evaluation);
        }
    }
}
