//! Writes the events of a Messages stream, keeping the upstream's bytes where only an index changed.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::stop_name;
use crate::json::{self, Step};
use crate::sse::Frame;
use crate::stream::{Atom, Kind, What};
use crate::turn::{StopReason, ToolCall};

/// What the gateway's own frames repeat of the upstream's.
#[derive(Debug)]
pub struct Encoder {
    model: String,
    id: String,
    output_tokens: u64,
}

#[derive(Deserialize)]
struct Usage {
    output_tokens: Option<u64>,
}

impl Encoder {
    /// `model` and `id` stand in a head that the upstream did not send.
    pub fn new(model: &str, id: &str) -> Self {
        Self { model: model.into(), id: id.into(), output_tokens: 0 }
    }

    pub(crate) fn learn(&mut self, atom: &Atom) {
        let path: &[Step<'_>] = match atom.what {
            What::Head => &[Step::Key("message"), Step::Key("usage")],
            What::Stop { .. } | What::Loose => &[Step::Key("usage")],
            _ => return,
        };
        let data = atom.data();
        if let Some(usage) = json::find(data, path).and_then(|span| serde_json::from_str::<Usage>(&data[span]).ok()) {
            self.output_tokens = usage.output_tokens.unwrap_or(self.output_tokens);
        }
    }

    pub(crate) fn head(&self) -> Bytes {
        let message = json!({"id": format!("msg_{}", self.id), "type": "message", "role": "assistant", "model": self.model, "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0}});
        event("message_start", &json!({"type": "message_start", "message": message}).to_string())
    }

    pub(crate) fn own_stop(&self, reason: &StopReason) -> Bytes {
        let data = json!({"type": "message_delta", "delta": {"stop_reason": stop_name(reason), "stop_sequence": null}, "usage": {"output_tokens": self.output_tokens}});
        event("message_delta", &data.to_string())
    }
}

fn event(name: &str, data: &str) -> Bytes {
    Frame::write(name, data)
}

/// The atom as the strictest reader takes it: with its `event:` line. As it came, if it has that.
pub(crate) fn strict(atom: &Atom) -> Bytes {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    if !atom.frame.event.is_empty() {
        return atom.frame.raw.clone();
    }
    match serde_json::from_str::<Named<'_>>(atom.data()) {
        Ok(named) => event(&named.kind, atom.data()),
        Err(_) => atom.frame.raw.clone(),
    }
}

pub(crate) fn block_part(atom: &Atom, from: u32, at: u32, text: Option<&str>) -> Bytes {
    let What::Block { start, .. } = &atom.what else { return strict(atom) };
    let data = atom.data();
    let mut changed: Option<String> = None;
    // Readers that index content by `index` need it, and it must be the place in what they were sent.
    let has_index = json::member(data, "index").is_some();
    if !has_index {
        changed = Some(data.replacen('{', &format!("{{\"index\":{at},"), 1));
    } else if from != at {
        changed = json::replace(data, &[Step::Key("index")], &at.to_string());
    }
    if let Some(text) = text {
        let path: &[Step<'_>] = match start {
            Some(_) => &[Step::Key("content_block"), Step::Key("text")],
            None => &[Step::Key("delta"), Step::Key("text")],
        };
        changed = json::replace(changed.as_deref().unwrap_or(data), path, &json::quote(text)).or(changed);
    }
    if let Some(Kind::Call { .. }) = start {
        let now = changed.as_deref().unwrap_or(data);
        let block = json::member(now, "content_block").map(|span| now[span].to_owned());
        if let Some(block) = block.filter(|block| is_tool_use(block) && json::member(block, "input").is_none()) {
            let with_input = block.replacen('{', "{\"input\":{},", 1);
            changed = json::replace(now, &[Step::Key("content_block")], &with_input).or(changed);
        }
    }
    match changed {
        None => strict(atom),
        Some(data) => {
            let name = match &atom.what {
                What::Block { start: Some(_), .. } => "content_block_start",
                What::Block { end: true, .. } => "content_block_stop",
                _ => "content_block_delta",
            };
            event(name, &data)
        }
    }
}

fn is_tool_use(block: &str) -> bool {
    json::member(block, "type").is_some_and(|span| &block[span] == "\"tool_use\"")
}

pub(crate) fn text_block(at: u32, text: &str) -> Bytes {
    let start = json!({"type": "content_block_start", "index": at, "content_block": {"type": "text", "text": ""}});
    [event("content_block_start", &start.to_string()), text_delta(at, text), block_end(at)].concat().into()
}

pub(crate) fn text_delta(at: u32, text: &str) -> Bytes {
    let data = json!({"type": "content_block_delta", "index": at, "delta": {"type": "text_delta", "text": text}});
    event("content_block_delta", &data.to_string())
}

pub(crate) fn block_end(at: u32) -> Bytes {
    event("content_block_stop", &json!({"type": "content_block_stop", "index": at}).to_string())
}

pub(crate) fn call_block(at: u32, call: &ToolCall) -> Bytes {
    let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
    let start = json!({"type": "content_block_start", "index": at, "content_block": block});
    let delta = json!({"type": "content_block_delta", "index": at, "delta": {"type": "input_json_delta", "partial_json": call.raw}});
    [event("content_block_start", &start.to_string()), event("content_block_delta", &delta.to_string()), block_end(at)]
        .concat()
        .into()
}

pub(crate) fn stop(atom: &Atom, reason: Option<&StopReason>) -> Bytes {
    let data = atom.data();
    let mut changed = reason.and_then(|reason| {
        json::replace(data, &[Step::Key("delta"), Step::Key("stop_reason")], &json::quote(stop_name(reason)))
    });
    // Accumulators read `usage.output_tokens` here without asking whether it is there (W-58).
    let has_usage = json::member(data, "usage").is_some();
    if !has_usage {
        let now = changed.as_deref().unwrap_or(data);
        changed = Some(now.replacen('{', "{\"usage\":{\"output_tokens\":0},", 1));
    }
    changed.map_or_else(|| strict(atom), |data| event("message_delta", &data))
}

pub(crate) fn done() -> Bytes {
    event("message_stop", r#"{"type":"message_stop"}"#)
}
