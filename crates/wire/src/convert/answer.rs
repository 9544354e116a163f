//! Answers: read into a neutral form, written in the client's dialect.

use bytes::Bytes;

use super::AnswerContext;
use crate::turn::Unreadable;

/// Converts a streamed answer: bytes of the upstream's events in, bytes of the client's events out.
#[derive(Debug)]
pub struct StreamConverter;

impl StreamConverter {
    /// A stream is about to come. Events of more than `limit` bytes are refused.
    pub fn new(_context: AnswerContext, _limit: usize) -> Self {
        Self
    }

    /// Takes bytes of the upstream, divided in any way; gives the client's events that follow from them. What cannot be read
    /// becomes the client's error event, and nothing comes after it.
    pub fn push(&mut self, _chunk: &[u8]) -> Bytes {
        Bytes::new()
    }

    /// The upstream's body has ended: what is still to be written. No terminal event is made up where the answer had none.
    pub fn finish(&mut self) -> Bytes {
        Bytes::new()
    }
}

/// Converts a whole answer.
pub fn whole(_context: &AnswerContext, _body: &[u8]) -> Result<Bytes, Unreadable> {
    Err(Unreadable::NotJson)
}
