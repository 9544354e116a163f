//! HTTP: the way of a request from a client through the policies to an upstream and back, and the admin API beside it.

pub mod clock;
pub mod config;
pub mod data_dir;
pub mod settings;
