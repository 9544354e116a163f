//! The record: transactions, the journal, the store and history. Knows the wire, no HTTP.

pub mod model;
