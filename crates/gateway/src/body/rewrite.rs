//! A stream under review: the policies' engine makes the client's bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;
use luthien_policy::engine::{StreamReview, UpstreamEnd};
use luthien_policy::plan::{Reviews, Summary};
use luthien_record::model::{Evaluation, Status};

use super::{Piece, Pieces, SourceError};
use crate::open_calls::{CallWatch, Ending};
use crate::panic_switch::{Alarm, Interrupt};
use crate::transaction::Outcome;

/// Feeds an upstream's bytes to a review and hands on what it lets out.
pub(crate) struct Rewrite<B> {
    source: Option<B>,
    review: StreamReview,
    reviews: Reviews,
    calls: Option<CallWatch>,
    unmatched: Unmatched,
    error: Option<SourceError>,
    over: bool,
    /// Ends the answer also while nothing more comes and only verdicts are out.
    alarm: Alarm,
}

impl<B> Rewrite<B> {
    /// `calls` learns which calls are withheld and what becomes of the answer.
    pub(crate) fn new(source: B, reviews: Reviews, calls: Option<CallWatch>, interrupt: &Interrupt) -> Self {
        let review = reviews.stream();
        Self::of(source, review, reviews, calls, interrupt)
    }

    /// The same for an answer that was converted. Nobody keeps one under the id that the client sees: there is nothing to go
    /// on from.
    pub(crate) fn converted(source: B, reviews: Reviews, interrupt: &Interrupt) -> Self {
        let review = reviews.converted_stream();
        Self::of(source, review, reviews, None, interrupt)
    }

