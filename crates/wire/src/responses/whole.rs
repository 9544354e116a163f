//! A whole Responses answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::item::Item;
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
        let id = BlockId { choice: 0, block: u32::try_from(at).unwrap_or(u32::MAX) };
        let span = json::span_in(text, raw.get());
        if kind == Kind::Text {
            let contents = item.contents()?.into_iter().zip(item.content_parts()?);
            let texts = contents.map(|(content, raw)| Part {
                id,
                kind: Kind::Text,
                block: Block::Text(content.said().to_owned()),
                span: json::span_in(text, raw.get()),
            });
            let before = parts.len();
            parts.extend(texts);
            if parts.len() == before {
                // Nothing in it, and yet it is to stay.
                let block = Block::Opaque { kind: "message".into(), raw: raw.get().to_owned() };
                parts.push(Part { id, kind: Kind::Opaque("message".into()), block, span });
            }
            continue;
        }
        let mut builder = BlockBuilder::new(kind.clone());
        builder.push(&match &kind {
            Kind::Thinking => Piece::Thinking(item.thoughts()),
            Kind::Call { form: ToolForm::Client | ToolForm::Server, .. } => {
                Piece::Arguments(item.arguments(raw.get())?)
            }
            _ => Piece::Input(raw.get().to_owned()),
        });
        let mut block = builder.finish(false);
        if let Block::ToolCall(call) = &mut block
            && at == last
            && cut.as_deref() == Some("max_output_tokens")
        {
            call.arguments = Err(Unreadable::CutOff);
        }
        parts.push(Part { id, kind, block, span });
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
    let items = items(body, choice, &edit.blocks, id)?;
    let output = format!("[{}]", items.join(","));
    let mut out = json::set(body, &[], "output", &output)?;
    // Some servers repeat the texts beside the items.
    if json::find(&out, &[Step::Key("output_text")]).is_some() {
        out = json::set(&out, &[], "output_text", &json::quote(&own::texts(&output)))?;
    }
    Some(out)
}

/// The items of an edited output. Texts of one message that still stand together stay one message.
fn items<'a>(body: &'a str, choice: &Choice, blocks: &[Out], id: &str) -> Option<Vec<Cow<'a, str>>> {
    let item_of = |out: &Out| match out {
        Out::Keep(part) | Out::Changed(part, _) => choice.parts.get(*part).map(|part| part.id.block),
        Out::Text(_) | Out::Call(_) => None,
    };
    let mut items: Vec<Cow<'a, str>> = Vec::with_capacity(blocks.len());
    let mut rest = blocks;
    while let Some(first) = rest.first() {
        let (item, at) = (item_of(first), items.len());
        let together = rest.iter().take_while(|out| item.is_some() && item_of(out) == item).count().max(1);
        let (group, after) = rest.split_at(together);
        rest = after;
        items.push(match first {
            Out::Text(text) => message(&format!("msg_{id}_own{at}"), text).to_string().into(),
            Out::Call(call) => Value::Object(own::call(&format!("fc_{id}_own{at}"), call)).to_string().into(),
            Out::Keep(_) | Out::Changed(..) => kept(body, choice, item?, group)?,
        });
    }
    Some(items)
}

/// The upstream's item with what is left of its texts.
fn kept<'a>(body: &'a str, choice: &Choice, item: u32, group: &[Out]) -> Option<Cow<'a, str>> {
    let span = json::find(body, &[Step::Key("output"), Step::Index(usize::try_from(item).ok()?)])?;
    let all = choice.parts.iter().filter(|part| part.id.block == item).count();
    if group.len() == all && group.iter().all(|out| matches!(out, Out::Keep(_))) {
        return Some(Cow::Borrowed(&body[span]));
    }
    let contents: Option<Vec<Cow<'_, str>>> = group
        .iter()
        .map(|out| match out {
            Out::Keep(part) => choice.parts.get(*part).map(|part| Cow::Borrowed(&body[part.span.clone()])),
            Out::Changed(part, text) => changed(&body[choice.parts.get(*part)?.span.clone()], text).map(Cow::Owned),
            Out::Text(_) | Out::Call(_) => None,
        })
        .collect();
    json::set(&body[span], &[], "content", &format!("[{}]", contents?.join(","))).map(Cow::Owned)
}

/// A content part that says something else: what tells of its old words is emptied.
fn changed(part: &str, text: &str) -> Option<String> {
    let said = if json::member(part, "refusal").is_some() { "refusal" } else { "text" };
    let mut out = json::set(part, &[], said, &json::quote(text))?;
    for about in ["annotations", "logprobs"] {
        if json::member(&out, about).is_some() {
            out = json::set(&out, &[], about, "[]")?;
        }
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
