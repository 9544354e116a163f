//! Policies: the contract, the engine that carries it out, the catalogue, and judges.
//!
//! Knows the wire, no HTTP server and no database.

mod breaker;
pub mod breakers;
pub mod catalogue;
pub mod contract;
pub mod engine;
pub mod evaluate;
pub mod judge;
mod message;
pub mod people;
pub mod plan;
mod policies;
pub mod remote;
pub mod rules;
#[cfg(test)]
mod scripted;
pub mod tree;
