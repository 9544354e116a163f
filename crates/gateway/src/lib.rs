//! HTTP: the way of a request from a client through the policies to an upstream and back, and the admin API beside it.

pub mod admin;
pub mod admin_runtime;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod live;
pub mod policy_state;
pub mod posture;
pub mod settings;
