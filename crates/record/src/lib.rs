//! The record: transactions, the journal, the store and history. Knows the wire, no HTTP.
//!
//! The way of a transaction: `recorder` gathers its pieces, `journal` keeps them safe until they are stored, `writer`
//! splits and stores them, `store` gives them back whole, and `history` shows them to people.

pub mod history;
pub mod model;
pub mod recorder;
pub mod store;

pub use recorder::{InFlight, Recorder, RecorderConfig};
pub use store::Store;
