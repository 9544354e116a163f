//! Whether what was said in one dialect is what was said in another: conversion changes forms, policies change meanings.

use luthien_wire::turn::Block;
use serde_json::Value;

use super::messages::{Message, MessageType, input};

/// What a block says, without its form.
#[derive(Debug, PartialEq)]
pub(super) enum Gist {
    Thinking(String),
    Text(String),
    Opaque(String),
    Call(String, Value),
}

/// The blocks of a converted answer and those it was made of, in an order that all dialects have: reasoning, text as one,
/// what else there is, calls.
pub(super) fn ordered(blocks: Vec<Block>) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::with_capacity(blocks.len());
    for block in blocks {
        let said = out.iter_mut().find_map(|before| if let Block::Text(text) = before { Some(text) } else { None });
        match (block, said) {
            (Block::Text(more), Some(text)) => {
                text.push('\n');
                text.push_str(&more);
            }
            (block, _) => out.push(block),
        }
    }
    out.sort_by_key(|block| match block {
        block if is_reasoning(block) => 0,
        Block::Text(_) => 1,
        Block::ToolCall(_) => 3,
        _ => 2,
    });
    out
}

/// What a block says.
pub(super) fn gist(block: &Block) -> Gist {
    match block {
        Block::Thinking(text) => Gist::Thinking(words(text)),
        Block::Text(text) => Gist::Text(words(text)),
        Block::ToolCall(call) => Gist::Call(call.name.clone(), bare(input(call))),
        block if is_reasoning(block) => Gist::Thinking(String::new()),
        Block::Opaque { kind, raw } => Gist::Opaque(format!("{kind} {raw}")),
    }
}

/// Reasoning, shown or not.
fn is_reasoning(block: &Block) -> bool {
    match block {
        Block::Thinking(_) => true,
        Block::Opaque { kind, .. } => matches!(kind.as_str(), "redacted_thinking" | "reasoning"),
        _ => false,
    }
}

/// Both say the same in their texts and calls.
pub(super) fn messages(one: &[Message], other: &[Message]) -> bool {
    texts(&said(one), &said(other)) && calls(one).eq(calls(other))
}

/// Both are the same text, though set apart in another way.
pub(super) fn texts(one: &str, other: &str) -> bool {
    let letters = |text: &'_ str| -> Vec<char> { text.chars().filter(|c| !c.is_whitespace()).collect() };
    letters(one) == letters(other)
}

/// Both stop reasons mean the same. Responses does not tell a turn that ends with calls from one that ends.
pub(super) fn stops(one: Option<&str>, other: Option<&str>) -> bool {
    let completed = |reason: Option<&str>| reason == Some("completed");
    let any_end = |reason: Option<&str>| completed(reason) || matches!(class(reason), Some("end" | "calls"));
    class(one) == class(other) || ((completed(one) || completed(other)) && any_end(one) && any_end(other))
}

fn class(reason: Option<&str>) -> Option<&str> {
    Some(match reason? {
        "end_turn" | "stop" | "stop_sequence" => "end",
        "tool_use" | "tool_calls" | "function_call" => "calls",
        "max_tokens" | "length" | "max_output_tokens" | "model_context_window_exceeded" => "limit",
        "refusal" | "content_filter" => "refusal",
        other => other,
    })
}

fn said(messages: &[Message]) -> String {
    let of_model = messages.iter().filter(|message| message.message_type == MessageType::Assistant);
    of_model.map(|message| message.content.as_str()).collect()
}

fn calls(messages: &[Message]) -> impl Iterator<Item = (Option<&str>, Option<Value>)> {
    let calls = messages.iter().filter(|message| message.message_type == MessageType::ToolCall);
    calls.map(|call| (call.tool_name.as_deref(), call.tool_input.clone().map(bare)))
}

/// Free text stands as the one member `input` where a dialect has no free text.
fn bare(input: Value) -> Value {
    match input {
        Value::Object(mut members) if members.len() == 1 && members.get("input").is_some_and(Value::is_string) => {
            members.remove("input").unwrap_or_default()
        }
        other => other,
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_reasons_are_the_same_by_what_they_mean() {
        let same = [
            ("end_turn", "stop"),
            ("tool_use", "tool_calls"),
            ("tool_use", "completed"),
            ("stop", "completed"),
            ("max_tokens", "length"),
            ("length", "max_output_tokens"),
            ("refusal", "content_filter"),
            ("new", "new"),
        ];
        for (one, other) in same {
            assert!(stops(Some(one), Some(other)) && stops(Some(other), Some(one)), "{one} {other}");
        }
        for (one, other) in
            [("tool_use", "stop"), ("max_tokens", "completed"), ("failed", "completed"), ("new", "stop")]
        {
            assert!(!stops(Some(one), Some(other)), "{one} {other}");
        }
        assert!(stops(None, None) && !stops(None, Some("stop")));
    }
}
