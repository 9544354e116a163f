//! HTTP: the way of a request from a client through the policies to an upstream and back, and the admin API beside it.

mod answer;
mod body;
pub mod caps;
mod credentials;
mod decode_body;
mod errors;
mod fates;
mod gateway;
mod headers;
mod models;
mod open_calls;
mod receive;
mod routes;
mod send;
mod server;
mod session;
mod stored;
mod tab;
mod transaction;
mod upstream;
mod validation;
mod way;
mod whole_body;

pub mod access;
pub mod activity;
pub mod admin;
pub mod admin_access;
pub mod admin_runtime;
pub mod approvals;
pub mod audit;
pub mod client_keys;
pub mod clock;
pub mod config;
pub mod data_dir;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod judges;
pub mod live;
pub mod live_settings;
pub mod notify;
pub mod panic_switch;
pub mod policy_servers;
pub mod policy_state;
pub mod posture;
pub mod rates;
pub mod redaction;
pub mod replicas;
pub mod retention;
pub mod revisions;
pub mod scopes;
pub mod server_credentials;
pub mod settings;

pub use gateway::{Common, Gateway, Running, StartError};
pub use upstream::UpstreamError;
pub use upstream::probe::{Answered, Obstacle, Probe, probe};
