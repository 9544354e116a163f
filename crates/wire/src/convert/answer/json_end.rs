//! Knows when JSON that comes in fragments is whole.

/// Whether a text that grows is a whole JSON object or array.
#[derive(Debug, Default)]
pub(super) struct JsonEnd {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl JsonEnd {
    /// More of the text.
    pub(super) fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Nothing but white space can follow.
    pub(super) fn ended(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}
