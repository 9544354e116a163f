//! The order in which blocks go out, and how each is written.
//!
//! Text goes out in order and never waits for a call. The client's calls wait until all of the choice is decided and go
//! last, after notices and block messages: on Messages no text may follow a call. The vendor's own calls stand in their place.

use std::sync::Arc;

use bytes::Bytes;
use luthien_wire::stream::{Atom, Encoder, What};

use super::StreamReview;
use super::choice::{Choice, Hold, Lane, Slot};
use super::output::Output;
use crate::plan::{Inner, Ledger};

/// Writes what may go out. It stands beside the choices, so that both can be used at once.
pub(super) struct Emitter {
    pub(super) inner: Arc<Inner>,
    pub(super) encoder: Encoder,
    pub(super) out: Output,
    /// Something was held, changed or mended: from here frames are written for the strictest reader.
    pub(super) acting: bool,
    pub(super) head_sent: bool,
    /// The answer was made a Messages answer of another dialect's: the order of its blocks need not be one that Messages has.
    pub(super) converted: bool,
    /// Bytes in hand.
    pub(super) held: usize,
    /// A streaming member that blocks has panicked: nothing more may be written, and the answer ends with this message.
    pub(super) failed: Option<String>,
}

impl StreamReview {
    /// Writes all that may go out now.
    pub(super) fn drain(&mut self) {
        let Self { choices, emit, asked, .. } = self;
        for (at, choice) in choices.iter_mut() {
            choice.ask_about_turn(&emit.inner, asked);
            emit.choice(*at, choice);
        }
        if let Some(message) = self.emit.failed.take() {
            return self.close(&message);
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
}

impl Emitter {
    /// An atom, unchanged.
    pub(super) fn pass(&mut self, atom: Atom) {
        self.out.atom(atom, &mut self.encoder, self.acting);
    }

    /// Bytes in the gateway's own hand.
    pub(super) fn own(&mut self, bytes: &[u8]) {
        self.out.bytes(bytes, &mut self.encoder);
    }

    /// What the encoder writes.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Encoder) -> Bytes) {
        let bytes = write(&mut self.encoder);
        self.own(&bytes);
    }

    /// No further part of the last frame goes out with its first ones.
    pub(super) fn end_of_frame(&mut self) {
        self.out.end_of_frame(&mut self.encoder);
    }

    pub(super) fn choice(&mut self, at: u32, choice: &mut Choice) {
        if self.failed.is_some() || choice.released || choice.awaits_turn(&self.inner) {
            return;
        }
        if choice.instead.is_none() {
            if self.encoder.sequential() {
                self.drain_in_order(choice);
            } else {
                self.drain_channels(choice);
            }
        }
        if self.failed.is_none() && choice.stopped() && choice.slots.iter().all(Slot::decided) {
            self.release(at, choice);
        }
    }

    /// Messages: one block at a time.
    pub(super) fn drain_in_order(&mut self, choice: &mut Choice) {
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
            let own_order = !self.converted || choice.texts_come_first();
            let next = if self.inner.watch().turn && choice.untouched() && own_order {
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
    pub(super) fn drain_channels(&mut self, choice: &mut Choice) {
        for at in 0..choice.slots.len() {
            let slot = &choice.slots[at];
            if !slot.done && (slot.hold != Hold::Verdict || (slot.lane != Lane::Call && slot.outcome.is_some())) {
                self.write_slot(choice, at);
            }
        }
    }

    /// Writes what may go out of one block.
    pub(super) fn write_slot(&mut self, choice: &mut Choice, at: usize) {
        if self.failed.is_some() {
            return;
        }
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
        while self.failed.is_none()
            && let Some(atom) = choice.slots[at].atoms.pop_front()
        {
            self.held = self.held.saturating_sub(atom.weight());
            match choice.slots[at].hold {
                Hold::Transform => self.write_transformed(choice, at, atom),
                Hold::Live | Hold::Verdict => self.write_atom(choice, at, atom, None),
            }
        }
        if self.failed.is_none() && choice.slots[at].ended && choice.slots[at].decided() {
            self.finish_slot(choice, at);
        }
    }

    /// One frame's part, its text replaced if `text` is given.
    pub(super) fn write_atom(&mut self, choice: &mut Choice, at: usize, atom: Atom, text: Option<&str>) {
        let What::Block { id, end, .. } = &atom.what else {
            return self.out.atom(atom, &mut self.encoder, self.acting);
        };
        let id = *id;
        choice.slots[at].end_sent |= *end;
        let place = self.place(choice, at, &atom);
        if choice.slots[at].lane == Lane::Text {
            choice.text_sent = true;
        }
        let from =
            if self.encoder.sequential() { id.block } else { id.block.wrapping_sub(luthien_wire::chat::TOOL_CALLS) };
        if text.is_none() && (!self.acting || (from == place && atom.of > 1)) {
            return self.out.atom(atom, &mut self.encoder, false);
        }
        let bytes = self.encoder.block_part(&atom, from, place, text);
        if bytes != atom.frame.raw && text.is_none() && from == place && !self.encoder.numbered() {
            self.inner.note(|summary| summary.repaired = true);
        }
        self.own(&bytes);
    }

    /// Where a block stands in what the client gets: given when it begins.
    pub(super) fn place(&mut self, choice: &mut Choice, at: usize, atom: &Atom) -> u32 {
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
    pub(super) fn begin_answer(&mut self) {
        if !self.head_sent && self.acting {
            self.write(Encoder::head);
            self.inner.note(|summary| summary.repaired = true);
        }
        self.head_sent = true;
    }

    /// A block's last part is out.
    pub(super) fn finish_slot(&mut self, choice: &mut Choice, at: usize) {
        let slot = &choice.slots[at];
        let ended_on_the_wire = slot.end_written(self.encoder.sequential());
        if slot.hold == Hold::Transform {
            self.flush_transform(choice, at);
            if self.failed.is_some() {
                return;
            }
        }
        let slot = &mut choice.slots[at];
        if let (false, true, Some(place)) = (ended_on_the_wire, self.acting, slot.at) {
            let bytes = self.encoder.block_end(place);
            if !bytes.is_empty() {
                self.inner.note(|summary| summary.repaired = true);
            }
            self.own(&bytes);
        }
        slot.start = None;
        slot.done = true;
        let began = slot.transform_began.unwrap_or_else(tokio::time::Instant::now);
        for (member, likeness) in self.inner.streaming().zip(&choice.slots[at].likeness) {
            if likeness.differs() {
                Ledger::enforced(&self.inner).replaced(member, choice.slots[at].id, began);
            }
        }
    }

    pub(super) fn forget(&mut self, slot: &mut Slot) {
        for atom in slot.atoms.drain(..) {
            self.held = self.held.saturating_sub(atom.weight());
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
    pub(super) fn end_written(&self, sequential: bool) -> bool {
        !sequential || self.end_sent || self.at.is_none()
    }
}
