//! A whole Responses answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::item::{Content, Item};
use super::own;
use crate::json::{self, Step};
use crate::stream::{BlockBuilder, Kind, Piece};
use crate::turn::{Block, BlockId, StopReason, ToolForm, Unreadable};
use crate::whole::{Choice, Edit, Out, Part, Whole};

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

pub(crate) fn decode(text: &str) -> Result<Whole, Unreadable> {
    let response: Response<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
    let status = response.status.as_deref().unwrap_or("completed");
    let output = match response.output {
        Some(output) => output,
        // Not begun, or given up: there is no answer yet.
        None if matches!(status, "queued" | "in_progress" | "cancelled" | "failed") => Vec::new(),
        None => return Err(Unreadable::Contradiction),
    };
    let cut = response.incomplete_details.and_then(|why| why.reason);
    let last = output.len().wrapping_sub(1);
    let mut parts = Vec::with_capacity(output.len());
    let mut calls = false;
    for (at, raw) in output.iter().enumerate() {
        let item = Item::read(raw.get())?;
        let kind = if item.is_repeated() { Kind::Opaque("message".into()) } else { item.block() };
        calls |= matches!(kind, Kind::Call { form: ToolForm::Client | ToolForm::Unknown, .. });
        let mut builder = BlockBuilder::new(kind.clone());
        builder.push(&match &kind {
            Kind::Text => Piece::Text(item.contents()?.iter().map(Content::said).collect()),
            Kind::Thinking => Piece::Thinking(item.thoughts()),
            Kind::Call { form: ToolForm::Client | ToolForm::Server, .. } => {
                Piece::Arguments(item.arguments(raw.get())?)
            }
            Kind::Call { .. } | Kind::Result { .. } | Kind::Opaque(_) => Piece::Input(raw.get().to_owned()),
        });
        let mut block = builder.finish(false);
        if let Block::ToolCall(call) = &mut block
            && at == last
            && cut.as_deref() == Some("max_output_tokens")
        {
            call.arguments = Err(Unreadable::CutOff);
        }
        let id = BlockId { choice: 0, block: u32::try_from(at).unwrap_or(u32::MAX) };
        parts.push(Part { id, kind, block, span: json::span_in(text, raw.get()) });
    }
    let stop = match (status, cut) {
        ("incomplete", Some(reason)) if reason == "max_output_tokens" => Some(StopReason::MaxTokens),
        ("incomplete", reason) => Some(StopReason::Other(reason.unwrap_or("incomplete".into()).into_owned())),
        ("completed", _) if calls => Some(StopReason::ToolUse),
        ("completed", _) => Some(StopReason::End),
        _ => None,
    };
    Ok(Whole { choices: vec![Choice { position: 0, parts, stop }] })
}

pub(crate) fn rewrite(body: &str, whole: &Whole, edits: &[Option<Edit>]) -> Option<String> {
    let (Some(choice), Some(Some(edit))) = (whole.choices.first(), edits.first()) else { return Some(body.into()) };
    let response: Response<'_> = serde_json::from_str(body).ok()?;
    let id = response.id.unwrap_or_default();
    let id = id.strip_prefix("resp_").unwrap_or(&id);
    let items: Option<Vec<Cow<'_, str>>> = edit
        .blocks
        .iter()
        .enumerate()
        .map(|(at, out)| match out {
            Out::Keep(part) => choice.parts.get(*part).map(|part| Cow::Borrowed(&body[part.span.clone()])),
            Out::Text(text) => Some(Cow::Owned(message(&format!("msg_{id}_{at}"), text).to_string())),
            Out::Call(call) => Some(Cow::Owned(Value::Object(own::call(&format!("fc_{id}_{at}"), call)).to_string())),
        })
        .collect();
    let output = format!("[{}]", items?.join(","));
    let mut out = json::set(body, &[], "output", &output)?;
    // Some servers repeat the texts beside the items.
    if json::find(&out, &[Step::Key("output_text")]).is_some() {
        out = json::set(&out, &[], "output_text", &json::quote(&own::texts(&output)))?;
    }
    Some(out)
}

fn message(id: &str, text: &str) -> Value {
    let mut message = own::message(id);
    message.insert("content".into(), json!([own::part(false, text)]));
    Value::Object(message)
}

pub(crate) fn synthetic(model: &str, id: &str, text: &str) -> String {
    let mut response = own::response(model, id);
    response.insert("status".into(), "completed".into());
    response.insert("output".into(), json!([message(&format!("msg_{id}_0"), text)]));
    response.insert(
        "usage".into(),
        json!({
            "input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0,
        }),
    );
    Value::Object(response).to_string()
}
