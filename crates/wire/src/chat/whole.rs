//! A whole Chat answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{CONTENT, FUNCTION_CALL, REASONING, REFUSAL, TOOL_CALLS, stop_name, stop_reason};
use crate::json::{self, Step};
use crate::stream::{BlockBuilder, Kind, Piece};
use crate::turn::{Block, BlockId, StopReason, ToolForm, Unreadable};
use crate::whole::{Choice, Edit, Out, Part, Whole};

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(rename = "logprobs")]
    _logprobs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    custom: Option<Custom<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Custom<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    input: Cow<'a, str>,
}

pub(crate) fn decode(text: &str) -> Result<Whole, Unreadable> {
    let completion: Completion<'_> = serde_json::from_str(text).map_err(|error| Unreadable::from(&error))?;
    let choices = completion.choices.iter().enumerate().map(|(position, entry)| choice(text, position, entry));
    Ok(Whole { choices: choices.collect::<Result<_, _>>()? })
}

fn choice(text: &str, position: usize, entry: &Entry<'_>) -> Result<Choice, Unreadable> {
    let choice = entry.index.unwrap_or_else(|| u32::try_from(position).unwrap_or(u32::MAX));
    let stop = entry.finish_reason.as_deref().map(stop_reason);
    let message = &entry.message;
    let mut parts = Vec::new();
    let mut add = |block: u32, kind: Kind, piece: &Piece, raw: &RawValue| {
        let mut builder = BlockBuilder::new(kind.clone());
        builder.push(piece);
        let block_id = BlockId { choice, block };
        parts.push(Part { id: block_id, kind, block: builder.finish(false), span: json::span_in(text, raw.get()) });
    };
    if let Some(raw) = message.reasoning_content.or(message.reasoning)
        && let Some(text) = string(raw)?
    {
        add(REASONING, Kind::Thinking, &Piece::Thinking(text), raw);
    }
    for (block, raw) in [(CONTENT, message.content), (REFUSAL, message.refusal)] {
        if let Some(raw) = raw
            && let Some(text) = string(raw)?
        {
            add(block, Kind::Text, &Piece::Text(text), raw);
        }
    }
    if let Some(raw) = message.function_call.filter(|raw| raw.get() != "null") {
        let call: Function<'_> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
        let kind =
            Kind::Call { form: ToolForm::Client, id: String::new(), name: call.name.into_owned(), free_text: false };
        add(FUNCTION_CALL, kind, &Piece::Arguments(call.arguments.into_owned()), raw);
    }
    for (at, raw) in message.tool_calls.iter().flatten().enumerate() {
        let (kind, piece) = call(raw)?;
        add(TOOL_CALLS.saturating_add(u32::try_from(at).unwrap_or(u32::MAX)), kind, &piece, raw);
    }
    if let (Some(StopReason::MaxTokens), Some(Part { block: Block::ToolCall(call), .. })) = (&stop, parts.last_mut())
        && (call.arguments.is_err() || call.raw.trim().is_empty())
    {
        call.arguments = Err(Unreadable::CutOff);
    }
    Ok(Choice { position, parts, stop })
}

/// The text of a string; `None` for null and for an empty one.
fn string(raw: &RawValue) -> Result<Option<String>, Unreadable> {
    let text: Option<String> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
    Ok(text.filter(|text| !text.is_empty()))
}

fn call(raw: &RawValue) -> Result<(Kind, Piece), Unreadable> {
    let call: Call<'_> = serde_json::from_str(raw.get()).map_err(|_| Unreadable::Contradiction)?;
    let id = call.id.unwrap_or_default().into_owned();
    let made = |form, name: Cow<'_, str>, free_text, piece: String| {
        let kind = Kind::Call { form, id, name: name.into_owned(), free_text };
        Ok((kind, Piece::Arguments(piece)))
    };
    match (call.function, call.custom) {
        (Some(function), None) => made(ToolForm::Client, function.name, false, function.arguments.into_owned()),
        (None, Some(custom)) => made(ToolForm::Client, custom.name, true, custom.input.into_owned()),
        (None, None) => made(ToolForm::Unknown, call.kind.unwrap_or_default(), true, raw.get().to_owned()),
        (Some(_), Some(_)) => Err(Unreadable::Contradiction),
    }
}

