//! Policy servers: policies that run outside this process. The gateway brings the transport; messages, deadlines and what
//! a missing answer means are here.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub mod protocol;

pub(crate) mod caller;
pub(crate) mod outside;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod translate;

/// Where a policy server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `http://…`, `https://…`, or `unix:` and the path of a socket.
    pub url: String,
    /// The environment variable that holds the secret which is sent with each message.
    pub secret_env: Option<String>,
}

/// A policy server that the gateway starts by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The Python interpreter.
    pub python: String,
    /// The file with the policy.
    pub file: String,
    /// Which policy of the file; its only one where there is none.
    pub class: Option<String>,
    /// The names of the environment variables that it gets.
    pub env: Vec<String>,
    /// The most reviews at once.
    pub at_once: u32,
}

/// Why a place or a program cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The way to the field of the configuration that is wrong.
    pub field: &'static [&'static str],
    /// What is wrong with it.
    pub why: String,
}

/// One message to a policy server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it goes, below the server's URL.
    pub path: &'static str,
    /// The JSON that is posted; `None` asks by GET.
    pub body: Option<Bytes>,
    /// The largest answer that is read, in bytes.
    pub largest: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Nobody is there.
    #[error("the policy server cannot be reached: {0}")]
    Unreachable(String),
    /// It broke off, or spoke something that is not HTTP.
    #[error("the policy server broke off: {0}")]
    Broken(String),
    /// Its answer is too large.
    #[error("the policy server's answer has more than {0} bytes")]
    TooLarge(usize),
}

/// Gives ways to policy servers.
pub trait PolicyServers: Send + Sync + Debug {
    /// The way to one. Connects to nothing.
    fn at(&self, place: &Place) -> Result<Arc<dyn PolicyServer>, Unusable>;

    /// Starts one, and keeps it running until the way to it is dropped. Waits for nothing.
    fn run(&self, program: &Program) -> Result<Arc<dyn PolicyServer>, Unusable> {
        Err(Unusable { field: &["file"], why: format!("{} is not started here", program.file) })
    }
}

/// The way to one policy server. One call is one HTTP exchange; deadlines and retries are the caller's.
pub trait PolicyServer: Send + Sync + Debug {
    /// Sends a message and waits for the whole answer.
    fn send(&self, message: Message) -> BoxFuture<'_, Result<Reply, ServerError>>;
}

/// Stands for a server where policies are only looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nowhere;

impl PolicyServer for Nowhere {
    fn send(&self, _message: Message) -> BoxFuture<'_, Result<Reply, ServerError>> {
        Box::pin(async { Err(ServerError::Unreachable("policy servers are not asked here".to_owned())) })
    }
}
