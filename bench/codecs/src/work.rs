//! What is measured. Each takes a whole answer and gives a number that depends on all of it.

use bytes::BytesMut;
use luthien_wire::Dialect;
use luthien_wire::convert::{AnswerContext, StreamConverter};
use luthien_wire::sse::{Frame, Splitter};
use luthien_wire::stream::{Decoder, What};
use serde_json::Map;

/// As much as a read of a connection gives.
const CHUNK: usize = 16 << 10;

/// Larger than any event here.
const LIMIT: usize = 16 << 20;

/// A measurement.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// `None` where the dialect has no such thing.
    pub(crate) run: fn(Dialect, &[u8]) -> Option<usize>,
}

pub(crate) const WORK: [Work; 7] = [
    Work { name: "line ends", run: |_, answer| Some(memchr::memchr_iter(b'\n', answer).count()) },
    Work { name: "framing", run: |_, answer| Some(framed(answer, |frame| frame.event.len())) },
    Work { name: "decoding", run: |dialect, answer| decoded(dialect, answer, |_| ()) },
    Work { name: "writing untouched", run: written },
    Work { name: "to messages", run: |from, answer| converted(from, Dialect::Messages, answer) },
    Work { name: "to chat", run: |from, answer| converted(from, Dialect::Chat, answer) },
    Work { name: "to responses", run: |from, answer| converted(from, Dialect::Responses, answer) },
];

fn framed(answer: &[u8], mut each: impl FnMut(Frame) -> usize) -> usize {
    let mut splitter = Splitter::new(LIMIT);
    let mut sum = 0;
    for chunk in answer.chunks(CHUNK) {
        splitter.push(chunk);
        while let Ok(Some(frame)) = splitter.next_frame() {
            sum += each(frame);
        }
    }
    sum
}

/// Frames to atoms. `None` if an answer of this program cannot be read.
fn decoded(dialect: Dialect, answer: &[u8], mut each: impl FnMut(&Frame)) -> Option<usize> {
    let mut decoder = Decoder::new(dialect);
    let mut atoms = Vec::new();
    let mut readable = true;
    let count = framed(answer, |frame| {
        decoder.decode(frame, &mut atoms);
        readable &= !atoms.iter().any(|atom| matches!(atom.what, What::Unreadable(_)));
        if let Some(atom) = atoms.first() {
            each(&atom.frame);
        }
        let count = atoms.len();
        atoms.clear();
        count
    });
    readable.then_some(count)
}

/// And out again as it came, what is there of a chunk in one piece.
fn written(dialect: Dialect, answer: &[u8]) -> Option<usize> {
    let mut out = BytesMut::new();
    let mut sum = 0;
    decoded(dialect, answer, |frame| {
        out.extend_from_slice(&frame.raw);
        if out.len() >= CHUNK {
            sum += out.split().freeze().len();
        }
    })?;
    (sum + out.len() == answer.len()).then_some(sum)
}

fn converted(from: Dialect, to: Dialect, answer: &[u8]) -> Option<usize> {
    if from == to {
        return None;
    }
    let context = AnswerContext {
        from,
        to,
        model: "model".into(),
        id: "0190".into(),
        free_text_tools: Vec::new(),
        renamed_tools: Vec::new(),
        namespaced_tools: Vec::new(),
        include_usage: true,
        legacy_functions: false,
        repeated: Map::new(),
    };
    let mut converter = StreamConverter::new(context, LIMIT);
    let mut sum: usize = answer.chunks(CHUNK).map(|chunk| converter.push(chunk).len()).sum();
    sum += converter.finish().len();
    (sum > 0).then_some(sum)
}
