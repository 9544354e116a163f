//! The record: transactions, the journal, the store and history. Knows the wire, no HTTP.
//!
//! The way of a transaction: `recorder` gathers its pieces, `journal` keeps them safe until they are stored, the writer
//! in `recorder` splits (`body`) and stores them (`sql`, in the `database`), `store` gives them back whole, and `history` shows them to people.

pub mod archive;
pub mod backup;
mod body;
pub mod checkup;
mod database;
pub mod history;
pub mod import;
mod journal;
pub mod model;
pub mod older;
mod private;
pub mod recorder;
pub mod redact;
pub mod retention;
pub mod schema;
mod sql;
pub mod store;
mod words;

#[cfg(test)]
mod testing;

pub use database::{DatabaseOptions, MigrationStatus, SchemaStatus, Standing};
pub use recorder::{Importer, InFlight, Recorder, RecorderConfig, SentRequest};
pub use store::Store;
