//! OpenAI Responses: streamed events and whole answers.
//!
//! An output item is a block. What it says is repeated up to three times (the part's end, the item's end, the completed
//! response), and all must agree.

mod decode;
mod encode;
mod frames;
mod item;
mod own;
mod whole;

pub use decode::Decoder;
pub use encode::Encoder;
pub use frames::begun;
pub(crate) use own::response as own_response;
pub(crate) use whole::{decode as decode_whole, rewrite as rewrite_whole, synthetic as synthetic_whole};

#[cfg(test)]
mod tests;
