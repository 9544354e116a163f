//! The policy contract as messages, and messages as the contract: the one place where both are known.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::json::{parse_strict, quote};
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::{self, Block, ToolCall};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::protocol::{self, Action as Said, NewBlock};
use crate::catalogue::range;
use crate::contract::{
    Action, Answer, Credential, Refusal, RefusalKind, RequestAction, RequestAnswer, Sending, Target, TextWatch, Watch,
};
use crate::message::tool_name;
use crate::people::Question;

/// What a server has to see, as the engine knows it.
pub(crate) fn watch(watches: protocol::Watches) -> Watch {
    Watch {
        request: watches.request,
        text: match watches.text {
            protocol::Text::None => TextWatch::None,
            protocol::Text::Whole => TextWatch::Whole,
        },
        tool_calls: watches.tool_calls,
        unreadable_calls: watches.unreadable_calls,
        turn: watches.turn,
    }
}

/// Blocks that stood before.
pub(crate) fn earlier(blocks: &[Arc<Block>]) -> Vec<protocol::Block<'_>> {
    blocks.iter().map(|block| shown(block)).collect()
}

/// Blocks of a turn.
pub(crate) fn blocks(blocks: &[Block]) -> Vec<protocol::Block<'_>> {
    blocks.iter().map(shown).collect()
}

fn shown(block: &Block) -> protocol::Block<'_> {
    match block {
        Block::Text(text) => protocol::Block::Text { text },
        Block::Thinking(text) => protocol::Block::Thinking { text },
        Block::ToolCall(call) => protocol::Block::ToolCall(tool_call(call)),
        Block::Opaque { kind, raw } => protocol::Block::Opaque { kind, raw },
    }
}

/// A call.
pub(crate) fn tool_call(call: &ToolCall) -> protocol::ToolCall<'_> {
    let unreadable = |why| {
        let why = match why {
            turn::Unreadable::NotJson => protocol::Unreadable::NotJson,
            turn::Unreadable::CutOff => protocol::Unreadable::CutOff,
            turn::Unreadable::DuplicateKeys => protocol::Unreadable::DuplicateKeys,
            turn::Unreadable::Contradiction => protocol::Unreadable::Contradiction,
        };
        protocol::UnreadableArguments { why, raw: &call.raw }
    };
    protocol::ToolCall {
        id: &call.id,
        name: &call.name,
        form: match call.form {
            turn::ToolForm::Client => protocol::ToolForm::Client,
            turn::ToolForm::Server => protocol::ToolForm::Server,
            turn::ToolForm::Unknown => protocol::ToolForm::Unknown,
        },
        arguments: call.arguments.as_ref().ok(),
        unreadable: call.arguments.as_ref().err().copied().map(unreadable),
    }
}

/// Reads a message. Fails with the path of what is wrong.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let value = parse_strict(text).map_err(|why| format!("it is {why}"))?;
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(value, &mut track);
    range::object(reader).map_err(|error| match track.path().to_string().as_str() {
        "." => error.to_string(),
        path => format!("{path}: {error}"),
    })
}

/// The answer about a text, a call or a turn.
pub(crate) fn answer(body: &[u8], target: &Target, policy: &str) -> Result<Answer, String> {
    let mut said: protocol::Answer = read(body)?;
    let call = matches!(target, Target::ToolCall { .. });
    if said.scope.is_some() && !(call && said.action == Said::Block) {
        return Err("scope: goes with the block of a tool call only".to_owned());
    }
    for (field, given) in [("request", said.request.is_some()), ("sending", said.sending.is_some())] {
        if given {
            return Err(format!("{field}: goes with the hook `request` only"));
        }
    }
    let action = match said.action {
        Said::Pass => Action::Pass,
        Said::Replace => Action::Replace(new_blocks(said.blocks.take().ok_or("blocks: missing at `replace`")?)?),
        Said::Block => Action::Block(said.message.take().unwrap_or_else(|| withheld(target, policy))),
        Said::Ask => Action::Ask(question(&mut said, target, policy)?),
        Said::Refuse => return Err("action: `refuse` goes with the hook `request` only".to_owned()),
    };
    nothing_left(&said)?;
    Ok(Answer {
        action,
        notices: said.notices.unwrap_or_default(),
        score: said.score,
        reason: said.reason,
        failed: false,
        scope: said.scope.unwrap_or_default(),
    })
}

/// The answer about a request.
pub(crate) fn request_answer(body: &[u8], request: &Request, policy: &str) -> Result<RequestAnswer, String> {
    let mut said: protocol::Answer = read(body)?;
    for (field, given) in [("blocks", said.blocks.is_some()), ("scope", said.scope.is_some())] {
        if given {
            return Err(format!("{field}: does not go with the hook `request`"));
        }
    }
    if said.sending.is_some() && matches!(said.action, Said::Block | Said::Refuse) {
        return Err("sending: goes with requests that are sent only".to_owned());
    }
    let action = match said.action {
        Said::Pass => RequestAction::Pass,
        Said::Replace => {
            RequestAction::Replace(changed(request, &said.request.take().ok_or("request: missing at `replace`")?)?)
        }
        Said::Block => RequestAction::Block(said.message.take().unwrap_or_else(|| withheld(&Target::Request, policy))),
        Said::Ask => RequestAction::Ask(question(&mut said, &Target::Request, policy)?),
        Said::Refuse => RequestAction::Refuse(refusal(said.refusal.take().ok_or("refusal: missing at `refuse`")?)),
    };
    nothing_left(&said)?;
    let sending = said.sending.unwrap_or_default();
    // For the upstream that it names beside it, and no other.
    let upstream = sending.upstream;
    let of = |secret| Credential { secret: SecretString::from(secret), upstream: upstream.clone() };
    let credential = sending.credential.map(of);
    Ok(RequestAnswer {
        action,
        sending: Sending { upstream, credential },
        notices: said.notices.unwrap_or_default(),
        score: said.score,
        reason: said.reason,
        failed: false,
    })
}

