//! Reads a Responses stream into the response it stands for.

use std::collections::HashSet;

use luthien_wire::sse::{Frame, Splitter};
use serde_json::{Value, json};

use self::item::Item;

mod item;

/// The response that a stream stands for, or the rule that the stream breaks.
///
/// Accepts only what every official SDK and Codex read rightly: an `event:` line like `data.type` on each event, numbers
/// that go up by one (a `keepalive` may repeat the last), `response.created` first, items one at a time with indices
/// contiguous from 0, each added empty, said in parts and done, with deltas, done events, the item and the final response
/// agreeing, and one terminal event, last. Unknown events are passed over.
pub fn accumulate_responses(bytes: &[u8]) -> Result<Value, String> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut reader = Reader::default();
    while let Some(frame) = splitter.next_frame().map_err(|error| error.to_string())? {
        reader.frame(&frame)?;
    }
    if splitter.finish().is_some() {
        return Err("W-32: the last event has no blank line after it".to_owned());
    }
    reader.ended.ok_or_else(|| "W-54: no terminal event".to_owned())
}

#[derive(Default)]
struct Reader {
    /// The number of the last event.
    number: Option<u64>,
    id: Option<String>,
    /// The lifecycle events before the first item.
    seen: HashSet<String>,
    output: Vec<Value>,
    /// By what SDKs tell items apart.
    identities: HashSet<String>,
    open: Option<Item>,
    ended: Option<Value>,
}

impl Reader {
    fn frame(&mut self, frame: &Frame) -> Result<(), String> {
        let Some(data) = &frame.data else {
            return if frame.event.is_empty() { Ok(()) } else { Err("W-32: an event without data".to_owned()) };
        };
        let data: Value = serde_json::from_slice(data).map_err(|error| format!("W-32: data is not JSON: {error}"))?;
        let kind = data["type"].as_str().ok_or("W-32: data without a type")?;
        if frame.event != kind.as_bytes() {
            let event = String::from_utf8_lossy(&frame.event);
            return Err(format!("W-32: the event line says '{event}', data.type '{kind}'"));
        }
        if self.ended.is_some() {
            return Err(format!("W-32: {kind} after the terminal event"));
        }
        self.count(kind, &data)?;
        match kind {
            "keepalive" => return Ok(()),
            "error" => return Err(format!("the stream fails: {}", data["message"])),
            "response.created" if self.id.is_none() => return self.created(&data["response"]),
            "response.created" => return Err("W-32: response.created twice".to_owned()),
            _ if self.id.is_none() => return Err(format!("W-32: {kind} before response.created")),
            _ => {}
        }
        match kind {
            "response.queued" | "response.in_progress" => self.state(kind, &data["response"]),
            "response.output_item.added" => self.added(&data),
            "response.output_item.done" => self.done(&data),
            "response.completed" | "response.incomplete" | "response.failed" => self.end(kind, &data["response"]),
            _ => self.inside(kind, &data),
        }
    }

    fn count(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        let number = data["sequence_number"].as_u64().ok_or_else(|| format!("W-32: {kind} without a number"))?;
        match self.number {
            Some(last) if number == last && kind == "keepalive" => return Ok(()),
            Some(last) if number != last + 1 => return Err(format!("W-32: {kind} has number {number} after {last}")),
            _ => {}
        }
        self.number = Some(number);
        Ok(())
    }

    fn created(&mut self, response: &Value) -> Result<(), String> {
        for field in ["id", "model"] {
            if !response[field].is_string() {
                return Err(format!("W-32: response.created without {field}"));
            }
        }
        if response["object"] != "response" || response["output"] != json!([]) {
            return Err("W-32: response.created is no response with an empty output".to_owned());
        }
        self.id = response["id"].as_str().map(str::to_owned);
        Ok(())
    }

    fn state(&mut self, kind: &str, response: &Value) -> Result<(), String> {
        self.same(kind, response)?;
        let late = self.open.is_some() || !self.output.is_empty();
        if late || response["output"] != json!([]) || !self.seen.insert(kind.to_owned()) {
            return Err(format!("W-32: {kind} twice, late or with output"));
        }
        Ok(())
    }

    fn added(&mut self, data: &Value) -> Result<(), String> {
        if self.open.is_some() {
            return Err("W-32: an item starts while another is open".to_owned());
        }
        if data["output_index"] != self.output.len() {
            return Err(format!("W-32: output index {} where {} follows", data["output_index"], self.output.len()));
        }
        let item = Item::new(&data["item"])?;
        if !self.identities.insert(item.identity()) {
            return Err(format!("W-32: {} comes twice", item.identity()));
        }
        self.open = Some(item);
        Ok(())
    }

    fn done(&mut self, data: &Value) -> Result<(), String> {
        let item = self.open.take().ok_or("W-32: an item is done where none is open")?;
        if data["output_index"] != self.output.len() {
            return Err(format!("W-32: item {} is done, which is not open", data["output_index"]));
        }
        item.check(&data["item"])?;
        self.output.push(data["item"].clone());
        Ok(())
    }

    /// An event within an item, or one that belongs to none.
    fn inside(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        if data["output_index"].is_null() {
            return if item::is_known(kind) { Err(format!("W-32: {kind} without output_index")) } else { Ok(()) };
        }
        let number = self.output.len();
        let Some(item) = self.open.as_mut().filter(|_| data["output_index"] == number) else {
            return Err(format!("W-32: {kind} for item {}, which is not open", data["output_index"]));
        };
        item.event(kind, data)
    }

    fn end(&mut self, kind: &str, response: &Value) -> Result<(), String> {
        self.same(kind, response)?;
        let status = kind.trim_start_matches("response.");
        if response["status"] != status {
            return Err(format!("W-32: {kind} with status {}", response["status"]));
        }
        if status == "failed" {
            return Err(format!("the stream fails: {}", response["error"]));
        }
        if self.open.is_some() {
            return Err(format!("W-32: {kind} while an item is open"));
        }
        if response["output"] != Value::from(self.output.clone()) {
            return Err(format!("W-32: {kind} repeats other items than were done"));
        }
        if status == "incomplete" && !response["incomplete_details"]["reason"].is_string() {
            return Err("W-32: incomplete without a reason".to_owned());
        }
        usage(&response["usage"])?;
        self.ended = Some(response.clone());
        Ok(())
    }

    fn same(&self, kind: &str, response: &Value) -> Result<(), String> {
        if response["id"].as_str() == self.id.as_deref() { Ok(()) } else { Err(format!("W-32: {kind} has another id")) }
    }
}

/// Codex takes usage only where these numbers are there.
fn usage(usage: &Value) -> Result<(), String> {
    let places = [
        ("/input_tokens", ""),
        ("/output_tokens", ""),
        ("/total_tokens", ""),
        ("/input_tokens_details/cached_tokens", "/input_tokens_details"),
        ("/output_tokens_details/reasoning_tokens", "/output_tokens_details"),
    ];
    for (number, parent) in places {
        let there = usage.pointer(parent).is_some_and(|parent| !parent.is_null());
        if there && !usage.pointer(number).is_some_and(Value::is_u64) {
            return Err(format!("W-32: usage without {number}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
