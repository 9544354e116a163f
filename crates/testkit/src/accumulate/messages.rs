//! Reads an Anthropic Messages stream into the message it stands for.

use luthien_wire::sse::{Frame, Splitter};
use serde_json::{Value, json};

/// The message that a stream stands for, or the rule that the stream breaks.
///
/// Accepts only what every official SDK reads rightly: an `event:` line like `data.type` on each event, `message_start`
/// first, blocks one at a time with indices contiguous from 0, each stopped, deltas that fit their block, text never
/// empty and never after a tool call, `message_delta` with usage, `message_stop` last, a stop reason that fits. Tool
/// input that is not JSON becomes a string. Unknown events and deltas are passed over.
pub fn accumulate_messages(bytes: &[u8]) -> Result<Value, String> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut reader = Reader::default();
    while let Some(frame) = splitter.next_frame().map_err(|error| error.to_string())? {
        reader.frame(&frame)?;
    }
    if splitter.finish().is_some() {
        return Err("W-24: the last event has no blank line after it".to_owned());
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    message: Option<Value>,
    content: Vec<Value>,
    open: Option<Block>,
    called: bool,
    ended: bool,
    stopped: bool,
}

/// The block under construction.
struct Block {
    value: Value,
    kind: String,
    input: String,
}

impl Reader {
    fn frame(&mut self, frame: &Frame) -> Result<(), String> {
        let Some(data) = &frame.data else {
            return if frame.event.is_empty() { Ok(()) } else { Err("W-24: an event without data".to_owned()) };
        };
        let data: Value = serde_json::from_slice(data).map_err(|error| format!("W-24: data is not JSON: {error}"))?;
        let kind = data["type"].as_str().ok_or("W-24: data without a type")?;
        if frame.event != kind.as_bytes() {
            let event = String::from_utf8_lossy(&frame.event);
            return Err(format!("W-24: the event line says '{event}', data.type '{kind}'"));
        }
        if self.stopped {
            return Err(format!("W-20: {kind} after message_stop"));
        }
        match kind {
            "ping" => return Ok(()),
            "error" => return Err(format!("the stream fails: {}", data["error"])),
            "message_start" if self.message.is_none() => return self.start(&data["message"]),
            "message_start" => return Err("W-20: message_start twice".to_owned()),
            _ if self.message.is_none() => return Err(format!("W-20: {kind} before message_start")),
            _ => {}
        }
        match kind {
            "content_block_start" => self.block_start(&data),
            "content_block_delta" => self.delta(&data),
            "content_block_stop" => self.block_stop(&data),
            "message_delta" => self.message_delta(&data),
            "message_stop" => self.stop(),
            _ => Ok(()),
        }
    }

    fn start(&mut self, message: &Value) -> Result<(), String> {
        for field in ["id", "model"] {
            if !message[field].is_string() {
                return Err(format!("W-20: message_start without {field}"));
            }
        }
        if message["role"] != "assistant" || message["content"] != json!([]) || !message["usage"].is_object() {
            return Err("W-20: message_start without role, empty content or usage".to_owned());
        }
        self.message = Some(message.clone());
        Ok(())
    }

    fn block_start(&mut self, data: &Value) -> Result<(), String> {
        if self.open.is_some() {
            return Err("W-20: a block starts while another is open".to_owned());
        }
        if self.ended {
            return Err("W-21: a block starts after message_delta".to_owned());
        }
        if data["index"] != self.content.len() {
            return Err(format!("W-20: block index {} where {} follows", data["index"], self.content.len()));
        }
        let value = data["content_block"].clone();
        let kind = value["type"].as_str().ok_or("W-20: a block without a type")?.to_owned();
        if kind == "text" && self.called {
            return Err("W-22: a text block after a tool call".to_owned());
        }
        if is_call(&kind) && !(value["id"].is_string() && value["name"].is_string() && value["input"].is_object()) {
            return Err("W-20: a tool call starts without id, name or input".to_owned());
        }
        self.called |= kind == "tool_use";
        self.open = Some(Block { value, kind, input: String::new() });
        Ok(())
    }

