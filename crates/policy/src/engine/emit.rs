//! The order in which blocks go out, and how each is written.
//!
//! Text goes out in order and never waits for a call. The client's calls wait until all of the choice is decided and go
//! last, after notices and block messages: on Messages no text may follow a call. The vendor's own calls stand in their place.

use luthien_wire::stream::{Atom, Piece, What};
use luthien_wire::turn::{Block, StopReason, ToolCall};

use std::sync::Arc;

use luthien_wire::stream::Encoder;

use super::StreamReview;
use super::choice::{Choice, Hold, Lane, Slot};
use super::output::Output;
use crate::contract::{Mode, TextWatch};
use crate::plan::{Inner, Item};

/// Writes what may go out. It stands beside the choices, so that both can be used at once.
pub(super) struct Emitter {
    pub(super) inner: Arc<Inner>,
    pub(super) encoder: Encoder,
    pub(super) out: Output,
    /// Something was held, changed or mended: from here frames are written for the strictest reader.
    pub(super) acting: bool,
    pub(super) head_sent: bool,
    /// Bytes in hand.
    pub(super) held: usize,
}

impl StreamReview {
    /// Writes all that may go out now.
    pub(super) fn drain(&mut self) {
        let Self { choices, emit, asked, .. } = self;
        for (at, choice) in choices.iter_mut() {
            choice.ask_about_turn(&emit.inner, asked);
            emit.choice(*at, choice);
        }
        if !self.tail.is_empty() && self.choices.values().all(|choice| choice.released) {
            for atom in std::mem::take(&mut self.tail) {
                if atom.what == What::Done {
                    if self.done_sent {
                        continue;
                    }
                    self.done_sent = true;
                }
                self.emit.pass(atom);
            }
        }
    }

    /// Ends the answer with `message`: nothing that was held goes out, and nothing more is read.
    pub(super) fn close(&mut self, message: &str) {
        self.emit.acting = true;
        if self.done_sent {
            self.drop_held();
            (self.closed, self.complete) = (true, true);
            return;
        }
        let mut choices = std::mem::take(&mut self.choices);
        if choices.is_empty() {
            choices.insert(0, Choice::default());
        }
        for (at, choice) in &mut choices {
            if choice.released {
                continue;
            }
            for slot in &choice.slots {
                if let (false, Some(place)) = (slot.done, slot.at) {
                    self.emit.own(&self.emit.encoder.block_end(place));
                }
            }
            self.emit.write_text(choice, *at, message, true);
            let reason = if choice.calls_sent > 0 { StopReason::ToolUse } else { StopReason::End };
            self.emit.own(&self.emit.encoder.own_stop(*at, &reason));
        }
        self.drop_held();
        self.emit.own(&self.emit.encoder.done());
        self.done_sent = true;
        self.closed = true;
        self.complete = true;
    }
}

impl Emitter {
    /// An atom, unchanged.
    pub(super) fn pass(&mut self, atom: Atom) {
        self.out.atom(atom, &self.encoder, self.acting);
    }

    /// Bytes in the gateway's own hand.
    pub(super) fn own(&mut self, bytes: &[u8]) {
        self.out.bytes(bytes, &self.encoder);
    }

    /// No further part of the last frame goes out with its first ones.
    pub(super) fn end_of_frame(&mut self) {
        self.out.end_of_frame(&self.encoder);
    }

    pub(super) fn choice(&mut self, at: u32, choice: &mut Choice) {
        if choice.released || choice.awaits_turn(&self.inner) {
            return;
        }
        if choice.instead.is_none() {
            if self.encoder.sequential() {
                self.drain_in_order(choice);
            } else {
                self.drain_channels(choice);
            }
        }
        if choice.stopped() && choice.slots.iter().all(Slot::decided) {
            self.release(at, choice);
        }
    }

    /// Messages: one block at a time.
    fn drain_in_order(&mut self, choice: &mut Choice) {
        loop {
            let mut open = false;
            for at in 0..choice.slots.len() {
                let begun = choice.slots[at].at.is_some() || choice.slots[at].start.is_some();
                // What nothing holds goes out as it comes, also where the upstream lets blocks overlap.
                let untouched = !self.acting && choice.slots[at].hold == Hold::Live;
                if !choice.slots[at].done && (begun || untouched) {
                    self.write_slot(choice, at);
                    open |= !choice.slots[at].done;
                }
            }
            if open {
                return;
            }
            let next = if self.inner.watch.turn && choice.untouched() {
                // All was held and nothing changed: the upstream's own order stands.
                choice.slots.iter().position(|slot| !slot.done)
            } else {
                next_slot(choice)
            };
            let Some(next) = next else { return };
            self.write_slot(choice, next);
            let slot = &choice.slots[next];
            if !slot.done && slot.at.is_none() && slot.start.is_none() {
                return;
            }
        }
    }

