//! A response body that plays steps.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::log::{Ending, Guard};
use super::tap::Line;
use crate::reply::Step;

/// The steps of one answer's body.
pub(super) struct Playing {
    steps: VecDeque<Step>,
    length: Option<u64>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Something was sent since the last pause: pause, so that it leaves in a write of its own.
    sent: bool,
    guard: Guard,
    line: Arc<Line>,
}

impl Playing {
    pub(super) fn new(steps: Vec<Step>, length: Option<u64>, mut guard: Guard, line: Arc<Line>) -> Self {
        if steps.is_empty() {
            guard.end(Ending::Complete);
        }
        Self { steps: steps.into(), length, waiting: None, sent: false, guard, line }
    }
}

impl Body for Playing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            if std::mem::take(&mut self.sent) && !self.steps.is_empty() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(step) = self.steps.pop_front() else { return Poll::Ready(None) };
            match step {
                Step::Send(bytes) => {
                    self.sent = true;
                    if self.steps.is_empty() {
                        // With a known length nobody asks again.
                        self.guard.end(Ending::Complete);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Step::Wait(gate) => self.waiting = Some(Box::pin(async move { gate.pass().await })),
                Step::Stall => self.waiting = Some(Box::pin(std::future::pending())),
                Step::Close | Step::Reset => {
                    if matches!(step, Step::Reset) {
                        self.line.reset_at_end();
                    }
                    self.guard.end(Ending::BrokenOff);
                    return Poll::Ready(Some(Err(io::Error::other("the script breaks off here"))));
                }
            }
            if self.steps.is_empty() && self.waiting.is_none() {
                self.guard.end(Ending::Complete);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
