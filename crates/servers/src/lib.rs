//! Real databases and stores for tests: PostgreSQL, Redis and an S3 store, each a process with a folder and a port of its own.
//!
//! Nothing that the system runs is used or disturbed. Every server is ended by its process id when its value is dropped.
//! All calls block; the longest, a first start of PostgreSQL, takes about a second.

mod account;
mod database;
mod places;
mod port;
mod postgres;
mod process;
mod redis;
mod s3;

pub use database::{Database, SHARED, database};
pub use postgres::Postgres;
pub use redis::Redis;
pub use s3::S3;

/// How a server is made to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is asked to end, closes its connections and writes what it holds.
    Fast,
    /// All its processes are killed at once, as a crash would.
    Kill,
}
