//! The number of the last event that went to a client, where events are numbered (Responses).
//!
//! Only the bytes are kept. They are read when a number is needed, which is when a stream is silent or has broken off.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;

const KEY: &[u8] = b"\"sequence_number\"";

/// Remembers the last bytes that hold a number.
#[derive(Debug)]
pub(crate) struct LastNumber {
    numbered: bool,
    last: Bytes,
}

/// What of an event is read.
#[derive(serde::Deserialize)]
struct Event {
    sequence_number: Option<u64>,
}

impl LastNumber {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { numbered: dialect == Dialect::Responses, last: Bytes::new() }
    }

    /// These bytes go out; they are whole frames, but for the parts of an overlong one.
    pub(crate) fn saw(&mut self, bytes: &Bytes) {
        if self.numbered && memmem::rfind(bytes, KEY).is_some() {
            self.last = bytes.clone();
        }
    }

    /// The number of the last event; `None` before the first.
    pub(crate) fn get(&self) -> Option<u64> {
        let mut splitter = Splitter::new(usize::MAX);
        splitter.push(&self.last);
        let mut last = None;
        while let Ok(Some(frame)) = splitter.next_frame() {
            last = number(&frame).or(last);
        }
        splitter.finish().and_then(|frame| number(&frame)).or(last)
    }
}

fn number(frame: &Frame) -> Option<u64> {
    let data = frame.data.as_ref()?;
    serde_json::from_slice::<Event>(data).ok()?.sequence_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(dialect: Dialect, pieces: &[&'static str]) -> Option<u64> {
        let mut number = LastNumber::new(dialect);
        for piece in pieces {
            number.saw(&Bytes::from_static(piece.as_bytes()));
        }
        number.get()
    }

    #[test]
    fn the_last_event_counts_and_not_what_it_says() {
        let two = "data: {\"type\":\"a\",\"sequence_number\":4}\n\nevent: b\r\ndata: {\"sequence_number\": 5,\"delta\":\"\\\"sequence_number\\\":9\"}\r\n\r\n";
        assert_eq!(last(Dialect::Responses, &[two]), Some(5));
        assert_eq!(
            last(Dialect::Responses, &[two, ": still here\n\n", "event: c\ndata: {\"type\":\"c\"}\n\n"]),
            Some(5)
        );
        assert_eq!(last(Dialect::Responses, &[]), None);
        assert_eq!(last(Dialect::Chat, &[two]), None);
    }
}
