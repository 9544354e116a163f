//! End to end: real clients, the real gateway, and upstreams that play scripts or are real.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod aimock;
mod bytes;
mod claude_code;
mod codex;
mod commands;
mod crash;
mod inspect;
mod litellm;
mod llama;
mod openapi;
mod pi;
mod policy_servers;
mod said;
mod sdks;
mod spending;
