//! A whole (not streamed) answer: every block decided, then the answer written again where something changed.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use luthien_wire::Dialect;
use luthien_wire::stream::{Encoder, Kind};
use luthien_wire::turn::{Block, StopReason, ToolForm};
use luthien_wire::whole::{self, Choice, Edit, Out, Part};
use luthien_wire::{logprobs, model_name};

use super::{MOST_BLOCKS, watches_answers};
use crate::contract::{Action, Target};
use crate::plan::{Inner, Item, Ledger, Outcome, Reviews, Summary};

/// What becomes of a whole answer.
#[derive(Clone, Debug)]
pub struct WholeOutcome {
    /// The body to send; the one that came where nothing changed.
    pub body: Bytes,
    /// What policies did.
    pub summary: Summary,
}

impl Reviews {
    /// Reviews a whole answer.
    pub async fn whole(&self, body: Bytes) -> WholeOutcome {
        let inner = &self.0;
        inner.note(|summary| summary.watched |= watches_answers(inner));
        let dialect = inner.context.dialect;
        let text = inner.model().zip(std::str::from_utf8(&body).ok());
        let renamed = text.and_then(|(model, text)| model_name::renamed(text, model));
        let body = renamed.map_or(body, Bytes::from);
        let read = whole::decode(dialect, &body).map_err(|why| format!("the answer is {why}"));
        let read = read.and_then(|read| {
            let many = watches_answers(inner) && read.choices.iter().any(|choice| choice.parts.len() > MOST_BLOCKS);
            if many { Err("the answer has more blocks than can be judged".into()) } else { Ok(read) }
        });
        let body = match read {
            Ok(read) => self.rewritten(&body, &read).await.unwrap_or(body),
            Err(why) => self.cannot_read(&why).map_or(body, |message| self.instead(&message)),
        };
        WholeOutcome { body, summary: self.summary() }
    }

    /// The body with what was decided; `None` where nothing changed.
    async fn rewritten(&self, body: &Bytes, read: &whole::Whole) -> Option<Bytes> {
        let edits = join_all(read.choices.iter().map(|choice| decide(Arc::clone(&self.0), choice))).await;
        let text = std::str::from_utf8(body).ok()?;
        if edits.iter().all(Option::is_none) {
            // As in streams: what policies did not see must not leave beside what they saw.
            let watched = watches_answers(&self.0);
            let sifted = watched.then(|| logprobs::sift(self.0.context.dialect, text)).flatten()?;
            self.0.note(|summary| summary.repaired = true);
            return Some(sifted.into());
        }
        let new = whole::rewrite(self.0.context.dialect, text, read, &edits);
        // An edit that cannot be written must not let through what it was to remove.
        Some(new.map_or_else(
            || self.instead("[This answer was changed by a policy and could not be written.]"),
            Bytes::from,
        ))
    }

    fn instead(&self, message: &str) -> Bytes {
        let context = &self.0.context;
        let id = context.transaction_id.replace('-', "");
        whole::synthetic(context.dialect, context.request.model(), &id, message).into()
    }

    /// What the client is told where an answer cannot be read; `None` where it may pass.
    fn cannot_read(&self, why: &str) -> Option<String> {
        let member = self.0.speaker()?;
        match Ledger::enforced(&self.0).cannot_ask(member, &Target::Turn, why).action {
            Action::Block(message) => Some(message),
            Action::Pass | Action::Replace(_) | Action::Ask(_) => None,
        }
    }
}

