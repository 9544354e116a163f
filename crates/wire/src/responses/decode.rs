//! Reads the events of a Responses stream.

use crate::sse::Frame;
use crate::stream::{Atom, What};

/// Reads frames.
#[derive(Debug, Default)]
pub struct Decoder {
    seen: u64,
}

impl Decoder {
    /// Adds the atoms of a frame to `out`.
    pub fn decode(&mut self, frame: Frame, out: &mut Vec<Atom>) {
        self.seen += 1;
        out.push(Atom::whole(frame, What::Loose));
    }
}
