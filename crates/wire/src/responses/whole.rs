//! A whole Responses answer.

use crate::turn::Unreadable;
use crate::whole::{Edit, Whole};

pub(crate) fn decode(_text: &str) -> Result<Whole, Unreadable> {
    Err(Unreadable::Contradiction)
}

pub(crate) fn rewrite(_body: &str, _whole: &Whole, _edits: &[Option<Edit>]) -> Option<String> {
    None
}

pub(crate) fn synthetic(_model: &str, _id: &str, _text: &str) -> String {
    String::new()
}
