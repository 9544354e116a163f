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

/// What the keys of the usual vendors look like: a name for people and a regular expression each.
pub fn key_patterns() -> &'static [(&'static str, &'static str)] {
    policies::leaked_api_key_detection::patterns::DEFAULT
}
