//! The real binary, from outside.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails with what goes wrong")]

mod agents;
mod background;
mod basics;
mod credentials;
mod demo;
mod doctor;
mod documents;
mod exporting;
mod keeping;
mod moving;
mod newcomers;
mod people;
mod settings;
mod support;
mod traffic;
