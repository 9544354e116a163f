//! What is ready to be written, and whether a frame's parts go out together, so that it can go out as it came.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use luthien_wire::stream::{Atom, Encoder};

/// Bytes ready to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    ready: BytesMut,
    /// The first parts of a frame whose others may follow.
    run: Vec<Atom>,
}

impl Output {
    /// An atom, unchanged. `strict`: in the form that the strictest reader takes.
    pub(super) fn atom(&mut self, atom: Atom, encoder: &mut Encoder, strict: bool) {
        if atom.of == 1 || (strict && encoder.numbered()) {
            self.end_of_frame(encoder);
            if strict {
                self.ready.extend_from_slice(&encoder.part(&atom));
            } else {
                self.ready.extend_from_slice(&atom.frame.raw);
                encoder.passed(&atom);
            }
            return;
        }
        let follows = self.run.first().is_some_and(|first| Arc::ptr_eq(&first.frame, &atom.frame));
        if !(follows && atom.index == self.run.len()) {
            self.end_of_frame(encoder);
        }
        if atom.index != self.run.len() {
            self.ready.extend_from_slice(&encoder.part(&atom));
            return;
        }
        let whole = atom.index + 1 == atom.of;
        self.run.push(atom);
        if whole {
            self.ready.extend_from_slice(&self.run[0].frame.raw);
            encoder.passed(&self.run[0]);
            self.run.clear();
        }
    }

    /// Bytes in the gateway's own hand.
    pub(super) fn bytes(&mut self, bytes: &[u8], encoder: &mut Encoder) {
        self.end_of_frame(encoder);
        self.ready.extend_from_slice(bytes);
    }

    /// No further part of the last frame goes out with its first ones.
    pub(super) fn end_of_frame(&mut self, encoder: &mut Encoder) {
        for atom in self.run.drain(..) {
            self.ready.extend_from_slice(&encoder.part(&atom));
        }
    }

    /// All that is ready.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.ready.is_empty()).then(|| self.ready.split().freeze())
    }
}
