//! What the gateway writes in place of the model's words, and the end of a choice: all that has waited, then the stop.

use luthien_wire::stream::{Piece, What};
use luthien_wire::turn::{Block, StopReason, ToolCall};

use super::StreamReview;
use super::choice::{Choice, Lane};
use super::emit::Emitter;
use crate::plan::Item;

impl StreamReview {
    /// Ends the answer with `message`: nothing that was held goes out, and nothing more is read.
    pub(super) fn close(&mut self, message: &str) {
        self.emit.acting = true;
        if self.done_sent {
            self.drop_held();
            (self.closed, self.complete) = (true, true);
            return;
        }
        if self.choices.values().any(Choice::has_let_calls_out) {
            return self.close_as_error(message);
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
                    self.emit.write(|encoder| encoder.block_end(place));
                }
            }
            self.emit.write_text(choice, *at, message, true);
            let reason = if choice.calls_sent > 0 { StopReason::ToolUse } else { StopReason::End };
            self.emit.write(|encoder| encoder.own_stop(*at, &reason));
        }
        self.drop_held();
        self.emit.write(|encoder| encoder.done());
        self.done_sent = true;
        self.closed = true;
        self.complete = true;
    }

    /// After a call no text may follow, and a call that is cut must not look whole.
    fn close_as_error(&mut self, message: &str) {
        self.drop_held();
        let context = &self.emit.inner.context;
        let so_far = self.emit.encoder.so_far();
        let frame = context.dialect.error_frame("api_error", message, &context.transaction_id, so_far);
        self.emit.own(&frame);
        (self.closed, self.complete) = (true, true);
    }
}

impl Emitter {
    /// A block that was decided upon and changed: what stands in its place. Its calls go with the other calls, in its place among
    /// them.
    pub(super) fn write_items(&mut self, choice: &mut Choice, at: usize) {
        let choice_at = choice.slots[at].id.choice;
        let is_call = choice.slots[at].lane == Lane::Call;
        let items = choice.slots[at].outcome.as_mut().and_then(|outcome| outcome.items.take()).unwrap_or_default();
        if let (Lane::Text, [Item::Block(Block::Text(text))]) = (&choice.slots[at].lane, items.as_slice())
            && !text.is_empty()
        {
            return self.write_changed(choice, at, text);
        }
        self.forget(&mut choice.slots[at]);
        choice.slots[at].done = true;
        for item in items {
            match item {
                Item::Message(text) => self.write_text(choice, choice_at, &text, true),
                Item::Block(Block::Text(text)) => self.write_text(choice, choice_at, &text, is_call),
                Item::Block(Block::ToolCall(call)) => choice.added.push((at, call)),
                Item::Block(Block::Thinking(_) | Block::Opaque { .. }) => {}
            }
        }
        choice.calls_changed |= is_call || !choice.added.is_empty();
    }

    /// A text block as the upstream wrote it, with other words.
    fn write_changed(&mut self, choice: &mut Choice, at: usize, text: &str) {
        self.acting = true;
        choice.slots[at].changed = false;
        let mut words = Some(text);
        while let Some(atom) = choice.slots[at].atoms.pop_front() {
            self.held = self.held.saturating_sub(atom.weight());
            match &atom.what {
                What::Block { piece: Piece::Text(_), start, end, .. } => {
                    match (words.take(), start.is_some() || *end) {
                        (Some(text), _) => self.write_atom(choice, at, atom, Some(text)),
                        (None, true) => self.write_atom(choice, at, atom, Some("")),
                        (None, false) => {}
                    }
                }
                What::Block { end: true, id, .. } if words.is_some() => {
                    let (id, place) = (*id, self.place(choice, at, &atom));
                    let text = words.take().unwrap_or_default();
                    self.write(|encoder| encoder.text_delta(id.choice, place, text));
                    self.write_atom(choice, at, atom, None);
                }
                _ => self.write_atom(choice, at, atom, None),
            }
        }
        self.finish_slot(choice, at);
    }

    /// A text of the gateway's. `apart`: from the text before it, which on Chat is in the same string.
    pub(super) fn write_text(&mut self, choice: &mut Choice, at: u32, text: &str, apart: bool) {
        if text.is_empty() {
            return;
        }
        self.acting = true;
        self.begin_answer();
        let joined = if apart && choice.text_sent && !self.encoder.sequential() { "\n\n" } else { "" };
        let bytes = self.encoder.text_block(at, choice.next, &format!("{joined}{text}"));
        self.own(&bytes);
        choice.next = choice.next.saturating_add(1);
        choice.text_sent = true;
    }

    pub(super) fn write_call(&mut self, choice: &mut Choice, at: u32, call: &ToolCall) {
        self.begin_answer();
        let place = if self.encoder.sequential() { choice.next } else { choice.next_call };
        self.write(|encoder| encoder.call_block(at, place, call));
        choice.next = choice.next.saturating_add(1);
        choice.next_call += 1;
        choice.calls_sent += 1;
    }

    /// All is decided: what has waited goes out, then the stop.
    pub(super) fn release(&mut self, at: u32, choice: &mut Choice) {
        if let Some(items) = choice.instead.take() {
            self.release_instead(at, choice, items);
        } else {
            self.release_blocks(at, choice);
        }
        let (atom, reason) = choice.stop.take().unwrap_or((None, StopReason::End));
        let new = match reason {
            StopReason::ToolUse if choice.calls_changed && choice.calls_sent == 0 => Some(StopReason::End),
            StopReason::End if choice.calls_changed && choice.calls_sent > 0 => Some(StopReason::ToolUse),
            _ => None,
        };
        match &atom {
            Some(atom) if new.is_none() && !self.acting => self.out.atom(atom.clone(), &mut self.encoder, false),
            Some(atom) if new.is_none() && atom.of > 1 => self.out.atom(atom.clone(), &mut self.encoder, true),
            Some(atom) => self.out.bytes(&self.encoder.stop(atom, new.as_ref()), &mut self.encoder),
            None => {}
        }
        choice.stop = Some((None, reason));
        choice.released = true;
    }

    pub(super) fn release_blocks(&mut self, at: u32, choice: &mut Choice) {
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
        let mut added = std::mem::take(&mut choice.added);
        added.sort_by_key(|(place, _)| *place);
        let mut added = added.into_iter().peekable();
        for n in 0..choice.slots.len() {
            while let Some((_, call)) = added.next_if(|(place, _)| *place <= n) {
                self.write_call(choice, at, &call);
            }
            if !choice.slots[n].done {
                self.write_slot(choice, n);
            }
        }
    }

    /// A member that watches the turn has put something in place of all of it.
    pub(super) fn release_instead(&mut self, at: u32, choice: &mut Choice, items: Vec<Item>) {
        for slot in &mut choice.slots {
            slot.atoms.clear();
            slot.done = true;
        }
        choice.calls_changed = true;
        let texts = std::mem::take(&mut choice.notices);
        let mut calls = Vec::new();
        for item in items {
            match item {
                Item::Message(text) | Item::Block(Block::Text(text)) => self.write_text(choice, at, &text, true),
                Item::Block(Block::ToolCall(call)) => calls.push(call),
                Item::Block(_) => {}
            }
        }
        for text in texts {
            self.write_text(choice, at, &text, true);
        }
        for call in calls {
            self.write_call(choice, at, &call);
        }
    }
}
