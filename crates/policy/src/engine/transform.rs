//! Texts through the streaming members, piece by piece: what they hold back, and no empty block.

use luthien_wire::stream::{Atom, Piece, What};
use luthien_wire::turn::BlockId;

use super::choice::Choice;
use super::emit::Emitter;
use crate::contract::{Mode, TextWatch};
use crate::plan::{Opened, Panicked};

impl Emitter {
    /// A part of a text block, through the streaming members.
    pub(super) fn write_transformed(&mut self, choice: &mut Choice, at: usize, atom: Atom) {
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
                let new = match self.transform(id, text) {
                    Ok(Some(new)) => new,
                    Ok(None) => {
                        self.write_start(choice, at);
                        return self.write_atom(choice, at, atom, None);
                    }
                    Err(Panicked(message)) => return self.failed = Some(message),
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
    pub(super) fn write_start(&mut self, choice: &mut Choice, at: usize) {
        if let Some(start) = choice.slots[at].start.take() {
            // It may have had text, which the streaming members have taken.
            let text = matches!(&start.what, What::Block { piece: Piece::Text(_), .. }).then_some("");
            self.write_atom(choice, at, start, text);
        }
    }

    /// What the streaming members held back.
    pub(super) fn flush_transform(&mut self, choice: &mut Choice, at: usize) {
        let id = choice.slots[at].id;
        let rest = match self.transform_end(id) {
            Ok(rest) => rest,
            Err(Panicked(message)) => return self.failed = Some(message),
        };
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
    pub(super) fn transform(&self, id: BlockId, text: &str) -> Result<Option<String>, Panicked> {
        let mut now: Option<String> = None;
        for member in self.streaming() {
            now = self.inner.piece(member, id, now.as_deref().unwrap_or(text))?.or(now);
        }
        Ok(now.filter(|now| now != text))
    }

    /// Each member's rest goes through the members after it.
    pub(super) fn transform_end(&self, id: BlockId) -> Result<String, Panicked> {
        let mut rest = String::new();
        for member in self.streaming() {
            if !rest.is_empty()
                && let Some(new) = self.inner.piece(member, id, &rest)?
            {
                rest = new;
            }
            rest.push_str(&self.inner.rest(member, id)?);
        }
        Ok(rest)
    }

    pub(super) fn streaming(&self) -> impl Iterator<Item = &Opened> {
        let streams = |m: &&Opened| m.mode == Mode::Enforce && m.watch.text == TextWatch::Streamed;
        self.inner.members.iter().filter(streams)
    }
}
