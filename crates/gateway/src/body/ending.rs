//! Whether a stream that nobody reads has ended as it should: looked up in the few frames that may tell.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;
use serde_json::Value;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Nothing says that the answer is complete.
    Open,
    /// The model has stopped; the terminal event is missing.
    Stopped,
    /// The terminal event is there.
    Terminal,
    /// The upstream said that it failed.
    Failed,
}

/// Remembers the pieces of a stream that may hold its end. Pieces are whole frames.
#[derive(Debug)]
pub(crate) struct EndWatch {
    dialect: Dialect,
    stop: Bytes,
    last: Bytes,
    terminal: bool,
}

impl EndWatch {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, stop: Bytes::new(), last: Bytes::new(), terminal: false }
    }

    /// These frames went by.
    pub(crate) fn saw(&mut self, frames: &Bytes) {
        let (stop, terminal): (&[u8], &[u8]) = match self.dialect {
            Dialect::Messages => (b"\"stop_reason\"", b"message_stop"),
            Dialect::Chat => (b"\"finish_reason\"", b"[DONE]"),
            Dialect::Responses => (b"\"response.failed\"", b"response.completed"),
        };
        if names_a_word(frames, stop) {
            self.stop = frames.clone();
        }
        if memmem::find(frames, terminal).is_some() {
            self.terminal |= self.furthest(frames) >= Ending::Terminal;
        }
        self.last = frames.clone();
    }

    /// The terminal event has gone by.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// How far the stream came; `rest` is what stood after the last whole frame.
    pub(crate) fn ending(&self, rest: &[u8]) -> Ending {
        if self.terminal {
            return Ending::Terminal;
        }
        self.furthest(&self.last).max(self.furthest(&self.stop)).max(self.furthest(rest))
    }

    fn furthest(&self, frames: &[u8]) -> Ending {
        let mut splitter = Splitter::new(usize::MAX);
        splitter.push(frames);
        let mut furthest = Ending::Open;
        while let Ok(Some(frame)) = splitter.next_frame() {
            furthest = furthest.max(means(self.dialect, &frame));
        }
        splitter.finish().map_or(furthest, |frame| furthest.max(means(self.dialect, &frame)))
    }
}

fn means(dialect: Dialect, frame: &Frame) -> Ending {
    let Some(data) = &frame.data else { return Ending::Open };
    if dialect == Dialect::Chat && data.trim_ascii() == b"[DONE]" {
        return Ending::Terminal;
    }
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return Ending::Open };
    match dialect {
        Dialect::Messages => match value.get("type").and_then(Value::as_str) {
            Some("message_stop") => Ending::Terminal,
            Some("error") => Ending::Failed,
            Some("message_delta") if value.pointer("/delta/stop_reason").is_some_and(Value::is_string) => {
                Ending::Stopped
            }
            _ => Ending::Open,
        },
        Dialect::Responses => match value.get("type").and_then(Value::as_str) {
            Some("response.completed" | "response.incomplete") => Ending::Terminal,
            Some("response.failed" | "error") => Ending::Failed,
            _ => Ending::Open,
        },
        Dialect::Chat => {
            let stopped = |choice: &Value| choice.get("finish_reason").is_some_and(Value::is_string);
            match value.get("choices").and_then(Value::as_array) {
                _ if value.get("error").is_some_and(|error| !error.is_null()) => Ending::Failed,
                Some(choices) if choices.iter().any(stopped) => Ending::Stopped,
                _ => Ending::Open,
            }
        }
    }
}

/// The key stands there with a string for its value; `null` on every chunk does not count.
fn names_a_word(frames: &[u8], key: &[u8]) -> bool {
    memmem::find_iter(frames, key).any(|at| {
        let value = frames[at + key.len()..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| value.starts_with(b"\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(dialect: Dialect, pieces: &[&'static str], rest: &str) -> Ending {
        let mut watch = EndWatch::new(dialect);
        for piece in pieces {
            watch.saw(&Bytes::from_static(piece.as_bytes()));
        }
        watch.ending(rest.as_bytes())
    }

    const DELTA: &str =
        "event: message_delta\ndata: {\"type\": \"message_delta\", \"delta\": {\"stop_reason\" : \"end_turn\"}}\n\n";
    const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

    #[test]
    fn a_messages_stream_ends_with_its_terminal_event() {
        assert_eq!(ending(Dialect::Messages, &[DELTA, STOP, PING], ""), Ending::Terminal);
        assert_eq!(ending(Dialect::Messages, &[DELTA, PING], ""), Ending::Stopped);
        assert_eq!(ending(Dialect::Messages, &[PING], ""), Ending::Open);
        assert_eq!(
            ending(Dialect::Messages, &[DELTA], "event: message_stop\ndata: {\"type\":\"message_stop\"}"),
            Ending::Terminal
        );
    }

    #[test]
    fn words_of_the_model_are_no_end() {
        let text = "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"message_stop \\\"stop_reason\\\":\\\"end_turn\\\"\"}}\n\n";
        assert_eq!(ending(Dialect::Messages, &[text], ""), Ending::Open);
        let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"},\"finish_reason\":null}]}\n\n";
        assert_eq!(ending(Dialect::Chat, &[chat], ""), Ending::Open);
    }

    #[test]
    fn a_chat_stream_may_stop_before_its_usage_chunk() {
        let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\": \"stop\"}]}\n\n";
        let usage = "data: {\"choices\":[],\"usage\":{}}\n\n";
        assert_eq!(ending(Dialect::Chat, &[stop, usage], ""), Ending::Stopped);
        assert_eq!(ending(Dialect::Chat, &[stop, usage, "data: [DONE]\n\n"], ""), Ending::Terminal);
        assert_eq!(ending(Dialect::Chat, &["data: {\"error\":{\"message\":\"x\"}}\n\n"], ""), Ending::Failed);
    }
}
