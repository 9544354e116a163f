//! The dialects as data: framing, the turn, requests, decoding and encoding. No I/O, no async.
//!
//! A dialect is one of the HTTP protocols that agents speak to models. This crate knows how each looks on the wire
//! (`sse`, `json`, `messages`, `chat`, `responses`), what it means (`turn`, `request`), and how one is said in another
//! (`convert`). Whatever nobody changes keeps its bytes.

pub mod answer;
pub mod chat;
pub mod conversation;
pub mod convert;
pub mod dialect;
pub mod json;
pub mod logprobs;
pub mod messages;
pub mod model_name;
pub mod request;
pub mod responses;
pub mod sse;
pub mod stream;
pub mod turn;
pub mod usage;
pub mod whole;

pub use dialect::{Dialect, SoFar};
