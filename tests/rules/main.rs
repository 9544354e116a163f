//! The protocol rules, one group for each file: the real gateway, watched from outside over sockets.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod broken;
mod converted;
mod edits;
mod enforcement;
mod everywhere;
mod hostile;
mod kept;
mod leaks;
mod limits;
mod mutations;
mod odd_requests;
mod record;
mod redacted;
mod rewriting;
mod secrets;
mod support;
mod tricks;
mod waiting;
mod words;