    /// Chat: content, refusal and reasoning are channels of their own.
    fn drain_channels(&mut self, choice: &mut Choice) {
        for at in 0..choice.slots.len() {
            let slot = &choice.slots[at];
            if !slot.done && (slot.hold != Hold::Verdict || (slot.lane != Lane::Call && slot.outcome.is_some())) {
                self.write_slot(choice, at);
            }
        }
    }

    /// Writes what may go out of one block.
    fn write_slot(&mut self, choice: &mut Choice, at: usize) {
        let slot = &mut choice.slots[at];
        if let Lane::Result(call) = &slot.lane
            && slot.is_held()
        {
            let call = call.clone();
            if choice.withheld(&call) {
                let slot = &mut choice.slots[at];
                self.forget(slot);
                slot.done = slot.ended;
                return;
            }
        }
        let slot = &mut choice.slots[at];
        if slot.changed {
            return self.write_items(choice, at);
        }
        while let Some(atom) = choice.slots[at].atoms.pop_front() {
            self.held = self.held.saturating_sub(atom.weight());
            match choice.slots[at].hold {
                Hold::Transform => self.write_transformed(choice, at, atom),
                Hold::Live | Hold::Verdict => self.write_atom(choice, at, atom, None),
            }
        }
        if choice.slots[at].ended && choice.slots[at].decided() {
            self.finish_slot(choice, at);
        }
    }

    /// One frame's part, its text replaced if `text` is given.
    fn write_atom(&mut self, choice: &mut Choice, at: usize, atom: Atom, text: Option<&str>) {
        let What::Block { id, end, .. } = &atom.what else { return self.out.atom(atom, &self.encoder, self.acting) };
        let id = *id;
        choice.slots[at].end_sent |= *end;
        let place = self.place(choice, at, &atom);
        if choice.slots[at].lane == Lane::Text {
            choice.text_sent = true;
        }
        let from =
            if self.encoder.sequential() { id.block } else { id.block.wrapping_sub(luthien_wire::chat::TOOL_CALLS) };
        if text.is_none() && (!self.acting || (from == place && atom.of > 1)) {
            return self.out.atom(atom, &self.encoder, false);
        }
        let bytes = self.encoder.block_part(&atom, from, place, text);
        if bytes != atom.frame.raw && text.is_none() && from == place {
            self.inner.note(|summary| summary.repaired = true);
        }
        self.own(&bytes);
    }

    /// Where a block stands in what the client gets: given when it begins.
    fn place(&mut self, choice: &mut Choice, at: usize, atom: &Atom) -> u32 {
        if let Some(place) = choice.slots[at].at {
            return place;
        }
        let sequential = self.encoder.sequential();
        let is_call = choice.slots[at].lane == Lane::Call;
        let place = match (&atom.what, self.acting) {
            (What::Block { id, .. }, false) if sequential => id.block,
            _ if sequential => choice.next,
            _ if is_call => choice.next_call,
            _ => 0,
        };
        choice.next = choice.next.max(place.saturating_add(1));
        if is_call {
            choice.calls_sent += 1;
            choice.next_call += 1;
        }
        choice.slots[at].at = Some(place);
        self.begin_answer();
        place
    }

    /// The head, where the upstream left it out and the answer is being mended.
    fn begin_answer(&mut self) {
        if !self.head_sent && self.acting {
            self.own(&self.encoder.head());
            self.inner.note(|summary| summary.repaired = true);
        }
        self.head_sent = true;
    }

