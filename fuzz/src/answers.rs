//! The conversion of answers: no input makes it panic, any division of a stream gives the same bytes, and what comes out can
//! be read by the target's own decoder, with nothing behind its end.

use luthien_wire::Dialect;
use luthien_wire::convert::{self, AnswerContext, StreamConverter};
use luthien_wire::sse::Splitter;
use luthien_wire::stream::{Decoder, EventRole, Part, What};
use luthien_wire::turn::Block;
use luthien_wire::{answer, whole};
use serde_json::{Map, Value};

use crate::{client, cuts};

/// Checks one input, as what it looks like most.
pub fn check(input: &[u8]) {
    let from = client::dialect(input);
    for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
        if input.trim_ascii_start().starts_with(b"{") {
            body(&context(from, to, input), input);
        } else {
            stream(&context(from, to, input), input);
        }
        let status = u16::try_from(400 + cuts::hash(input) % 200).unwrap_or(500);
        let error = convert::error(from, to, status, input, "id");
        assert!(std::str::from_utf8(&error).is_ok());
    }
}

fn context(from: Dialect, to: Dialect, input: &[u8]) -> AnswerContext {
    let odd = !cuts::hash(input).is_multiple_of(2);
    AnswerContext {
        from,
        to,
        model: "model".into(),
        id: "0190".into(),
        free_text_tools: if odd { vec!["run".into(), "shell".into()] } else { Vec::new() },
        renamed_tools: if odd { vec![("run".into(), "walk".into())] } else { Vec::new() },
        namespaced_tools: Vec::new(),
        include_usage: odd,
        legacy_functions: false,
        repeated: Map::new(),
    }
}

fn stream(context: &AnswerContext, input: &[u8]) {
    let out = converted(context, &[input]);
    assert_eq!(text(&out), text(&converted(context, &cuts::chunks(input))));

    let mut splitter = Splitter::new(usize::MAX);
    splitter.push(&out);
    let (mut decoder, mut atoms) = (Decoder::new(context.to), Vec::new());
    while let Ok(Some(frame)) = splitter.next_frame() {
        decoder.decode(frame, &mut atoms);
    }
    assert!(splitter.pending().is_empty(), "{}", text(&out));
    let mut ended = false;
    for atom in &atoms {
        assert!(!ended, "something comes behind the end: {}", text(&out));
        assert!(!matches!(atom.what, What::Unreadable(_)), "{}", text(&out));
        if let Part::Event { agrees, role, .. } = atom.part {
            assert!(agrees || matches!(role, EventRole::Terminal), "{}", text(&out));
        }
        ended = matches!(atom.what, What::Done | What::Failed);
    }
}

fn converted(context: &AnswerContext, chunks: &[&[u8]]) -> Vec<u8> {
    let mut converter = StreamConverter::new(context.clone(), 1 << 20);
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&converter.push(chunk));
    }
    out.extend_from_slice(&converter.finish());
    assert!(converter.push(b"data: {}\n\n").is_empty() && converter.finish().is_empty());
    out
}

fn body(context: &AnswerContext, input: &[u8]) {
    let Ok(converted) = convert::whole(context, input) else { return };
    if converted.failed.is_some() {
        return;
    }
    let read = whole::decode(context.to, &converted.body);
    assert!(read.is_ok(), "{}", text(&converted.body));
    // The same answer for a client that wanted a stream.
    let mut converter = StreamConverter::new(context.clone(), 1 << 20);
    let streamed = converter.push_whole(input);
    let (texts, calls) = said(context.to, true, &streamed);
    let (all_texts, all_calls) = said(context.to, false, &converted.body);
    let whole = text(&converted.body);
    assert_eq!(calls, all_calls, "{}\n!=\n{whole}", text(&streamed));
    assert_eq!(texts, all_texts, "{}\n!=\n{whole}", text(&streamed));
}

/// Texts and calls; neighbouring texts as one.
fn said(dialect: Dialect, streamed: bool, body: &[u8]) -> (String, Vec<String>) {
    let mut texts = String::new();
    let mut calls = Vec::new();
    for (_, block) in answer::blocks(dialect, streamed, body) {
        match block {
            Block::Text(text) => texts.push_str(&text),
            Block::ToolCall(call) => calls.push(format!("{} {}", call.name, arguments(&call.raw))),
            Block::Thinking(_) | Block::Opaque { .. } => {}
        }
    }
    (texts, calls)
}

/// However they are written. A body of Messages has none that are no JSON, nor none at all: they stand in an object.
fn arguments(raw: &str) -> String {
    let value: Value = match raw.trim() {
        "" => return "{}".to_owned(),
        raw => serde_json::from_str(raw).unwrap_or_else(|_| raw.into()),
    };
    match &value["INVALID_JSON"] {
        Value::String(text) => text.trim().to_owned(),
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
