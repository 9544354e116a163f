//! End to end: real clients, the real gateway, and upstreams that play scripts or are real.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

mod llama;
