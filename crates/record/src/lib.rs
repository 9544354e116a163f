//! The record: transactions, the journal, the store and history. Knows the wire, no HTTP.
//!
//! The way of a transaction: `recorder` gathers its pieces, `journal` keeps them safe until they are stored, the writer
//! in `recorder` splits (`body`) and stores them (`sqlite`), `store` gives them back whole, and `history` shows them to people.

mod body;
pub mod history;
mod journal;
pub mod model;
mod private;
pub mod recorder;
pub mod redact;
mod sqlite;
pub mod store;
#[cfg_attr(not(test), expect(dead_code, reason = "the writer and the queries come to use it"))]
mod words;

#[cfg(test)]
mod testing;

pub use recorder::{InFlight, Recorder, RecorderConfig, SentRequest};
pub use store::Store;
