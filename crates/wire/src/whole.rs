//! A whole (not streamed) answer: its blocks, and the answer again with some of them replaced.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::stream::Kind;
use crate::turn::{Block, BlockId, StopReason, ToolCall, Unreadable};
use crate::{chat, logprobs, messages, responses};

/// A whole answer, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// Its choices, in order; one on Messages.
    pub choices: Vec<Choice>,
}

/// One choice of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its position among the choices.
    pub position: usize,
    /// Its blocks, in order.
    pub parts: Vec<Part>,
    /// Why it stopped; `None` where the answer does not say.
    pub stop: Option<StopReason>,
}

/// A block of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Where it stands.
    pub id: BlockId,
    /// What kind it is.
    pub kind: Kind,
    /// What it says.
    pub block: Block,
    /// Its JSON's span in the body.
    pub span: Range<usize>,
}

/// What an edited choice consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// A block as it came, by its position in `parts`.
    Keep(usize),
    /// A text as it came, by its position in `parts`, that now says something else.
    Changed(usize, String),
    /// A text of the gateway's.
    Text(String),
    /// A call of the gateway's.
    Call(ToolCall),
}

/// A choice as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Its blocks, in order.
    pub blocks: Vec<Out>,
    /// The stop reason, where it changes.
    pub stop: Option<StopReason>,
}

/// Reads a body. An answer that is not of the dialect's form is unreadable.
pub fn decode(dialect: Dialect, body: &[u8]) -> Result<Whole, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    match dialect {
        Dialect::Messages => messages::decode_whole(text),
        Dialect::Chat => chat::decode_whole(text),
        Dialect::Responses => responses::decode_whole(text),
    }
}

/// The body with the choices that have an edit changed; the rest byte for byte, but for log probabilities of what is gone.
/// `edits` are in the order of the choices.
pub fn rewrite(dialect: Dialect, body: &str, whole: &Whole, edits: &[Option<Edit>]) -> Option<String> {
    if edits.iter().all(Option::is_none) {
        return Some(body.to_owned());
    }
    let out = match dialect {
        Dialect::Messages => messages::rewrite_whole(body, whole, edits),
        Dialect::Chat => chat::rewrite_whole(body, whole, edits),
        Dialect::Responses => responses::rewrite_whole(body, whole, edits),
    }?;
    Some(logprobs::sift(dialect, &out).unwrap_or(out))
}

/// A well-formed answer of the gateway's own, with one text.
pub fn synthetic(dialect: Dialect, model: &str, id: &str, text: &str) -> String {
    match dialect {
        Dialect::Messages => messages::synthetic_whole(model, id, text),
        Dialect::Chat => chat::synthetic_whole(model, id, text),
        Dialect::Responses => responses::synthetic_whole(model, id, text),
    }
}