    /// A part of a text block, through the streaming members.
    fn write_transformed(&mut self, choice: &mut Choice, at: usize, atom: Atom) {
        let What::Block { id, start, piece, end } = &atom.what else {
            return self.out.atom(atom, &self.encoder, self.acting);
        };
        let (id, end) = (*id, *end);
        if end {
            self.flush_transform(choice, at);
            if choice.slots[at].start.take().is_some() {
                self.acting = true;
                return;
            }
            return self.write_atom(choice, at, atom, None);
        }
        match piece {
            Piece::Text(text) => {
                choice.slots[at].transform_began.get_or_insert_with(tokio::time::Instant::now);
                let begins = start.is_some() && self.encoder.sequential();
                let Some(new) = self.transform(id, text) else {
                    self.write_start(choice, at);
                    return self.write_atom(choice, at, atom, None);
                };
                choice.slots[at].transformed = true;
                self.acting = true;
                if begins && new.is_empty() {
                    choice.slots[at].start = Some(atom);
                } else if !new.is_empty() {
                    self.write_start(choice, at);
                    self.write_atom(choice, at, atom, Some(&new));
                }
            }
            _ if start.is_some() && self.encoder.sequential() => choice.slots[at].start = Some(atom),
            _ => {
                self.write_start(choice, at);
                self.write_atom(choice, at, atom, None);
            }
        }
    }

    /// The start that waited for the first text.
    fn write_start(&mut self, choice: &mut Choice, at: usize) {
        if let Some(start) = choice.slots[at].start.take() {
            // It may have had text, which the streaming members have taken.
            let text = matches!(&start.what, What::Block { piece: Piece::Text(_), .. }).then_some("");
            self.write_atom(choice, at, start, text);
        }
    }

    /// What the streaming members held back.
    fn flush_transform(&mut self, choice: &mut Choice, at: usize) {
        let id = choice.slots[at].id;
        let rest = self.transform_end(id);
        if !rest.is_empty() {
            self.acting = true;
            choice.slots[at].transformed = true;
            self.write_start(choice, at);
            let place = choice.slots[at].at.unwrap_or(choice.next);
            choice.text_sent = true;
            self.own(&self.encoder.text_delta(id.choice, place, &rest));
        }
    }

    /// What the streaming members make of a text; `None`: what it is.
    fn transform(&self, id: luthien_wire::turn::BlockId, text: &str) -> Option<String> {
        let mut now: Option<String> = None;
        for member in self.streaming() {
            now = member.review.text_delta(id, now.as_deref().unwrap_or(text)).or(now);
        }
        now.filter(|now| now != text)
    }

    /// Each member's rest goes through the members after it.
    fn transform_end(&self, id: luthien_wire::turn::BlockId) -> String {
        let mut rest = String::new();
        for member in self.streaming() {
            if !rest.is_empty()
                && let Some(new) = member.review.text_delta(id, &rest)
            {
                rest = new;
            }
            rest.push_str(&member.review.text_end(id));
        }
        rest
    }

    fn streaming(&self) -> impl Iterator<Item = &crate::plan::Opened> {
        let streams = |m: &&crate::plan::Opened| m.mode == Mode::Enforce && m.watch.text == TextWatch::Streamed;
        self.inner.members.iter().filter(streams)
    }

    /// A block that was decided upon and changed: what stands in its place. Its calls go with the other calls.
    fn write_items(&mut self, choice: &mut Choice, at: usize) {
        let choice_at = choice.slots[at].id.choice;
        let is_call = choice.slots[at].lane == Lane::Call;
        let items = choice.slots[at].outcome.as_mut().and_then(|outcome| outcome.items.take()).unwrap_or_default();
        self.forget(&mut choice.slots[at]);
        choice.slots[at].done = true;
        for item in items {
            match item {
                Item::Message(text) => self.write_text(choice, choice_at, &text, true),
                Item::Block(Block::Text(text)) => self.write_text(choice, choice_at, &text, is_call),
                Item::Block(Block::ToolCall(call)) => choice.added.push(call),
                Item::Block(Block::Thinking(_) | Block::Opaque { .. }) => {}
            }
        }
        choice.calls_changed |= is_call || !choice.added.is_empty();
    }

    /// A text of the gateway's. `apart`: from the text before it, which on Chat is in the same string.
    fn write_text(&mut self, choice: &mut Choice, at: u32, text: &str, apart: bool) {
        if text.is_empty() {
            return;
        }
        self.acting = true;
        self.begin_answer();
        let joined = if apart && choice.text_sent && !self.encoder.sequential() { "\n\n" } else { "" };
        let bytes = self.encoder.text_block(at, choice.next, &format!("{joined}{text}"));
        self.own(&bytes);
        choice.next += 1;
        choice.text_sent = true;
    }

    fn write_call(&mut self, choice: &mut Choice, at: u32, call: &ToolCall) {
        self.begin_answer();
        let place = if self.encoder.sequential() { choice.next } else { choice.next_call };
        self.own(&self.encoder.call_block(at, place, call));
        choice.next += 1;
        choice.next_call += 1;
        choice.calls_sent += 1;
    }

