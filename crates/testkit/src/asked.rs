//! What a script sees of a request.

use std::sync::OnceLock;

use bytes::Bytes;
use luthien_wire::Dialect;
use serde::Deserialize;
use serde_json::Value;

/// A request for a turn, as it arrived.
#[derive(Debug)]
pub struct Asked {
    /// Which of this script's requests it is, from 0.
    pub number: usize,
    /// The dialect, by the path.
    pub dialect: Dialect,
    /// The headers, in order, as they came.
    pub headers: Vec<(String, String)>,
    /// The body, as it came, without the coding that `content-encoding` names.
    pub body: Bytes,
    head: Head,
    value: OnceLock<Value>,
}

/// The fields that every answer depends on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    model: String,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    background: Option<bool>,
    store: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Asked {
    /// Reads a request; an error for a body that is no JSON object.
    pub fn new(
        number: usize,
        dialect: Dialect,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<Self, serde_json::Error> {
        let head = serde_json::from_slice(&body)?;
        Ok(Self { number, dialect, headers, body, head, value: OnceLock::new() })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.head.model
    }

    /// Whether a stream is asked for.
    pub fn stream(&self) -> bool {
        self.head.stream == Some(true)
    }

    /// Whether a Chat stream is to end with a usage chunk.
    pub fn include_usage(&self) -> bool {
        self.head.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
    }

    /// Whether a response is to be worked on in the background.
    pub fn background(&self) -> bool {
        self.dialect == Dialect::Responses && self.head.background == Some(true)
    }

    /// Whether the vendor keeps the response.
    pub fn stored(&self) -> bool {
        self.dialect == Dialect::Responses && self.head.store != Some(false)
    }

    /// Whether this is asked for in `include`.
    pub fn includes(&self, what: &str) -> bool {
        self.value()["include"].as_array().is_some_and(|include| include.iter().any(|one| one == what))
    }

    /// The id of the response to this request.
    pub fn response_id(&self) -> String {
        format!("resp_Script{}", self.tag())
    }

    /// The body as a value.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_slice(&self.body).unwrap_or_default())
    }

    /// The messages (Responses: the items of the input; none where it is a string).
    pub fn messages(&self) -> &[Value] {
        let field = if self.dialect == Dialect::Responses { "input" } else { "messages" };
        self.value()[field].as_array().map_or(&[], Vec::as_slice)
    }

    /// The text of the last user message that carries no tool results; its text blocks joined by newlines.
    pub fn last_user_text(&self) -> String {
        if let Some(input) = self.input() {
            return input.to_owned();
        }
        let user = self.messages().iter().rev().find(|message| message["role"] == "user" && !has_result(message));
        user.map(|message| text(&message["content"])).unwrap_or_default()
    }

    /// Whether any message says this, or any tool result.
    pub fn says(&self, words: &str) -> bool {
        self.input().is_some_and(|input| input.contains(words))
            || self
                .messages()
                .iter()
                .any(|message| text(&message["content"]).contains(words) || text(&message["output"]).contains(words))
    }

    /// Whether the conversation ends with tool results.
    pub fn ends_with_result(&self) -> bool {
        self.messages().iter().rev().find(|message| spoken(message)).is_some_and(has_result)
    }

    /// How often tools have been run for the model: consecutive results count once.
    pub fn tool_rounds(&self) -> usize {
        let mut rounds = 0;
        let mut inside = false;
        for message in self.messages().iter().filter(|message| spoken(message)) {
            let result = has_result(message);
            rounds += usize::from(result && !inside);
            inside = result;
        }
        rounds
    }

    /// The names of the tools offered; the type where a tool has no name.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.value()["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().filter_map(tool_name).collect()
    }

    /// Whether this tool is offered.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools().contains(&tool)
    }

    /// Eight hexadecimal digits that depend on the body alone: the same question gets the same ids.
    pub fn tag(&self) -> String {
        format!("{:08x}", crc32fast::hash(&self.body))
    }

    /// The input of a Responses request where it is a string.
    fn input(&self) -> Option<&str> {
        (self.dialect == Dialect::Responses).then(|| self.value()["input"].as_str()).flatten()
    }
}

fn tool_name(tool: &Value) -> Option<&str> {
    let places = [&tool["name"], &tool["function"]["name"], &tool["custom"]["name"], &tool["type"]];
    places.into_iter().find_map(Value::as_str)
}

/// Whether it is part of what user and model say to each other.
fn spoken(message: &Value) -> bool {
    message["role"] != "system" && message["role"] != "developer"
}

fn has_result(message: &Value) -> bool {
    let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
    let item = message["type"].as_str().unwrap_or_default();
    message["role"] == "tool"
        || message["role"] == "function"
        || item.ends_with("_call_output")
        || item == "mcp_approval_response"
        || blocks.iter().any(|block| block["type"] == "tool_result")
}

fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match &block["content"] {
                Value::Null => block["text"].as_str().unwrap_or_default().to_owned(),
                inner => text(inner),
            });
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