/// Refuses what is left once the action has taken its own.
fn nothing_left(said: &protocol::Answer) -> Result<(), String> {
    let left = [
        ("blocks", "replace", said.blocks.is_some()),
        ("request", "replace", said.request.is_some()),
        ("message", "block", said.message.is_some()),
        ("question", "ask", said.question.is_some()),
        ("refusal", "refuse", said.refusal.is_some()),
    ];
    if let Some((field, action, _)) = left.iter().find(|(_, _, given)| *given) {
        return Err(format!("{field}: goes with `{action}` only"));
    }
    match said.score.filter(|score| !(0.0..=1.0).contains(score)) {
        Some(score) => Err(format!("score: must be from 0 to 1, is {score}")),
        None => Ok(()),
    }
}

fn question(said: &mut protocol::Answer, target: &Target, policy: &str) -> Result<Question, String> {
    let asked = said.question.take().ok_or("question: missing at `ask`")?;
    let seconds = |seconds: f64| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("question.timeout: must not be negative, is {seconds}"))
    };
    Ok(Question {
        why: asked.why,
        denied: asked.denied.unwrap_or_else(|| withheld(target, policy)),
        unanswered: asked.unanswered,
        timeout: asked.timeout.map(seconds).transpose()?,
    })
}

fn refusal(said: protocol::Refusal) -> Refusal {
    let kind = match said.kind {
        protocol::RefusalKind::Unauthenticated => RefusalKind::Unauthenticated,
        protocol::RefusalKind::Forbidden => RefusalKind::Forbidden,
        protocol::RefusalKind::Invalid => RefusalKind::Invalid,
    };
    Refusal { kind, message: said.message }
}

/// The word for an action.
pub(crate) fn action(action: &Action) -> &'static str {
    match action {
        Action::Pass => "pass",
        Action::Replace(_) => "replace",
        Action::Block(_) => "block",
        Action::Ask(_) => "ask",
    }
}

/// The word for an action about a request.
pub(crate) fn request_action(action: &RequestAction) -> &'static str {
    match action {
        RequestAction::Pass => "pass",
        RequestAction::Replace(_) => "replace",
        RequestAction::Block(_) => "block",
        RequestAction::Refuse(_) => "refuse",
        RequestAction::Ask(_) => "ask",
    }
}

/// What stands in a blocked place where the server gives no words.
fn withheld(target: &Target, policy: &str) -> String {
    match target {
        Target::ToolCall { name, .. } => {
            format!("[Blocked: the policy `{policy}` did not allow this call of the tool `{}`.]", tool_name(name))
        }
        Target::Request => format!("[Blocked: the policy `{policy}` did not allow this request.]"),
        Target::Text { .. } | Target::Turn => format!("[Blocked: the policy `{policy}` did not allow this answer.]"),
    }
}

/// The blocks as the turn has them. Vendors refuse empty texts, so there are none.
fn new_blocks(blocks: Vec<NewBlock>) -> Result<Vec<Block>, String> {
    let mut out = Vec::with_capacity(blocks.len());
    for (n, block) in blocks.into_iter().enumerate() {
        match block {
            NewBlock::Text { text } if text.is_empty() => {}
            NewBlock::Text { text } => out.push(Block::Text(text)),
            NewBlock::ToolCall { id, name, arguments } => {
                let raw = match &arguments {
                    Value::String(text) => text.clone(),
                    Value::Object(_) => arguments.to_string(),
                    _ => return Err(format!("blocks[{n}].arguments: must be an object, or a text for free text")),
                };
                let (id, form) = (id.unwrap_or_default(), turn::ToolForm::Client);
                out.push(Block::ToolCall(ToolCall { id, name, form, raw, arguments: Ok(arguments) }));
            }
        }
    }
    Ok(out)
}

/// The request with what the server says in place of its members. Members and messages that say the same keep their bytes.
fn changed(request: &Request, new: &Map<String, Value>) -> Result<Request, String> {
    let list = if request.dialect() == Dialect::Responses { "input" } else { "messages" };
    let old: Vec<&str> = request.message_spans().iter().filter_map(|span| request.text().get(span.clone())).collect();
    let members = new.iter().map(|(key, value)| {
        let same = request.raw(key).filter(|raw| says(raw, value));
        let value = match (same, value) {
            (Some(raw), _) => raw.to_owned(),
            (None, Value::Array(messages)) if key == list => {
                let messages = messages.iter().enumerate().map(|(n, message)| {
                    let same = old.get(n).filter(|raw| says(raw, message));
                    same.map_or_else(|| message.to_string(), |raw| (*raw).to_owned())
                });
                format!("[{}]", messages.collect::<Vec<_>>().join(","))
            }
            (None, value) => value.to_string(),
        };
        format!("{}:{value}", quote(key))
    });
    let body = Bytes::from(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
    let turn = request.dialect() == Dialect::Messages && request.max_tokens().is_some();
    let kind = if turn { RequestKind::Turn } else { RequestKind::CountTokens };
    let changed = Request::parse(request.dialect(), kind, body).map_err(|error| format!("request: {error}"))?;
    if changed.stream() != request.stream() {
        return Err("request.stream: cannot be changed, the client waits for what it asked for".to_owned());
    }
    Ok(changed)
}

fn says(raw: &str, value: &Value) -> bool {
    serde_json::from_str::<Value>(raw).is_ok_and(|old| old == *value)
}

#[cfg(test)]
mod tests;
