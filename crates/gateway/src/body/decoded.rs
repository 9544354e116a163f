//! A compressed stream, decoded as it comes, for what has to read it: policies, and conversion to another dialect.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyDataStream;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use super::SourceError;
use crate::decode_body::{Encoding, reader};
use crate::transaction::Recording;

/// Decodes a body and puts what it holds on the record. Nothing is gathered, so nothing can swell.
pub(crate) struct Decoded {
    decoded: ReaderStream<Box<dyn AsyncRead + Unpin + Send>>,
    recording: Recording,
}

impl Decoded {
    /// `source` under `encodings`, the first of which was applied first.
    pub(crate) fn new<B>(source: B, encodings: &[Encoding], recording: Recording) -> Self
    where
        B: Body<Data = Bytes, Error = SourceError> + Unpin + Send + 'static,
    {
        let bytes = BodyDataStream::new(source).map_err(io::Error::other);
        let mut decoded: Box<dyn AsyncRead + Unpin + Send> = Box::new(StreamReader::new(bytes));
        for encoding in encodings.iter().rev() {
            decoded = reader(BufReader::new(decoded), *encoding, false);
        }
        Self { decoded: ReaderStream::new(decoded), recording }
    }
}

impl Body for Decoded {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        Poll::Ready(ready!(Pin::new(&mut this.decoded).poll_next(cx)).map(|piece| match piece {
            Ok(data) => {
                this.recording.upstream_bytes(&data);
                Ok(Frame::data(data))
            }
            Err(error) => Err(source_error(&error)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn source_error(error: &io::Error) -> SourceError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<SourceError>());
    inner.cloned().unwrap_or_else(|| SourceError::Broken("its compressed answer cannot be decoded".to_owned()))
}
