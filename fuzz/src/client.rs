//! A client: reads event streams and whole answers by other code than the gateway's, and says which calls it would run.

use luthien_wire::Dialect;
use luthien_wire::sse::Frame;
use serde_json::Value;

/// An event as the standard has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty where it has none.
    pub name: Vec<u8>,
    /// Its data.
    pub data: Vec<u8>,
}

impl Event {
    /// The event of a frame, if it is one.
    pub fn of(frame: &Frame) -> Option<Self> {
        Some(Self { name: frame.event.to_vec(), data: frame.data.as_ref()?.to_vec() })
    }
}

/// The events of a stream, line by line, and the one that its end cuts off.
pub fn events(input: &[u8]) -> (Vec<Event>, Option<Event>) {
    let mut out = Vec::new();
    let (mut name, mut data): (Vec<u8>, Option<Vec<u8>>) = (Vec::new(), None);
    // Some readers take a byte order mark away in front of the stream alone, some in front of every chunk: here in front of
    // every event.
    let (mut first, mut has_line) = (true, false);
    for (number, whole) in lines(input).into_iter().enumerate() {
        let line = whole.strip_prefix(b"\xef\xbb\xbf").filter(|_| first).unwrap_or(whole);
        first = line.is_empty() && has_line;
        has_line = !line.is_empty() || (!has_line && number > 0 && !whole.is_empty());
        if line.is_empty() {
            let event = std::mem::take(&mut name);
            out.extend(data.take().map(|data| Event { name: event, data }));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => name = value.to_vec(),
            b"data" => match &mut data {
                None => data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            _ => {}
        }
    }
    (out, data.map(|data| Event { name, data }))
}

/// The lines, ended by LF, CR or CRLF. What follows the last end is a line too, unless it is empty.
fn lines(input: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        out.push(&rest[..end]);
        let after = &rest[end..];
        rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
    }
    out
}

/// The dialect that an answer looks like.
pub fn dialect(answer: &[u8]) -> Dialect {
    let has = |word: &[u8]| answer.windows(word.len()).any(|window| window == word);
    match (has(b"\"choices\""), has(b"\"response.") || has(b"\"object\":\"response\"")) {
        (true, _) => Dialect::Chat,
        (false, true) => Dialect::Responses,
        (false, false) => Dialect::Messages,
    }
}

/// A client took a call, or a part of one: where it stood, and its arguments as far as they stood there.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// The place.
    pub place: &'static str,
    /// The arguments, decoded; empty where there are none.
    pub arguments: String,
}

/// All that a client takes for a call from a stream. It goes by the data alone, as some do.
pub fn calls(dialect: Dialect, stream: &[u8]) -> Vec<Taken> {
    let (events, _) = events(stream);
    let mut out = Vec::new();
    for event in events {
        let Ok(data) = serde_json::from_slice::<Value>(&event.data) else { continue };
        match dialect {
            Dialect::Messages => messages(&data, &mut out),
            Dialect::Chat => chat(&data, &mut out),
            Dialect::Responses => responses(&data, &mut out),
        }
    }
    out
}

/// All that a client takes for a call from a whole answer.
pub fn whole_calls(dialect: Dialect, body: &[u8]) -> Vec<Taken> {
    let mut out = Vec::new();
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return out };
    match dialect {
        Dialect::Messages => list(&body["content"]).for_each(|block| messages_block(block, &mut out)),
        Dialect::Chat => list(&body["choices"]).for_each(|choice| chat_said(&choice["message"], &mut out)),
        Dialect::Responses => list(&body["output"]).for_each(|item| responses_item(item, &mut out)),
    }
    out
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn take(out: &mut Vec<Taken>, place: &'static str, arguments: &Value) {
    let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    out.push(Taken { place, arguments });
}

fn messages(data: &Value, out: &mut Vec<Taken>) {
    match data["type"].as_str() {
        Some("message_start") => list(&data["message"]["content"]).for_each(|block| messages_block(block, out)),
        Some("content_block_start") => messages_block(&data["content_block"], out),
        Some("content_block_delta") if data["delta"]["type"] == "input_json_delta" => {
            take(out, "input_json_delta", &data["delta"]["partial_json"]);
        }
        _ => {}
    }
}

fn messages_block(block: &Value, out: &mut Vec<Taken>) {
    if let Some("tool_use" | "server_tool_use" | "mcp_tool_use") = block["type"].as_str() {
        take(out, "content_block", &block["input"]);
    }
}

fn chat(data: &Value, out: &mut Vec<Taken>) {
    list(&data["choices"]).for_each(|choice| {
        chat_said(&choice["delta"], out);
        chat_said(&choice["message"], out);
    });
}

fn chat_said(said: &Value, out: &mut Vec<Taken>) {
    for call in list(&said["tool_calls"]) {
        let arguments =
            if call["custom"].is_object() { &call["custom"]["input"] } else { &call["function"]["arguments"] };
        take(out, "tool_calls", arguments);
    }
    if said["function_call"].is_object() {
        take(out, "function_call", &said["function_call"]["arguments"]);
    }
}

fn responses(data: &Value, out: &mut Vec<Taken>) {
    match data["type"].as_str() {
        Some("response.output_item.added" | "response.output_item.done") => responses_item(&data["item"], out),
        Some("response.function_call_arguments.delta" | "response.custom_tool_call_input.delta") => {
            take(out, "delta", &data["delta"]);
        }
        Some("response.function_call_arguments.done") => take(out, "done", &data["arguments"]),
        Some("response.custom_tool_call_input.done") => take(out, "done", &data["input"]),
        Some(kind) if kind.starts_with("response.") => {
            list(&data["response"]["output"]).for_each(|item| responses_item(item, out))
        }
        _ => {}
    }
}

fn responses_item(item: &Value, out: &mut Vec<Taken>) {
    match item["type"].as_str() {
        Some("function_call" | "mcp_call") => take(out, "item", &item["arguments"]),
        Some("custom_tool_call") => take(out, "item", &item["input"]),
        Some("local_shell_call" | "shell_call" | "apply_patch_call" | "computer_call") => take(out, "item", item),
        _ => {}
    }
}