/// What a choice becomes; `None`: what it is.
async fn decide(inner: Arc<Inner>, choice: &Choice) -> Option<Edit> {
    let mut earlier: Arc<Vec<Arc<Block>>> = Arc::default();
    let mut asked = Vec::new();
    for part in &choice.parts {
        let before = Arc::clone(&earlier);
        Arc::make_mut(&mut earlier).push(Arc::new(part.block.clone()));
        asked.push(decide_part(Arc::clone(&inner), part, before));
    }
    let outcomes = join_all(asked).await;
    let mut outcomes = covered(&inner, choice, outcomes);
    if let Some(last) = outcomes.last_mut() {
        last.notices.extend(inner.closing());
    }
    let unchanged = outcomes.iter().all(|outcome| outcome.items.is_none() && outcome.notices.is_empty());
    let mut edit = (!unchanged).then(|| in_place(choice, &outcomes).unwrap_or_else(|| arrange(choice, outcomes)));
    if inner.sees().turn {
        let blocks = match &edit {
            None => choice.parts.iter().map(|part| part.block.clone()).collect(),
            Some(edit) => edit.blocks.iter().filter_map(|out| block_of(choice, out)).collect(),
        };
        let (items, notices) = inner.decide_turn(blocks).await;
        if let Some(items) = items {
            edit = Some(Edit { blocks: front_then_calls(items, notices), stop: None });
        } else if !notices.is_empty() {
            let blocks = edit.map_or_else(|| (0..choice.parts.len()).map(Out::Keep).collect(), |edit| edit.blocks);
            edit = Some(Edit { blocks: notices.into_iter().map(Out::Text).chain(blocks).collect(), stop: None });
        }
    }
    edit.map(|edit| with_stop(choice, edit))
}

/// Where a block covers the turn, the calls that were allowed are withheld too.
fn covered(inner: &Inner, choice: &Choice, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    let Some(policy) = outcomes.iter().find_map(|outcome| outcome.covers_turn) else { return outcomes };
    for (part, outcome) in choice.parts.iter().zip(&mut outcomes) {
        match (&part.kind, &mut outcome.items) {
            (Kind::Call { id, name, .. }, None) => outcome.items = Some(vec![inner.covered(policy, part.id, id, name)]),
            // Nor does a call go out that a policy had put in place of something.
            (_, Some(items)) => inner.cover_items(policy, part.id, items),
            (_, None) => {}
        }
    }
    outcomes
}

fn decide_part(inner: Arc<Inner>, part: &Part, earlier: Arc<Vec<Arc<Block>>>) -> impl Future<Output = Outcome> + use<> {
    let asked = matches!(part.kind, Kind::Text | Kind::Call { .. });
    let (id, block) = (part.id, part.block.clone());
    async move { if asked { inner.decide(id, block, earlier).await } else { Outcome::default() } }
}

fn is_client_call(kind: &Kind) -> bool {
    matches!(kind, Kind::Call { form: ToolForm::Client | ToolForm::Unknown, .. })
}

