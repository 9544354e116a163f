//! What the tests of converted answers share.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::fixtures::{self, Fixture};
use luthien_wire::Dialect;
use luthien_wire::convert::{AnswerContext, StreamConverter};
use serde_json::{Map, Value, json};

/// The limit of an event in these tests.
pub(crate) const LIMIT: usize = 1 << 20;

/// A request's context, as the gateway makes it.
pub(crate) fn context(from: Dialect, to: Dialect) -> AnswerContext {
    AnswerContext {
        from,
        to,
        model: "asked-model".into(),
        // Its first 48 bits are a time.
        id: "0199c2f0a0e87000800000000000000a".into(),
        free_text_tools: Vec::new(),
        renamed_tools: Vec::new(),
        namespaced_tools: Vec::new(),
        include_usage: true,
        legacy_functions: false,
        repeated: Map::new(),
    }
}

/// Every pair of an upstream's and a client's dialect that differ.
pub(crate) fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let to = |from| Dialect::ALL.into_iter().filter(move |to| *to != from).map(move |to| (from, to));
    Dialect::ALL.into_iter().flat_map(to)
}

/// The fixtures of a dialect that are streams.
pub(crate) fn streams(from: Dialect) -> impl Iterator<Item = &'static Fixture> {
    fixtures::all(from).iter().filter(|fixture| fixture.streamed)
}

/// A stream, converted, its bytes given in pieces of `size`.
pub(crate) fn converted(context: AnswerContext, stream: &[u8], size: usize) -> (Vec<u8>, StreamConverter) {
    let mut converter = StreamConverter::new(context, LIMIT);
    let mut out = Vec::new();
    for piece in stream.chunks(size) {
        out.extend_from_slice(&converter.push(piece));
    }
    out.extend_from_slice(&converter.finish());
    (out, converter)
}

/// Chat chunks with these deltas, then a finish reason and `[DONE]`.
pub(crate) fn chat(deltas: &[Value], finish: &str) -> Vec<u8> {
    let chunk = |delta: &Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        format!("data: {}\n\n", json!({"id": "chatcmpl-1", "created": 1, "model": "m", "choices": choices}))
    };
    let mut out: String = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    out.push_str(&chunk(&json!({}), finish.into()));
    out.push_str("data: [DONE]\n\n");
    out.into_bytes()
}

/// Events that are named after their type.
pub(crate) fn messages(events: &[Value]) -> Vec<u8> {
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
    events.iter().map(event).collect::<String>().into_bytes()
}

/// A fragment of a Chat call.
pub(crate) fn call_delta(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]})
}

/// What a client reads of a stream, converted.
pub(crate) fn read(context: AnswerContext, stream: &[u8]) -> Value {
    let to = context.to;
    let (out, _) = converted(context, stream, 11);
    let read = accumulate(to, &out);
    assert!(read.is_ok(), "{read:?}\n{}", String::from_utf8_lossy(&out));
    read.unwrap_or_default()
}
