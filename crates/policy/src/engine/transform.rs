//! Texts through the streaming members, piece by piece: what they hold back, and no empty block.

use luthien_wire::stream::{Atom, Piece, What};
use luthien_wire::turn::BlockId;

use super::choice::Choice;
use super::emit::Emitter;
use crate::plan::{Ledger, Panicked};

impl Emitter {
    /// A part of a text block, through the streaming members.
    pub(super) fn write_transformed(&mut self, choice: &mut Choice, at: usize, atom: Atom) {
        let What::Block { id, start, piece, end } = &atom.what else {
            return self.out.atom(atom, &mut self.encoder, self.acting);
        };
        let (id, end) = (*id, *end);
        if let (true, Piece::Text(text)) = (end, piece) {
            let text = text.clone();
            return self.write_last_words(choice, at, atom, &text);
        }
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
                let new = match self.transform(id, text, &mut choice.slots[at].likeness) {
                    Ok(Some(new)) => new,
                    Ok(None) => {
                        self.write_start(choice, at);
                        return self.write_atom(choice, at, atom, None);
                    }
                    Err(Panicked(message)) => return self.failed = Some(message),
                };
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

    /// The end of a text that brings words of its own: all of them before the end, what was held back included.
    fn write_last_words(&mut self, choice: &mut Choice, at: usize, atom: Atom, text: &str) {
        choice.slots[at].transform_began.get_or_insert_with(tokio::time::Instant::now);
        choice.slots[at].flushed = true;
        let (id, likeness) = (choice.slots[at].id, &mut choice.slots[at].likeness);
        let words = self.transform(id, text, likeness).and_then(|new| {
            let rest = self.transform_end(id, likeness)?;
            Ok(new.unwrap_or_else(|| text.to_owned()) + &rest)
        });
        let words = match words {
            Ok(words) => words,
            Err(Panicked(message)) => return self.failed = Some(message),
        };
        self.write_start(choice, at);
        self.acting |= words != text;
        let changed = self.acting.then_some(words);
        self.write_atom(choice, at, atom, changed.as_deref());
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
        let slot = &mut choice.slots[at];
        if std::mem::replace(&mut slot.flushed, true) {
            return;
        }
        let id = slot.id;
        let rest = match self.transform_end(id, &mut slot.likeness) {
            Ok(rest) => rest,
            Err(Panicked(message)) => return self.failed = Some(message),
        };
        if !rest.is_empty() {
            self.acting = true;
            self.write_start(choice, at);
            let place = choice.slots[at].at.unwrap_or(choice.next);
            choice.text_sent = true;
            self.write(|encoder| encoder.text_delta(id.choice, place, &rest));
        }
    }

    /// What the streaming members make of a text; `None`: what it is.
    fn transform(&self, id: BlockId, text: &str, seen: &mut Vec<Likeness>) -> Result<Option<String>, Panicked> {
        let mut now: Option<String> = None;
        let ledger = Ledger::enforced(&self.inner);
        for (at, member) in self.inner.streaming().enumerate() {
            let before = now.as_deref().unwrap_or(text);
            let new = ledger.piece(member, id, before)?;
            of(seen, at).saw(before, new.as_deref().unwrap_or(before));
            now = new.or(now);
        }
        Ok(now.filter(|now| now != text))
    }

    /// Each member's rest goes through the members after it.
    fn transform_end(&self, id: BlockId, seen: &mut Vec<Likeness>) -> Result<String, Panicked> {
        let mut rest = String::new();
        let ledger = Ledger::enforced(&self.inner);
        for (at, member) in self.inner.streaming().enumerate() {
            let before = rest.clone();
            if !rest.is_empty()
                && let Some(new) = ledger.piece(member, id, &rest)?
            {
                rest = new;
            }
            rest.push_str(&ledger.rest(member, id)?);
            of(seen, at).saw(&before, &rest);
        }
        Ok(rest)
    }
}

fn of(seen: &mut Vec<Likeness>, at: usize) -> &mut Likeness {
    if seen.len() <= at {
        seen.resize_with(at + 1, Likeness::default);
    }
    &mut seen[at]
}

/// Whether what a member has let out is what came in, however it was cut. Keeps only what the member holds back.
#[derive(Debug, Default)]
pub(super) struct Likeness {
    /// What came in and has not come out.
    behind: String,
    differs: bool,
}

impl Likeness {
    fn saw(&mut self, came: &str, left: &str) {
        if self.differs || (self.behind.is_empty() && came == left) {
            return;
        }
        self.behind.push_str(came);
        if self.behind.starts_with(left) {
            self.behind.drain(..left.len());
        } else {
            self.differs = true;
            self.behind = String::new();
        }
    }

    /// The member has changed the text, which has ended.
    pub(super) fn differs(&self) -> bool {
        self.differs || !self.behind.is_empty()
    }
}
