//! A stream that nobody watches: its frames pass as they come, whole, and its end is checked.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use luthien_record::model::{Evaluation, Status};
use luthien_wire::Dialect;
use memchr::memrchr2_iter;

use super::ending::{EndWatch, Ending, Fault};
use super::{Piece, Pieces, SourceError};
use crate::transaction::Outcome;

/// Hands on whole frames; an unfinished one waits for its rest, so that keep-alives fall between events.
pub(crate) struct Pass<B> {
    source: B,
    dialect: Dialect,
    /// The transaction's id, for an error at the end.
    id: String,
    held: BytesMut,
    /// Longer events go on in parts, in bytes.
    most_held: usize,
    /// A part of an event has gone out and its end has not.
    mid_event: bool,
    watch: EndWatch,
    /// What is still to be written once the upstream's part is over.
    last: Option<Piece>,
    outcome: Option<Outcome>,
}

impl<B> Pass<B> {
    pub(crate) fn new(source: B, dialect: Dialect, id: String, most_held: usize) -> Self {
        Self {
            source,
            dialect,
            id,
            held: BytesMut::new(),
            most_held,
            mid_event: false,
            watch: EndWatch::new(dialect),
            last: None,
            outcome: None,
        }
    }

    /// What can go on now that these bytes have come: all up to the last end of an event.
    fn arrived(&mut self, data: Bytes) -> Bytes {
        if self.held.is_empty() {
            return match last_boundary(&data, 0) {
                Some(end) if end == data.len() => self.whole(data),
                Some(end) => {
                    self.held.extend_from_slice(&data[end..]);
                    self.whole(data.slice(..end))
                }
                None => {
                    self.held.extend_from_slice(&data);
                    self.overlong()
                }
            };
        }
        let scanned = self.held.len().saturating_sub(3);
        self.held.extend_from_slice(&data);
        match last_boundary(&self.held, scanned) {
            Some(end) => {
                let frames = self.held.split_to(end).freeze();
                self.whole(frames)
            }
            None => self.overlong(),
        }
    }

    fn whole(&mut self, frames: Bytes) -> Bytes {
        self.mid_event = false;
        self.watch.saw(&frames);
        frames
    }

    fn overlong(&mut self) -> Bytes {
        if !self.mid_event && self.held.len() <= self.most_held {
            return Bytes::new();
        }
        self.mid_event = true;
        self.held.split().freeze()
    }

    /// The upstream's part is over, properly or not.
    fn over(&mut self, error: Option<SourceError>) {
        let rest = self.held.split().freeze();
        let ending = self.watch.ending(&rest);
        let (last, outcome) = match ending {
            Ending::Terminal => (Piece::same(rest), Outcome::completed(Evaluation::None)),
            Ending::Failed => (
                Piece::same(rest),
                broken(Status::UpstreamBroken, "the upstream ended its answer with an error".to_owned()),
            ),
            Ending::Faulted => {
                let Fault { kind, message } = self.watch.fault(&rest).unwrap_or_else(|| Fault {
                    kind: "api_error".to_owned(),
                    message: "the upstream ended its answer with an error".to_owned(),
                });
                let frame = self.watch.failure(&kind, &message, &self.id, &rest);
                (after(&rest, &frame), broken(Status::UpstreamBroken, message))
            }
            Ending::Stopped => (with_end(self.dialect, &rest), Outcome::completed(Evaluation::None)),
            Ending::Open => {
                let own = error.as_ref().is_some_and(SourceError::is_own);
                let status = if own { Status::Interrupted } else { Status::UpstreamBroken };
                let error =
                    error.unwrap_or_else(|| SourceError::Broken("its answer ended before it was complete".to_owned()));
                let frame = self.watch.failure(error.kind(), &error.to_string(), &self.id, &Bytes::new());
                // What stands of an event that was cut would garble the error.
                (Piece::own(frame), broken(status, error.to_string()))
            }
        };
        self.last = Some(last).filter(|piece| !piece.bytes.is_empty());
        self.outcome = Some(outcome);
    }
}

fn broken(status: Status, error: String) -> Outcome {
    Outcome { status, error: Some(error), evaluation: Evaluation::None, repaired: false }
}

/// The end that a stopped stream lacks, after `rest`, an event that may lack its blank line.
fn with_end(dialect: Dialect, rest: &Bytes) -> Piece {
    let end: &[u8] = match dialect {
        Dialect::Messages => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        Dialect::Chat => b"data: [DONE]\n\n",
        Dialect::Responses => b"",
    };
    after(rest, end)
}

/// `end` after `rest`, an event that may lack its blank line.
fn after(rest: &Bytes, end: &[u8]) -> Piece {
    let gap: &[u8] = if rest.is_empty() { b"" } else { b"\n\n" };
    Piece { bytes: [rest, gap, end].concat().into(), same: rest.len() }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Pieces for Pass<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, SourceError>>> {
        while self.outcome.is_none() {
            match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let ready = frame.into_data().map_or_else(|_| Bytes::new(), |data| self.arrived(data));
                    if !ready.is_empty() {
                        return Poll::Ready(Some(Ok(Piece::same(ready))));
                    }
                }
                Some(Err(error)) => self.over(Some(error)),
                None => self.over(None),
            }
        }
        Poll::Ready(self.last.take().map(Ok))
    }

    fn may_ping(&self) -> bool {
        !self.mid_event && self.outcome.is_none() && !self.watch.terminal()
    }

    fn outcome(&self) -> Outcome {
        self.outcome.clone().unwrap_or_else(|| Outcome::completed(Evaluation::None))
    }
}

/// Where the last event that ends in `bytes` ends, if its end is after `from`. An event ends with a blank line.
fn last_boundary(bytes: &[u8], from: usize) -> Option<usize> {
    for at in memrchr2_iter(b'\n', b'\r', &bytes[from..]).map(|at| at + from) {
        let mut line_end = at;
        if bytes[at] == b'\n' && at > 0 && bytes[at - 1] == b'\r' {
            line_end -= 1;
        }
        if line_end > 0 && matches!(bytes[line_end - 1], b'\n' | b'\r') {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests;
