//! A whole Messages answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::decode::ContentBlock;
use super::{stop_name, stop_reason};
use crate::json::{self, Step};
use crate::stream::BlockBuilder;
use crate::turn::{Block, BlockId, StopReason, Unreadable};
use crate::whole::{Choice, Edit, Out, Part, Whole};

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

pub(crate) fn decode(text: &str) -> Result<Whole, Unreadable> {
    let message: Message<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
    let stop = message.stop_reason.as_deref().map(stop_reason);
    let last = message.content.len().wrapping_sub(1);
    let mut parts = Vec::with_capacity(message.content.len());
    for (at, raw) in message.content.iter().enumerate() {
        let read: ContentBlock<'_> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
        let kind = read.kind();
        let mut builder = BlockBuilder::new(kind.clone());
        builder.push(&read.piece(&kind, raw.get()));
        let mut block = builder.finish(false);
        if let Block::ToolCall(call) = &mut block
            && at == last
            && stop == Some(StopReason::MaxTokens)
        {
            call.arguments = Err(Unreadable::CutOff);
        }
        let id = BlockId { choice: 0, block: u32::try_from(at).unwrap_or(u32::MAX) };
        parts.push(Part { id, kind, block, span: json::span_in(text, raw.get()) });
    }
    Ok(Whole { choices: vec![Choice { position: 0, parts, stop }] })
}

pub(crate) fn rewrite(body: &str, whole: &Whole, edits: &[Option<Edit>]) -> Option<String> {
    let (Some(choice), Some(Some(edit))) = (whole.choices.first(), edits.first()) else { return Some(body.into()) };
    let blocks: Option<Vec<Cow<'_, str>>> = edit
        .blocks
        .iter()
        .map(|out| match out {
            Out::Keep(part) => choice.parts.get(*part).map(|part| Cow::Borrowed(&body[part.span.clone()])),
            Out::Changed(part, text) => {
                let block = &body[choice.parts.get(*part)?.span.clone()];
                json::set(block, &[], "text", &json::quote(text)).map(Cow::Owned)
            }
            Out::Text(text) => Some(Cow::Owned(json!({"type": "text", "text": text}).to_string())),
            Out::Call(call) => {
                let input = call.arguments.as_ref().ok()?;
                let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input});
                Some(Cow::Owned(block.to_string()))
            }
        })
        .collect();
    let content = format!("[{}]", blocks?.join(","));
    let mut out = json::replace(body, &[Step::Key("content")], &content)?;
    if let Some(reason) = &edit.stop {
        out = json::replace(&out, &[Step::Key("stop_reason")], &json::quote(stop_name(reason)))?;
    }
    Some(out)
}

pub(crate) fn synthetic(model: &str, id: &str, text: &str) -> String {
    json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    })
    .to_string()
}
