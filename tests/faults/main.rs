//! What breaks around the gateway or in it: kills, databases that stop, hang or crawl, full disks. Nothing is lost, and
//! traffic sees nothing of it.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod dice;
mod fault;
mod full;
mod kills;
mod load;
mod outages;
mod record;
mod rig;
mod said;
