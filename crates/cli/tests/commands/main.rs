//! The real binary, from outside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails with what goes wrong")]

mod agents;
mod basics;
mod demo;
mod documents;
mod exporting;
mod keeping;
mod moving;
mod settings;
mod support;
mod traffic;