pub(crate) fn rewrite(body: &str, whole: &Whole, edits: &[Option<Edit>]) -> Option<String> {
    let mut out = body.to_owned();
    // From the last to the first, so that the spans of the earlier ones stay true.
    for (choice, edit) in whole.choices.iter().zip(edits).rev() {
        if let Some(edit) = edit {
            out = rewrite_choice(&out, body, choice, edit)?;
        }
    }
    Some(out)
}

fn rewrite_choice(out: &str, body: &str, choice: &Choice, edit: &Edit) -> Option<String> {
    let entry = [Step::Key("choices"), Step::Index(choice.position)];
    let message = [entry[0], entry[1], Step::Key("message")];
    let mut texts: Vec<&str> = Vec::new();
    let mut calls: Vec<Cow<'_, str>> = Vec::new();
    let mut new_refusal: Option<&String> = None;
    let (mut content_kept, mut refusal_kept, mut function_kept, mut changed_text) = (false, false, false, false);
    for block in &edit.blocks {
        match block {
            Out::Changed(at, text) if choice.parts.get(*at)?.id.block == REFUSAL => new_refusal = Some(text),
            Out::Changed(_, text) | Out::Text(text) => {
                texts.push(text);
                changed_text = true;
            }
            Out::Call(call) => {
                calls.push(Value::Object(super::call(call)).to_string().into());
            }
            Out::Keep(at) => {
                let part = choice.parts.get(*at)?;
                match (part.id.block, &part.block) {
                    (CONTENT, Block::Text(text)) => {
                        texts.push(text);
                        content_kept = true;
                    }
                    (REFUSAL, _) => refusal_kept = true,
                    (FUNCTION_CALL, _) => function_kept = true,
                    (REASONING, _) => {}
                    _ => calls.push(Cow::Borrowed(&body[part.span.clone()])),
                }
            }
        }
    }
    let had = |block: u32| choice.parts.iter().any(|part| part.id.block == block);
    let mut out = out.to_owned();
    if changed_text || content_kept != had(CONTENT) {
        let content = if texts.is_empty() { "null".into() } else { json::quote(&texts.join("\n\n")) };
        out = json::set(&out, &message, "content", &content)?;
    }
    if had(REFUSAL) && !refusal_kept {
        let refusal = new_refusal.map_or_else(|| "null".into(), |text| json::quote(text));
        out = json::set(&out, &message, "refusal", &refusal)?;
    }
    if changed_text || content_kept != had(CONTENT) || refusal_kept != had(REFUSAL) {
        // They tell the text as it was.
        let logprobs = [entry[0], entry[1], Step::Key("logprobs")];
        out = json::replace(&out, &logprobs, "null").unwrap_or(out);
    }
    if had(FUNCTION_CALL) && !function_kept {
        out = json::remove(&out, &message, "function_call")?;
    }
    let had_calls = choice.parts.iter().any(|part| part.id.block >= TOOL_CALLS);
    if calls.is_empty() && had_calls {
        out = json::remove(&out, &message, "tool_calls")?;
    } else if !calls.is_empty() {
        out = json::set(&out, &message, "tool_calls", &format!("[{}]", calls.join(",")))?;
    }
    if let Some(reason) = &edit.stop {
        let path = [entry[0], entry[1], Step::Key("finish_reason")];
        out = json::replace(&out, &path, &json::quote(stop_name(reason)))?;
    }
    Some(out)
}

pub(crate) fn synthetic(model: &str, id: &str, text: &str) -> String {
    let message = json!({"role": "assistant", "content": text, "refusal": null});
    json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    })
    .to_string()
}
