//! One HTTP answer as data: status, headers, and the steps in which its body goes out.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::Splitter;
use serde_json::Value;

use crate::fixtures::Fixture;
use crate::gate::Gate;
use crate::gzip;

/// One step of an answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends bytes (one frame of a stream, as a rule).
    Send(Bytes),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Sends nothing more and keeps the connection open.
    Stall,
    /// Closes the connection without the end of the HTTP body.
    Close,
    /// Resets the connection.
    Reset,
}

/// How a body is cut into pieces on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// All that stands between two waits in one piece.
    Whole,
    /// A piece for each frame.
    PerFrame,
    /// Pieces of so many bytes (at least one).
    Bytes(usize),
}

/// One HTTP answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers, in order; the upstream adds a request id where none is given.
    pub headers: Vec<(String, String)>,
    /// What happens before the head goes out; bytes here are left out.
    pub before: Vec<Step>,
    /// What the body does. After the last step it ends as HTTP wants it.
    pub steps: Vec<Step>,
    /// How the body's bytes are cut.
    pub chunking: Chunking,
    /// Whether the head tells the body's length (else it goes in chunks).
    pub sized: bool,
}

impl Reply {
    /// An answer with these steps as its body, in chunks, with no headers yet.
    pub fn new(status: u16, steps: Vec<Step>) -> Self {
        Self { status, headers: Vec::new(), before: Vec::new(), steps, chunking: Chunking::PerFrame, sized: false }
    }

    /// A body of known length.
    pub fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let reply = Self::new(status, vec![Step::Send(body.into())]).header("content-type", content_type);
        Self { chunking: Chunking::Whole, sized: true, ..reply }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// An event stream of these bytes, a step for each frame.
    pub fn stream(bytes: &[u8]) -> Self {
        Self::frames(frames(bytes).into_iter().map(Step::Send).collect())
    }

    /// An event stream with these steps.
    pub fn frames(steps: Vec<Step>) -> Self {
        Self::new(200, steps)
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("cache-control", "no-cache")
    }

    /// A vendor's error before the first byte, in its dialect's envelope.
    pub fn error(dialect: Dialect, status: u16, kind: &str, message: &str) -> Self {
        Self::whole(status, "application/json", dialect.error_body(kind, message, "req_scripted"))
    }

    /// A fixture, as it stands in its file.
    pub fn fixture(fixture: &Fixture) -> Self {
        let reply = if fixture.streamed {
            Self::stream(fixture.bytes)
        } else {
            Self::whole(fixture.status, "application/json", fixture.bytes)
        };
        fixture.header.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    /// No answer at all: the connection stays open and silent.
    pub fn hang() -> Self {
        Self { before: vec![Step::Stall], ..Self::new(200, Vec::new()) }
    }

    /// The connection is dropped in place of an answer.
    pub fn drop_connection(how: Step) -> Self {
        Self { before: vec![how], ..Self::new(200, Vec::new()) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Cuts the body so.
    #[must_use]
    pub fn chunking(mut self, chunking: Chunking) -> Self {
        self.chunking = chunking;
        self
    }

    /// Waits for this gate before the head goes out.
    #[must_use]
    pub fn wait_before(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Wait(gate.clone()));
        self
    }

    /// Puts a step in front of body step `at`, or last.
    #[must_use]
    pub fn insert(mut self, at: usize, step: Step) -> Self {
        self.steps.insert(at.min(self.steps.len()), step);
        self
    }

    /// Keeps the first `count` body steps and then does `end`.
    #[must_use]
    pub fn cut_after(mut self, count: usize, end: Step) -> Self {
        self.steps.truncate(count);
        self.steps.push(end);
        self
    }

    /// Codes the body as gzip.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        let mut writer = gzip::Writer::new();
        self = self.chunked();
        for step in &mut self.steps {
            if let Step::Send(bytes) = step {
                *bytes = writer.piece(bytes).into();
            }
        }
        self.steps.push(Step::Send(writer.end().into()));
        self.sized = false;
        self.header("content-encoding", "gzip")
    }

    /// The length of the body, where every step sends.
    pub(crate) fn length(&self) -> Option<u64> {
        let mut sum = 0;
        for step in &self.steps {
            let Step::Send(bytes) = step else { return None };
            sum += bytes.len() as u64;
        }
        Some(sum)
    }

    /// The same with its steps cut as the chunking says.
    pub(crate) fn chunked(mut self) -> Self {
        let mut out = Vec::with_capacity(self.steps.len());
        let mut run = Vec::new();
        for step in self.steps {
            match step {
                Step::Send(bytes) if self.chunking == Chunking::PerFrame => out.push(Step::Send(bytes)),
                Step::Send(bytes) => run.extend_from_slice(&bytes),
                other => {
                    cut(&mut out, &mut run, self.chunking);
                    out.push(other);
                }
            }
        }
        cut(&mut out, &mut run, self.chunking);
        self.steps = out;
        self.chunking = Chunking::PerFrame;
        self
    }
}

fn cut(out: &mut Vec<Step>, run: &mut Vec<u8>, chunking: Chunking) {
    if run.is_empty() {
        return;
    }
    let bytes = Bytes::from(std::mem::take(run));
    let size = match chunking {
        Chunking::Bytes(size) => size.max(1),
        Chunking::Whole | Chunking::PerFrame => bytes.len(),
    };
    for start in (0..bytes.len()).step_by(size) {
        out.push(Step::Send(bytes.slice(start..bytes.len().min(start + size))));
    }
}

/// Cuts a stream into its frames; put together they are the stream.
pub fn frames(bytes: &[u8]) -> Vec<Bytes> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        out.push(frame.raw);
    }
    out.extend(splitter.finish().map(|frame| frame.raw));
    out
}

#[cfg(test)]
mod tests;
