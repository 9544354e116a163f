//! Bodies that follow a script, for the tests of the wrappers.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

use super::watchdog::Watchdog;
use crate::panic_switch::Interrupt;

/// One thing that a scripted body does.
pub(crate) enum Step {
    Data(&'static str),
    /// Bytes that are not text of the test's own.
    Bytes(Bytes),
    /// The next chunk is there, but only on the next poll.
    Later,
    Wait(Duration),
    Silence,
    Break,
}

pub(crate) struct Scripted {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
}

/// A body that follows these steps and ends.
pub(crate) fn body(steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted { steps: steps.into_iter().collect(), waiting: None }
}

/// The same as a source with an idle limit of 300 seconds.
pub(crate) fn source(body: Scripted) -> Watchdog<Scripted> {
    Watchdog::new(body, Duration::from_mins(5), &Interrupt::never())
}

/// The text of a body and its error, if it has one.
pub(crate) async fn collect<B: Body<Data = Bytes> + Unpin>(mut body: B) -> (String, Option<B::Error>) {
    let mut text = String::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(std::str::from_utf8(&frame.into_data().unwrap_or_default()).unwrap()),
            Err(error) => return (text, Some(error)),
        }
    }
    (text, None)
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(waiting) = &mut this.waiting {
                if waiting.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.waiting = None;
            }
            match this.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Data(data)) => {
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))));
                }
                Some(Step::Bytes(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Step::Later) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Wait(time)) => this.waiting = Some(Box::pin(sleep(time))),
                Some(Step::Silence) => {
                    this.steps.push_front(Step::Silence);
                    return Poll::Pending;
                }
                Some(Step::Break) => return Poll::Ready(Some(Err(std::io::Error::other("broken")))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
