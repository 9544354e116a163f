//! Joins what has arrived together, so that it leaves in one write.
//!
//! The client of the upstream hands over one chunk at a time and reads the next only when it is polled again. So before
//! a chunk goes on, the task steps back once to let what has arrived already come too. That takes no time; nothing is
//! waited for.
//!
//! hyper asks a body that has nothing a second time before it lets its task go: only the third time asked has the task
//! really stepped back.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use super::SourceError;

/// As much as leaves in one piece, in bytes.
const ENOUGH: usize = 64 << 10;

/// How often hyper asks before its task steps back.
const ASKED_PER_STEP: u8 = 2;

/// Passes a body on in fewer, larger pieces. Trailers are dropped.
pub(crate) struct Gather<B> {
    inner: B,
    first: Bytes,
    joined: BytesMut,
    /// How often it was asked in vain since the last chunk came.
    in_vain: u8,
    error: Option<SourceError>,
    ended: bool,
}

impl<B> Gather<B> {
    pub(crate) fn new(inner: B) -> Self {
        Self { inner, first: Bytes::new(), joined: BytesMut::new(), in_vain: 0, error: None, ended: false }
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(self.first.len() + data.len());
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&data);
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn take(&mut self) -> Frame<Bytes> {
        self.in_vain = 0;
        let first = std::mem::take(&mut self.first);
        Frame::data(if self.joined.is_empty() { first } else { self.joined.split().freeze() })
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Body for Gather<B> {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        while !this.ended && this.len() < ENOUGH {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        this.add(data);
                        this.in_vain = 0;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    this.error = Some(error);
                    this.ended = true;
                }
                Poll::Ready(None) => this.ended = true,
                Poll::Pending if this.len() == 0 => return Poll::Pending,
                Poll::Pending if this.in_vain == ASKED_PER_STEP => break,
                Poll::Pending => {
                    this.in_vain += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        if this.len() > 0 {
            return Poll::Ready(Some(Ok(this.take())));
        }
        Poll::Ready(this.error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0 && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::time::{Duration, Instant};

    use super::super::testing::{Step, body, source};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_there_leaves_in_one_piece_and_nothing_is_waited_for() {
        let steps = [
            Step::Data("a"),
            Step::Later,
            Step::Data("b"),
            Step::Data("c"),
            Step::Wait(Duration::from_secs(5)),
            Step::Data("d"),
        ];
        let mut gathered = Gather::new(source(body(steps)));
        let begun = Instant::now();
        assert_eq!(gathered.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(gathered.frame().await.unwrap().unwrap().into_data().unwrap(), "d");
        assert!(gathered.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_error_comes_after_what_arrived_before_it() {
        let mut gathered = Gather::new(source(body([Step::Data("a"), Step::Break])));
        assert_eq!(gathered.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(gathered.frame().await.unwrap().unwrap_err(), SourceError::Broken("broken".to_owned()));
        assert!(gathered.frame().await.is_none());
    }
}
