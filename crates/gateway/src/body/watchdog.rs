//! Bounds the waiting for an upstream: by its silence, by the operator's stop, and by the gateway's own end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::SourceError;
use crate::panic_switch::{Alarm, Interrupt};
use crate::upstream::execute::root_cause;

/// Passes a body on, and fails when it has been silent for too long, or when the operator or the gateway's end stops it.
pub(crate) struct Watchdog<B> {
    inner: B,
    limit: Duration,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    alarm: Alarm,
}

impl<B> Watchdog<B> {
    pub(crate) fn new(inner: B, limit: Duration, interrupt: &Interrupt) -> Self {
        Self { inner, limit, last: Instant::now(), timer: None, alarm: Alarm::new(interrupt) }
    }
}

impl<B> Body for Watchdog<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        // An upstream that always has more never lets it come to the waiting below.
        if let Some(halted) = this.alarm.halted() {
            return Poll::Ready(Some(Err(halted)));
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.last = Instant::now();
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| SourceError::Broken(root_cause(&error)))));
        }
        if let Poll::Ready(error) = this.alarm.poll(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(this.last + this.limit)));
        while timer.as_mut().poll(cx).is_ready() {
            let due = this.last + this.limit;
            if due <= Instant::now() {
                return Poll::Ready(Some(Err(SourceError::Silent(this.limit))));
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::testing::{Step, body, collect};
    use super::*;
    use crate::panic_switch::Generation;

    const LIMIT: Duration = Duration::from_mins(5);
    const LESS: Duration = Duration::from_secs(299);

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_keeps_producing_is_never_cut() {
        let steps = (0..30).flat_map(|_| [Step::Wait(LESS), Step::Data("x")]);
        let watched = Watchdog::new(body(steps), LIMIT, &Interrupt::never());
        assert_eq!(collect(watched).await, ("x".repeat(30), None));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_limit() {
        let watched = Watchdog::new(body([Step::Data("x"), Step::Silence]), LIMIT, &Interrupt::never());
        let begun = Instant::now();
        assert_eq!(collect(watched).await, ("x".to_owned(), Some(SourceError::Silent(LIMIT))));
        assert_eq!(begun.elapsed().as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn the_gateways_end_is_an_error() {
        let stop = CancellationToken::new();
        let interrupt = Interrupt::new(Generation::default(), stop.clone());
        let watched = Watchdog::new(body([Step::Data("x"), Step::Silence]), LIMIT, &interrupt);
        stop.cancel();
        assert_eq!(collect(watched).await, ("x".to_owned(), Some(SourceError::Stopped)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_operators_stop_is_an_error_although_the_upstream_has_more() {
        let generation = Generation::default();
        let interrupt = Interrupt::new(generation.clone(), CancellationToken::new());
        generation.end("stopped".to_owned());
        let watched = Watchdog::new(body([Step::Data("x"), Step::Data("y")]), LIMIT, &interrupt);
        assert_eq!(collect(watched).await, (String::new(), Some(SourceError::Halted("stopped".to_owned()))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_operators_stop_ends_a_silent_stream() {
        let generation = Generation::default();
        let interrupt = Interrupt::new(generation.clone(), CancellationToken::new());
        let watched = Watchdog::new(body([Step::Data("x"), Step::Silence]), LIMIT, &interrupt);
        let collected = async {
            tokio::task::yield_now().await;
            generation.end("stopped".to_owned());
        };
        let (got, ()) = tokio::join!(collect(watched), collected);
        assert_eq!(got, ("x".to_owned(), Some(SourceError::Halted("stopped".to_owned()))));
    }
}