    fn of(source: B, review: StreamReview, reviews: Reviews, calls: Option<CallWatch>, interrupt: &Interrupt) -> Self {
        Self {
            alarm: Alarm::new(interrupt),
            source: Some(source),
            review,
            reviews,
            calls,
            unmatched: Unmatched::default(),
            error: None,
            over: false,
        }
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Rewrite<B> {
    /// Ends the answer where the operator has stopped it: what is held does not go out, verdict or not.
    fn stop_where_halted(&mut self, cx: &mut Context<'_>) {
        if self.over || matches!(self.error, Some(SourceError::Halted(_))) {
            return;
        }
        // The gateway's own end comes by way of the source.
        if let Poll::Ready(error @ SourceError::Halted(_)) = self.alarm.poll(cx) {
            self.review.finish(UpstreamEnd::Stopped { kind: error.kind(), message: error.to_string() });
            self.error = Some(error);
            self.source = None;
        }
    }

    /// Takes what the upstream has, if the review wants it. True if bytes came.
    fn feed(&mut self, cx: &mut Context<'_>) -> bool {
        while self.review.wants_input() {
            let Some(source) = &mut self.source else { return false };
            match Pin::new(source).poll_frame(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        if let Some(Err(refused)) = self.calls.as_mut().map(|calls| calls.came(&data)) {
                            let (kind, message) = (refused.kind(), refused.to_string());
                            self.review.finish(UpstreamEnd::Broken { kind, message });
                            self.source = None;
                            return true;
                        }
                        self.review.push(&data);
                        self.unmatched.arrived(data);
                    }
                    return true;
                }
                Poll::Ready(Some(Err(error))) => {
                    let (kind, message) = (error.kind(), error.to_string());
                    self.review.finish(if error.is_own() {
                        UpstreamEnd::Stopped { kind, message }
                    } else {
                        UpstreamEnd::Broken { kind, message }
                    });
                    self.error = Some(error);
                }
                Poll::Ready(None) => self.review.finish(UpstreamEnd::Clean),
            }
        }
        if self.review.closed() {
            self.source = None;
        }
        false
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Pieces for Rewrite<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, SourceError>>> {
        self.stop_where_halted(cx);
        loop {
            let fed = self.feed(cx);
            match self.review.poll_output(cx) {
                Poll::Ready(Some(bytes)) => {
                    let same = self.unmatched.sent(&bytes);
                    if let Some(calls) = &mut self.calls {
                        calls.went(&bytes);
                        // The next request may come as soon as the client has the end.
                        if self.review.ended() {
                            let (summary, differs) = (self.review.summary(), self.unmatched.differs);
                            calls.settle(Ending { summary, differs, ended: true });
                        }
                    }
                    return Poll::Ready(Some(Ok(Piece { bytes, same })));
                }
                Poll::Ready(None) => {
                    if !self.over {
                        self.over = true;
                        self.source = None;
                        self.reviews.end();
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending if fed => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn may_ping(&self) -> bool {
        !self.review.ended()
    }

    fn outcome(&self) -> Outcome {
        let mut summary = self.review.summary();
        if !self.over {
            // The client went while verdicts were out, or before there was anything to decide.
            summary.undecided |= summary.watched && (self.review.holding() || self.review.wants_input());
        }
        let evaluation = evaluation(summary);
        let (status, error) = match &self.error {
            Some(error) if error.is_own() => (Status::Interrupted, Some(error.to_string())),
            _ if !self.review.broke_off() => (Status::Completed, None),
            Some(error) => (Status::UpstreamBroken, Some(error.to_string())),
            None => (Status::UpstreamBroken, Some("the upstream's answer ended before it was complete".to_owned())),
        };
        Outcome { status, error, evaluation, repaired: summary.repaired }
    }
}

impl<B> Drop for Rewrite<B> {
    fn drop(&mut self) {
        if let Some(calls) = &mut self.calls {
            let (summary, differs) = (self.review.summary(), self.unmatched.differs);
            calls.settle(Ending { summary, differs, ended: false });
        }
    }
}

/// What the record says of a review. A failure that let something through outweighs all else.
pub(crate) fn evaluation(summary: Summary) -> Evaluation {
    if summary.failed_open {
        Evaluation::FailedOpen
    } else if summary.intervened {
        Evaluation::Intervened
    } else if summary.undecided {
        Evaluation::NotEvaluated
    } else if summary.watched {
        Evaluation::Passed
    } else {
        Evaluation::None
    }
}

/// What the upstream sent and the client has not been sent, as long as the two are the same.
#[derive(Debug, Default)]
struct Unmatched {
    waiting: VecDeque<Bytes>,
    differs: bool,
}

impl Unmatched {
    fn arrived(&mut self, data: Bytes) {
        if !self.differs {
            self.waiting.push_back(data);
        }
    }

    /// How many of these bytes, from the first, are the upstream's next. The first that is not ends the likeness for good.
    fn sent(&mut self, bytes: &[u8]) -> usize {
        let mut same = 0;
        while !self.differs && same < bytes.len() {
            let Some(next) = self.waiting.front_mut() else {
                self.differs = true;
                break;
            };
            let rest = &bytes[same..];
            let len = rest.len().min(next.len());
            let alike = if rest[..len] == next[..len] {
                len
            } else {
                rest.iter().zip(next.iter()).take_while(|(a, b)| a == b).count()
            };
            same += alike;
            self.differs = alike < len;
            let _ = next.split_to(alike);
            if next.is_empty() {
                self.waiting.pop_front();
            }
        }
        if self.differs {
            self.waiting = VecDeque::new();
        }
        same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeness_lasts_to_the_first_byte_that_differs() {
        let mut unmatched = Unmatched::default();
        unmatched.arrived(Bytes::from_static(b"abc"));
        unmatched.arrived(Bytes::from_static(b"defgh"));
        assert_eq!(unmatched.sent(b"ab"), 2);
        assert_eq!(unmatched.sent(b"cde"), 3);
        assert_eq!(unmatched.sent(b"fXh"), 1);
        assert_eq!(unmatched.sent(b"h"), 0);
    }

    #[test]
    fn more_than_the_upstream_sent_is_the_gateways_own() {
        let mut unmatched = Unmatched::default();
        unmatched.arrived(Bytes::from_static(b"ab"));
        assert_eq!(unmatched.sent(b"abc"), 2);
    }

    #[test]
    fn a_failure_that_let_something_through_is_never_called_passed() {
        let all = Summary { watched: true, intervened: true, failed_open: true, undecided: true, repaired: true };
        assert_eq!(evaluation(all), Evaluation::FailedOpen);
        assert_eq!(
            evaluation(Summary { watched: true, undecided: true, ..Summary::default() }),
            Evaluation::NotEvaluated
        );
        assert_eq!(evaluation(Summary { watched: true, ..Summary::default() }), Evaluation::Passed);
        assert_eq!(evaluation(Summary::default()), Evaluation::None);
    }
}