    /// A block's last part is out.
    fn finish_slot(&mut self, choice: &mut Choice, at: usize) {
        let slot = &choice.slots[at];
        let ended_on_the_wire = slot.end_written(self.encoder.sequential());
        if slot.hold == Hold::Transform && !ended_on_the_wire {
            self.flush_transform(choice, at);
        }
        let slot = &mut choice.slots[at];
        if let (false, true, Some(place)) = (ended_on_the_wire, self.acting, slot.at) {
            let bytes = self.encoder.block_end(place);
            if !bytes.is_empty() {
                self.inner.note(|summary| summary.repaired = true);
            }
            self.own(&bytes);
        }
        if slot.hold == Hold::Transform && slot.transformed {
            let began = slot.transform_began.unwrap_or_else(tokio::time::Instant::now);
            for member in self.streaming() {
                self.inner.replaced(member, slot.id, began);
            }
        }
        slot.start = None;
        slot.done = true;
    }

    fn forget(&mut self, slot: &mut Slot) {
        for atom in slot.atoms.drain(..) {
            self.held = self.held.saturating_sub(atom.weight());
        }
    }

    /// All is decided: what has waited goes out, then the stop.
    fn release(&mut self, at: u32, choice: &mut Choice) {
        if let Some(items) = choice.instead.take() {
            self.release_instead(at, choice, items);
        } else {
            self.release_blocks(at, choice);
        }
        for call in std::mem::take(&mut choice.added) {
            self.write_call(choice, at, &call);
        }
        let (atom, reason) = choice.stop.take().unwrap_or((None, StopReason::End));
        let new = match reason {
            StopReason::ToolUse if choice.calls_changed && choice.calls_sent == 0 => Some(StopReason::End),
            StopReason::End if choice.calls_changed && choice.calls_sent > 0 => Some(StopReason::ToolUse),
            _ => None,
        };
        match &atom {
            Some(atom) if new.is_none() && !self.acting => self.out.atom(atom.clone(), &self.encoder, false),
            Some(atom) if new.is_none() && atom.of > 1 => self.out.atom(atom.clone(), &self.encoder, true),
            Some(atom) => self.out.bytes(&self.encoder.stop(atom, new.as_ref()), &self.encoder),
            None => {}
        }
        choice.stop = Some((None, reason));
        choice.released = true;
    }

    fn release_blocks(&mut self, at: u32, choice: &mut Choice) {
        choice.cover(&self.inner);
        let messages: Vec<usize> =
            (0..choice.slots.len()).filter(|n| !choice.slots[*n].done && choice.slots[*n].changed).collect();
        for n in messages {
            self.write_items(choice, n);
        }
        let notices = std::mem::take(&mut choice.notices);
        if choice.calls_sent == 0 {
            for notice in notices {
                self.write_text(choice, at, &notice, true);
            }
        }
        for n in 0..choice.slots.len() {
            if !choice.slots[n].done {
                self.write_slot(choice, n);
            }
        }
    }

    /// A member that watches the turn has put something in place of all of it.
    fn release_instead(&mut self, at: u32, choice: &mut Choice, items: Vec<Item>) {
        for slot in &mut choice.slots {
            slot.atoms.clear();
            slot.done = true;
        }
        choice.calls_changed = true;
        let texts = std::mem::take(&mut choice.notices);
        for item in items {
            match item {
                Item::Message(text) | Item::Block(Block::Text(text)) => self.write_text(choice, at, &text, true),
                Item::Block(Block::ToolCall(call)) => choice.added.push(call),
                Item::Block(_) => {}
            }
        }
        for text in texts {
            self.write_text(choice, at, &text, true);
        }
    }
}

/// The next block that may begin, if one may.
fn next_slot(choice: &Choice) -> Option<usize> {
    let mut overtaking = false;
    for (at, slot) in choice.slots.iter().enumerate().filter(|(_, slot)| !slot.done) {
        let ready = slot.decided();
        match &slot.lane {
            Lane::Text => return ready.then_some(at),
            Lane::Call if slot.hold == Hold::Live && !overtaking => return Some(at),
            Lane::Result(call) if !overtaking && choice.call_decided(call) => return Some(at),
            Lane::ServerCall | Lane::InPlace if !overtaking && ready => return Some(at),
            _ => overtaking = true,
        }
    }
    None
}

impl Slot {
    /// The upstream's own end of the block has gone out, or there is none in this dialect.
    fn end_written(&self, sequential: bool) -> bool {
        !sequential || self.end_sent || self.at.is_none()
    }
}
