//! A judgement that is given up: its deadline has passed, or nobody waits for it any more.

/// Why there is no verdict then, for the record.
const WHY: &str = "given up before there was a verdict";

/// Tells of a judgement that is dropped before it has come to its end.
pub(crate) struct Unfinished<F: Fn(&str)>(Option<F>);

impl<F: Fn(&str)> Unfinished<F> {
    /// `tell` gets the reason.
    pub(crate) fn new(tell: F) -> Self {
        Self(Some(tell))
    }

    /// It has come to its end.
    pub(crate) fn finish(mut self) {
        self.0 = None;
    }
}

impl<F: Fn(&str)> Drop for Unfinished<F> {
    fn drop(&mut self) {
        if let Some(tell) = &self.0 {
            tell(WHY);
        }
    }
}
