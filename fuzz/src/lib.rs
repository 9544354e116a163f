//! What holds for every input, as functions that panic where it does not. Each target runs one of them.

pub mod answers;
pub mod asks;
pub mod client;
mod cuts;
pub mod engine;
pub mod framing;
pub mod mutate;
pub mod requests;
pub mod shell;
pub mod streams;
pub mod wholes;
