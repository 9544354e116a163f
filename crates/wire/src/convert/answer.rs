//! Answers: read into a neutral form, written in the client's dialect.

use bytes::Bytes;

use super::AnswerContext;
use crate::turn::Unreadable;

/// A whole answer in the client's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertedAnswer {
    /// The body for the client.
    pub body: Bytes,
    /// What the client's dialect has no place for, in order, as a type or path of the upstream's (`web_search_call`,
    /// `choices[1]`), with a few words in brackets where that does not say what stood there.
    pub dropped: Vec<String>,
    /// The upstream answered 200 with a failure inside (Responses `status: failed`, Chat `error`): the status with which
    /// `body`, then the client's error envelope, is to go out.
    pub failed: Option<u16>,
}

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

    /// Instead of `push`: the upstream answered a streamed request with a whole body. Gives the client's whole stream.
    pub fn push_whole(&mut self, _body: &[u8]) -> Bytes {
        Bytes::new()
    }

    /// What the client's dialect had no place for so far, as in [`ConvertedAnswer::dropped`]; complete after `finish`.
    pub fn dropped(&self) -> &[String] {
        &[]
    }

    /// Why the converter itself ended the stream with an error (a frame that cannot be read, or too large), for the record.
    pub fn trouble(&self) -> Option<&str> {
        None
    }
}

/// Converts a whole answer.
pub fn whole(_context: &AnswerContext, _body: &[u8]) -> Result<ConvertedAnswer, Unreadable> {
    Err(Unreadable::NotJson)
}
