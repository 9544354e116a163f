//! Whether a stream that nobody reads has ended as it should: looked up in the few frames that may tell.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::sse::{Frame, Splitter};
use memchr::memmem;
use serde_json::Value;

use super::failure::Failure;
use super::number::LastNumber;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Nothing says that the answer is complete.
    Open,
    /// The model has stopped; the terminal event is missing.
    Stopped,
    /// The upstream said that it failed, in an event after which some clients still wait for the terminal one (Responses).
    Faulted,
    /// The terminal event is there.
    Terminal,
    /// The upstream said that it failed.
    Failed,
}

/// What an upstream said went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// Remembers the pieces of a stream that may hold its end. Pieces are whole frames.
#[derive(Debug)]
pub(crate) struct EndWatch {
    dialect: Dialect,
    /// The last frames that may say why the model stopped, or that it failed.
    stop: Bytes,
    last: Bytes,
    number: LastNumber,
    failure: Failure,
    /// The last of the frames that end an answer, if one has gone by.
    end: Ending,
}

impl EndWatch {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            stop: Bytes::new(),
            last: Bytes::new(),
            number: LastNumber::new(dialect),
            failure: Failure::new(dialect),
            end: Ending::Open,
        }
    }

    /// These frames went by.
    pub(crate) fn saw(&mut self, frames: &Bytes) {
        let (may_stop, terminal): (bool, &[&[u8]]) = match self.dialect {
            Dialect::Messages => (names_a_word(frames, b"\"stop_reason\""), &[b"message_stop"]),
            Dialect::Chat => (names_a_word(frames, b"\"finish_reason\""), &[b"[DONE]"]),
            Dialect::Responses => {
                let ends: &[&[u8]] = &[b"response.completed", b"response.incomplete", b"response.failed"];
                (is_of_type_error(frames), ends)
            }
        };
        if may_stop {
            self.stop = frames.clone();
        }
        if terminal.iter().any(|words| memmem::find(frames, words).is_some()) {
            self.end = self.end.max(self.furthest(frames));
        }
        self.number.saw(frames);
        self.failure.saw(frames);
        self.last = frames.clone();
    }

    /// The terminal event has gone by.
    pub(crate) fn terminal(&self) -> bool {
        self.end >= Ending::Terminal
    }

    /// The event that says that the answer has failed, after `rest`, which goes out too. `id` is the transaction's.
    pub(crate) fn failure(&self, kind: &str, message: &str, id: &str, rest: &Bytes) -> Bytes {
        let mut number = LastNumber::new(self.dialect);
        number.saw(rest);
        self.failure.event(kind, message, id, number.get().or_else(|| self.number.get()))
    }

    /// How far the stream came; `rest` is what stood after the last whole frame.
    pub(crate) fn ending(&self, rest: &[u8]) -> Ending {
        if self.terminal() {
            return self.end;
        }
        self.furthest(&self.last).max(self.furthest(&self.stop)).max(self.furthest(rest))
    }

    /// What the upstream said went wrong, where the stream is [`Ending::Faulted`].
    pub(crate) fn fault(&self, rest: &[u8]) -> Option<Fault> {
        [rest, &self.last, &self.stop].into_iter().find_map(|frames| split(frames).iter().find_map(fault))
    }

    fn furthest(&self, frames: &[u8]) -> Ending {
        split(frames).iter().map(|frame| means(self.dialect, frame)).max().unwrap_or(Ending::Open)
    }
}

fn split(frames: &[u8]) -> Vec<Frame> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(frames);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        out.push(frame);
    }
    out.extend(splitter.finish());
    out
}

/// What an `error` event says: its fields stand in it or in an object of their own.
fn fault(frame: &Frame) -> Option<Fault> {
    let value: Value = serde_json::from_slice(frame.data.as_ref()?).ok()?;
    if value.get("type")? != "error" {
        return None;
    }
    let error = value.get("error").filter(|error| error.is_object()).unwrap_or(&value);
    let text = |field: &str| error.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let kind = text("code").or_else(|| text("type").filter(|kind| *kind != "error")).unwrap_or("api_error");
    let message = text("message").unwrap_or("the upstream ended its answer with an error");
    Some(Fault { kind: kind.to_owned(), message: message.to_owned() })
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
            Some("response.failed") => Ending::Failed,
            Some("error") => Ending::Faulted,
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

/// `error` stands there as a type; `"error": null`, which every response has, does not count.
fn is_of_type_error(frames: &[u8]) -> bool {
    memmem::find_iter(frames, b"\"error\"").any(|at| {
        let key = frames[..at].trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        key.is_some_and(|key| key.ends_with(b"\"type\""))
    })
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
    fn a_responses_stream_has_three_ends() {
        let failed = "data: {\"type\":\"response.failed\",\"response\":{}}\n\n";
        let later = "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n";
        assert_eq!(ending(Dialect::Responses, &[failed, later], ""), Ending::Failed);
        for word in ["completed", "incomplete"] {
            let end = format!("event: response.{word}\ndata: {{\"type\":\"response.{word}\"}}\n\n");
            let mut watch = EndWatch::new(Dialect::Responses);
            watch.saw(&Bytes::from(end.clone()));
            assert!(watch.terminal());
            assert_eq!(ending(Dialect::Responses, &[], &end), Ending::Terminal);
        }
        let text = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed \\\"error\\\"\"}\n\n";
        assert_eq!(ending(Dialect::Responses, &[text], ""), Ending::Open);
    }

    #[test]
    fn a_fault_is_read_in_both_forms() {
        let flat = "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"gone\"}\n\n";
        let nested = "data: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"gone\"}}\n\n";
        for event in [flat, nested] {
            let mut watch = EndWatch::new(Dialect::Responses);
            watch.saw(&Bytes::from_static(event.as_bytes()));
            watch.saw(&Bytes::from_static(b": bye\n\n"));
            assert_eq!(watch.ending(b""), Ending::Faulted);
            let expected = Fault { kind: "server_error".to_owned(), message: "gone".to_owned() };
            assert_eq!(watch.fault(b""), Some(expected));
        }
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
