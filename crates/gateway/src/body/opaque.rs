//! A stream of which nothing is known (compressed, or of a side endpoint): its bytes pass, and its end is the connection's.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use luthien_record::model::{Evaluation, Status};

use super::{Piece, Pieces, SourceError};
use crate::transaction::Outcome;

/// Hands on bytes as they come. Where the upstream breaks off, so does the answer.
pub(crate) struct Opaque<B> {
    source: B,
    error: Option<SourceError>,
}

impl<B> Opaque<B> {
    pub(crate) fn new(source: B) -> Self {
        Self { source, error: None }
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Pieces for Opaque<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, SourceError>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Some(Ok(Piece::same(data))),
                    _ => continue,
                },
                Some(Err(error)) => {
                    self.error = Some(error.clone());
                    Some(Err(error))
                }
                None => None,
            });
        }
    }

    fn may_ping(&self) -> bool {
        false
    }

    fn outcome(&self) -> Outcome {
        let status = match &self.error {
            None => Status::Completed,
            Some(error) if error.is_own() => Status::Interrupted,
            Some(_) => Status::UpstreamBroken,
        };
        Outcome {
            status,
            error: self.error.as_ref().map(ToString::to_string),
            evaluation: Evaluation::None,
            repaired: false,
        }
    }
}
