//! What the end to end tests stand on: the real gateway, real clients and a real model server, each a process of its own.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "this crate is part of the tests: what cannot be set up fails them"
)]

pub mod aimock;
pub mod clients;
pub mod gateway;
pub mod http;
pub mod litellm;
pub mod llama;
mod places;
pub mod policy_server;
mod process;
pub mod relay;
