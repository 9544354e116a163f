//! Signs of life for a client that waits: a ping between two events when nothing else has gone out for a while (W-51).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use luthien_wire::Dialect;
use tokio::time::{Instant, Sleep, sleep_until};

use super::delivery::Delivery;
use super::number::LastNumber;
use super::{Pieces, SourceError};

/// Passes a stream on and fills its silences. Pings are not recorded: they say nothing.
pub(crate) struct KeepAlive<B> {
    inner: B,
    dialect: Dialect,
    every: Duration,
    last: Instant,
    number: LastNumber,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A stream that knows where a ping may stand.
pub(crate) trait Pingable {
    /// One may stand here.
    fn may_ping(&self) -> bool;
}

impl<P: Pieces> Pingable for Delivery<P> {
    fn may_ping(&self) -> bool {
        Delivery::may_ping(self)
    }
}

impl<B> KeepAlive<B> {
    pub(crate) fn new(inner: B, dialect: Dialect, every: Duration) -> Self {
        Self { inner, dialect, every, last: Instant::now(), number: LastNumber::new(dialect), timer: None }
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Pingable + Unpin> Body for KeepAlive<B> {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.last = Instant::now();
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                this.number.saw(data);
            }
            return Poll::Ready(frame);
        }
        if !this.inner.may_ping() {
            return Poll::Pending;
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(this.last + this.every)));
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if this.last + this.every <= now {
                this.last = now;
                timer.as_mut().reset(now + this.every);
                return Poll::Ready(Some(Ok(Frame::data(this.dialect.ping_frame(this.number.get())))));
            }
            timer.as_mut().reset(this.last + this.every);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Step, body, collect, source};
    use super::*;

    struct Stream<B> {
        inner: B,
        may_ping: bool,
    }

    impl<B> Pingable for Stream<B> {
        fn may_ping(&self) -> bool {
            self.may_ping
        }
    }

    impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Body for Stream<B> {
        type Data = Bytes;
        type Error = SourceError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
            Pin::new(&mut self.inner).poll_frame(cx)
        }

        fn is_end_stream(&self) -> bool {
            self.inner.is_end_stream()
        }

        fn size_hint(&self) -> SizeHint {
            self.inner.size_hint()
        }
    }

    const EVERY: Duration = Duration::from_secs(15);

    async fn sent(may_ping: bool, steps: Vec<Step>) -> String {
        sent_in(Dialect::Chat, may_ping, steps).await
    }

    async fn sent_in(dialect: Dialect, may_ping: bool, steps: Vec<Step>) -> String {
        let inner = Stream { inner: source(body(steps)), may_ping };
        collect(KeepAlive::new(inner, dialect, EVERY)).await.0
    }

    #[tokio::test(start_paused = true)]
    async fn a_numbered_ping_repeats_the_last_number() {
        let event = "data: {\"type\":\"x\",\"sequence_number\":7}\n\n";
        let wait = || Step::Wait(Duration::from_secs(16));
        let steps = vec![wait(), Step::Data(event), wait(), Step::Data(": upstream\n\n"), wait()];
        let ping = |n: u8| format!("event: keepalive\ndata: {{\"type\":\"keepalive\",\"sequence_number\":{n}}}\n\n");
        let expected = format!("{}{event}{}: upstream\n\n{}", ping(0), ping(7), ping(7));
        assert_eq!(sent_in(Dialect::Responses, true, steps).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_every_15_seconds() {
        let steps = vec![
            Step::Data("a"),
            Step::Wait(Duration::from_secs(46)),
            Step::Data("b"),
            Step::Wait(Duration::from_secs(14)),
        ];
        assert_eq!(sent(true, steps).await, "a: keep-alive\n\n: keep-alive\n\n: keep-alive\n\nb");
    }

    #[tokio::test(start_paused = true)]
    async fn no_ping_stands_where_none_may() {
        assert_eq!(
            sent(false, vec![Step::Data("a"), Step::Wait(Duration::from_secs(46)), Step::Data("b")]).await,
            "ab"
        );
    }
}