    fn delta(&mut self, data: &Value) -> Result<(), String> {
        let number = self.content.len();
        let Some(block) = self.open.as_mut().filter(|_| data["index"] == number) else {
            return Err(format!("W-20: a delta for block {}, which is not open", data["index"]));
        };
        let delta = &data["delta"];
        let kind = delta["type"].as_str().ok_or("W-20: a delta without a type")?;
        let fits = match kind {
            "text_delta" | "citations_delta" => block.kind == "text",
            "thinking_delta" | "signature_delta" => block.kind == "thinking",
            "input_json_delta" => is_call(&block.kind),
            "compaction_delta" => block.kind == "compaction",
            _ => true,
        };
        if !fits {
            return Err(format!("W-20: {kind} in a block of type {}", block.kind));
        }
        let text = |field: &str| {
            delta[field].as_str().ok_or_else(|| format!("W-20: {kind} without {field}")).map(ToOwned::to_owned)
        };
        match kind {
            "text_delta" => append(&mut block.value["text"], &text("text")?),
            "thinking_delta" => append(&mut block.value["thinking"], &text("thinking")?),
            "signature_delta" => block.value["signature"] = text("signature")?.into(),
            "input_json_delta" => block.input.push_str(&text("partial_json")?),
            "citations_delta" => push(&mut block.value["citations"], delta["citation"].clone()),
            "compaction_delta" => block.value["content"] = delta["content"].clone(),
            _ => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, data: &Value) -> Result<(), String> {
        if data["index"] != self.content.len() {
            return Err(format!("W-20: a stop for block {}, which is not open", data["index"]));
        }
        let mut block = self.open.take().ok_or("W-20: a stop where no block is open")?;
        if block.kind == "text" && block.value["text"] == "" {
            return Err("W-23: an empty text block".to_owned());
        }
        if !block.input.is_empty() {
            block.value["input"] = serde_json::from_str(&block.input).unwrap_or(Value::String(block.input));
        }
        self.content.push(block.value);
        Ok(())
    }

    fn message_delta(&mut self, data: &Value) -> Result<(), String> {
        if self.open.is_some() {
            return Err("W-21: message_delta while a block is open".to_owned());
        }
        if !data["usage"]["output_tokens"].is_u64() {
            return Err("W-21: message_delta without usage.output_tokens".to_owned());
        }
        if data["delta"].get("stop_reason").is_none() {
            return Err("W-21: message_delta without stop_reason".to_owned());
        }
        self.ended = true;
        let Some(message) = &mut self.message else { return Ok(()) };
        merge(message, &data["delta"]);
        merge(&mut message["usage"], &data["usage"]);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), String> {
        if !self.ended {
            return Err("W-21: message_stop without message_delta".to_owned());
        }
        self.stopped = true;
        Ok(())
    }

    fn finish(self) -> Result<Value, String> {
        let mut message = self.message.ok_or("W-20: no message_start")?;
        if !self.stopped {
            return Err("W-20: no message_stop".to_owned());
        }
        match message["stop_reason"].as_str() {
            Some("tool_use") if !self.called => return Err("W-05: stop reason tool_use without a tool call".to_owned()),
            Some("end_turn") if self.called => return Err("W-05: stop reason end_turn after a tool call".to_owned()),
            None => return Err("W-21: no stop reason".to_owned()),
            _ => {}
        }
        message["content"] = self.content.into();
        Ok(message)
    }
}

fn is_call(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
}

fn append(field: &mut Value, text: &str) {
    *field = format!("{}{text}", field.as_str().unwrap_or_default()).into();
}

fn push(field: &mut Value, item: Value) {
    match field {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

/// Takes over all that is not null.
fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        into[key.as_str()] = value.clone();
    }
}

#[cfg(test)]
mod tests;