/// The blocks in the order in which they may stand: texts, notices and messages before the client's calls.
fn arrange(choice: &Choice, outcomes: Vec<Outcome>) -> Edit {
    let (mut front, mut back, mut notices, mut messages) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let withheld: Vec<&str> = choice
        .parts
        .iter()
        .zip(&outcomes)
        .filter_map(|(part, outcome)| match &part.kind {
            Kind::Call { id, .. } if outcome.items.is_some() => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let mut after_call = false;
    for (at, (part, outcome)) in choice.parts.iter().zip(outcomes).enumerate() {
        for notice in outcome.notices {
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        let call = is_client_call(&part.kind);
        after_call |= call;
        if matches!(&part.kind, Kind::Result { call } if withheld.contains(&call.as_str())) {
            continue;
        }
        let Some(items) = outcome.items else {
            if after_call && part.kind != Kind::Text {
                back.push(Out::Keep(at));
            } else {
                front.push(Out::Keep(at));
            }
            continue;
        };
        let one = items.len() == 1;
        for item in items {
            match item {
                Item::Message(text) | Item::Block(Block::Text(text)) if text.is_empty() => {}
                Item::Block(Block::Text(text)) if one && part.kind == Kind::Text => front.push(Out::Changed(at, text)),
                Item::Message(text) | Item::Block(Block::Text(text)) if call => messages.push(Out::Text(text)),
                Item::Message(text) | Item::Block(Block::Text(text)) => front.push(Out::Text(text)),
                Item::Block(Block::ToolCall(call)) => back.push(Out::Call(call)),
                Item::Block(_) => {}
            }
        }
    }
    front.extend(messages);
    front.extend(notices.into_iter().map(Out::Text));
    front.append(&mut back);
    Edit { blocks: front, stop: None }
}

/// Texts alone were decided otherwise: each stays where it is. `None` where something else changed too.
fn in_place(choice: &Choice, outcomes: &[Outcome]) -> Option<Edit> {
    let mut blocks = Vec::with_capacity(choice.parts.len());
    for (at, (part, outcome)) in choice.parts.iter().zip(outcomes).enumerate() {
        let Some(items) = &outcome.items else {
            blocks.push(Out::Keep(at));
            continue;
        };
        if part.kind != Kind::Text || !outcome.notices.is_empty() {
            return None;
        }
        for item in items {
            match text_of(at, items, item)? {
                Out::Text(text) | Out::Changed(_, text) if text.is_empty() => {}
                out => blocks.push(out),
            }
        }
    }
    outcomes.iter().all(|outcome| outcome.notices.is_empty()).then_some(Edit { blocks, stop: None })
}

/// What stands in the place of a text: the text itself with other words, where it is one that is all there is.
fn text_of(at: usize, items: &[Item], item: &Item) -> Option<Out> {
    match item {
        Item::Block(Block::Text(text)) if items.len() == 1 => Some(Out::Changed(at, text.clone())),
        Item::Block(Block::Text(text)) | Item::Message(text) => Some(Out::Text(text.clone())),
        Item::Block(_) => None,
    }
}

fn front_then_calls(items: Vec<Item>, notices: Vec<String>) -> Vec<Out> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Message(text) | Item::Block(Block::Text(text)) => texts.push(Out::Text(text)),
            Item::Block(Block::ToolCall(call)) => calls.push(Out::Call(call)),
            Item::Block(_) => {}
        }
    }
    texts.extend(notices.into_iter().map(Out::Text));
    texts.append(&mut calls);
    texts
}

fn block_of(choice: &Choice, out: &Out) -> Option<Block> {
    match out {
        Out::Keep(at) => choice.parts.get(*at).map(|part| part.block.clone()),
        Out::Text(_) => None,
        Out::Changed(_, text) => Some(Block::Text(text.clone())),
        Out::Call(call) => Some(Block::ToolCall(call.clone())),
    }
}

/// The stop reason follows whether a client's call remains (W-26).
fn with_stop(choice: &Choice, edit: Edit) -> Edit {
    let calls = edit.blocks.iter().any(|out| match out {
        Out::Keep(at) => choice.parts.get(*at).is_some_and(|part| is_client_call(&part.kind)),
        Out::Call(_) => true,
        Out::Text(_) | Out::Changed(..) => false,
    });
    let had = choice.parts.iter().any(|part| is_client_call(&part.kind));
    let stop = match &choice.stop {
        Some(StopReason::ToolUse) if had && !calls => Some(StopReason::End),
        Some(StopReason::End) if !had && calls => Some(StopReason::ToolUse),
        _ => None,
    };
    Edit { stop, ..edit }
}

/// A whole well-formed answer of the gateway's own, with one text: a blocked request is answered so.
pub fn synthetic_turn(dialect: Dialect, streamed: bool, model: &str, id: &str, text: &str) -> Bytes {
    if !streamed {
        return whole::synthetic(dialect, model, id, text).into();
    }
    let mut encoder = Encoder::new(dialect, model, id);
    let (head, words) = (encoder.head(), encoder.text_block(0, 0, text));
    [head, words, encoder.own_stop(0, &StopReason::End), encoder.done()].concat().into()
}
