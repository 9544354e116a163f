//! Reads a Chat Completions stream into the completion it stands for.

use std::collections::BTreeMap;

use luthien_wire::sse::Splitter;
use serde_json::{Map, Value, json};

/// The completion that a stream stands for, or the rule that the stream breaks.
///
/// Accepts only what every official SDK reads rightly: one id, created and model, the role first, tool calls by
/// contiguous index with id and name in the first fragment alone, one finish reason for each choice in a chunk that says
/// nothing else and nothing after it, `[DONE]` last. Chunks without choices and id, as Azure sends first, are passed over.
pub fn accumulate_chat(bytes: &[u8]) -> Result<Value, String> {
    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(bytes);
    let mut reader = Reader::default();
    while let Some(frame) = splitter.next_frame().map_err(|error| error.to_string())? {
        if let Some(data) = frame.data {
            reader.data(&data)?;
        }
    }
    if splitter.finish().is_some() {
        return Err("W-30: the last chunk has no blank line after it".to_owned());
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    head: Option<[Value; 3]>,
    choices: BTreeMap<u64, Choice>,
    usage: Value,
    done: bool,
}

#[derive(Default)]
struct Choice {
    message: Map<String, Value>,
    calls: Vec<Value>,
    logprobs: Value,
    finish: Option<String>,
}

impl Reader {
    fn data(&mut self, data: &[u8]) -> Result<(), String> {
        if self.done {
            return Err("W-30: data after [DONE]".to_owned());
        }
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_slice(data).map_err(|error| format!("W-30: data is not JSON: {error}"))?;
        if !chunk["error"].is_null() {
            return Err(format!("the stream fails: {}", chunk["error"]));
        }
        let choices = chunk["choices"].as_array().ok_or("W-30: a chunk without choices")?;
        if !(choices.is_empty() && chunk["id"] == "") {
            self.head(&chunk)?;
        }
        for choice in choices {
            let index = choice["index"].as_u64().ok_or("W-30: a choice without an index")?;
            self.choices.entry(index).or_default().add(choice)?;
        }
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        Ok(())
    }

    fn head(&mut self, chunk: &Value) -> Result<(), String> {
        let head = ["id", "created", "model"].map(|field| chunk[field].clone());
        if !(head[0].is_string() && head[1].is_u64() && head[2].is_string()) {
            return Err("W-30: a chunk without id, created or model".to_owned());
        }
        match &self.head {
            Some(first) if *first != head => Err("W-30: id, created or model change between chunks".to_owned()),
            _ => {
                self.head = Some(head);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Value, String> {
        if !self.done {
            return Err("W-30: no [DONE]".to_owned());
        }
        let [id, created, model] = self.head.ok_or("W-30: no chunk")?;
        let mut choices = Vec::new();
        for (index, choice) in self.choices {
            choices.push(choice.finish(index)?);
        }
        let mut out =
            json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": choices});
        if self.usage.is_object() {
            out["usage"] = self.usage;
        }
        Ok(out)
    }
}

impl Choice {
    fn add(&mut self, choice: &Value) -> Result<(), String> {
        if self.finish.is_some() {
            return Err("W-30: a choice goes on after its finish reason".to_owned());
        }
        let delta = choice["delta"].as_object().ok_or("W-30: a choice without a delta")?;
        if let Some(reason) = choice["finish_reason"].as_str() {
            let says = |value: &Value| !(value.is_null() || value == "" || value == &json!([]));
            if delta.iter().any(|(key, value)| key != "role" && says(value)) {
                return Err("W-30: a finish reason in a chunk that says something".to_owned());
            }
            self.finish = Some(reason.to_owned());
        }
        if self.message.is_empty() && delta.get("role").and_then(Value::as_str) != Some("assistant") {
            return Err("W-30: the first chunk of a choice has no role".to_owned());
        }
        for (key, value) in delta {
            match key.as_str() {
                "role" if value.is_null() || value == "assistant" => {
                    self.message.insert("role".to_owned(), "assistant".into());
                }
                "role" => return Err(format!("W-30: the role becomes {value}")),
                "tool_calls" => self.calls(value)?,
                "function_call" => {
                    let call = self.message.entry(key).or_insert_with(|| json!({}));
                    fragment(call, value, &["name"], "arguments")?;
                }
                _ => join(self.message.entry(key).or_insert(Value::Null), value),
            }
        }
        join(&mut self.logprobs, &choice["logprobs"]);
        Ok(())
    }

    fn calls(&mut self, fragments: &Value) -> Result<(), String> {
        for piece in fragments.as_array().into_iter().flatten() {
            let index = piece["index"].as_u64().ok_or("W-31: a tool call without an index")?;
            let count = self.calls.len() as u64;
            if index > count {
                return Err(format!("W-31: tool call index {index} where {count} follows"));
            }
            if index == count {
                self.calls.push(first(piece)?);
                continue;
            }
            let call = usize::try_from(index).ok().and_then(|index| self.calls.get_mut(index));
            let Some(call) = call else { continue };
            if piece["id"].as_str().is_some_and(|id| !id.is_empty()) {
                return Err("W-31: a tool call's id comes twice".to_owned());
            }
            for (kind, text) in [("function", "arguments"), ("custom", "input")] {
                if piece[kind].is_object() {
                    fragment(&mut call[kind], &piece[kind], &["name"], text)?;
                }
            }
        }
        Ok(())
    }

    fn finish(self, index: u64) -> Result<Value, String> {
        let reason = self.finish.ok_or_else(|| format!("W-30: choice {index} has no finish reason"))?;
        let called = !self.calls.is_empty();
        if (reason == "tool_calls" && !called) || (reason == "stop" && called) {
            return Err(format!("W-05: finish reason {reason} with {} tool calls", self.calls.len()));
        }
        let mut message = self.message;
        if called {
            message.insert("tool_calls".to_owned(), self.calls.into());
        }
        Ok(json!({"index": index, "message": message, "logprobs": self.logprobs, "finish_reason": reason}))
    }
}

/// The first fragment of a tool call, without its index.
fn first(piece: &Value) -> Result<Value, String> {
    let kind = if piece["custom"].is_object() { "custom" } else { "function" };
    let named = piece[kind]["name"].as_str().is_some_and(|name| !name.is_empty());
    if !named || piece["id"].as_str().is_none_or(str::is_empty) {
        return Err("W-31: a tool call starts without id or name".to_owned());
    }
    let mut call = piece.clone();
    if let Some(fields) = call.as_object_mut() {
        fields.shift_remove("index");
    }
    Ok(call)
}

/// Adds a fragment of a call: the named fields must come once, the text is joined.
fn fragment(call: &mut Value, piece: &Value, once: &[&str], text: &str) -> Result<(), String> {
    for field in once {
        if piece[*field].as_str().is_some_and(|value| !value.is_empty()) {
            if !call[*field].is_null() {
                return Err(format!("W-31: a tool call's {field} comes twice"));
            }
            call[*field] = piece[*field].clone();
        }
    }
    join(&mut call[text], &piece[text]);
    Ok(())
}

/// Joins strings and lists, goes into objects, and takes anything else as it is.
fn join(into: &mut Value, more: &Value) {
    match (into, more) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (Value::Array(items), Value::Array(more)) => items.extend(more.iter().cloned()),
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                join(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

#[cfg(test)]
mod tests;
