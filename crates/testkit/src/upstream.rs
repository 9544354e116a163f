//! An upstream on a loopback port that plays scripts and keeps every request as it came.
//!
//! `/v1/messages`, `/v1/chat/completions` and `/v1/responses` play the default script, `/s/<name>/v1/…` the script of that
//! name. Responses are kept as their vendor keeps them, to be read, cancelled and deleted below `/v1/responses/<id>`.
//! Token counts, `/v1/responses/compact` and `/v1/models` have fixed answers; anything else is a 404.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reply::Reply;
use crate::script::Script;

mod body;
mod log;
mod serve;
mod stored;
mod tap;

pub use log::{Ending, Recorded};

/// Where the script for lists of models is kept; no path names it.
const MODELS: &str = "/models";

/// An upstream; it stops when dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What all connections share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    scripts: Mutex<HashMap<String, Slot>>,
    log: Arc<log::Log>,
    stored: stored::Stored,
}

/// A script and how many requests it has answered.
#[derive(Clone, Debug)]
struct Slot {
    script: Script,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl Upstream {
    /// Starts on a free port. Until told otherwise it answers every turn with a short text.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let upstream = Self {
            address: listener.local_addr()?,
            shared: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        upstream.default_script(crate::Answer::text("Hello from the scripted upstream."));
        let (shared, stop, tasks) = (upstream.shared.clone(), upstream.stop.clone(), upstream.tasks.clone());
        upstream.tasks.spawn(async move { stop.run_until_cancelled(accept(listener, shared, &tasks, &stop)).await });
        Ok(upstream)
    }

    /// Where it listens: `http://127.0.0.1:<port>`, no slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plays `script` for paths below `/s/<name>`; the result is the base URL to use. Replaces one of the same name.
    pub fn script(&self, name: &str, script: impl Into<Script>) -> String {
        self.put(name, script.into());
        format!("{}/s/{name}", self.base_url())
    }

    /// Plays `script` for all paths that name none.
    pub fn default_script(&self, script: impl Into<Script>) {
        self.put("", script.into());
    }

    /// Plays `script` for `GET /v1/models`, in place of a list of some models.
    pub fn models_script(&self, script: impl Into<Script>) {
        self.put(MODELS, script.into());
    }

    /// Keeps an answer to be read as `/v1/responses/<id>`, with or without `stream=true`.
    pub fn store(&self, id: &str, reply: &Reply) {
        self.shared.stored.put(id, reply);
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.all()
    }

    /// The requests for turns so far (`POST` to where a dialect asks for turns, whatever the script).
    pub fn turns(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(Recorded::is_turn).collect()
    }

    /// Waits until `count` requests have arrived whole, and gives all there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        self.shared.log.wait(|all| all.len() >= count).await
    }

    /// Waits until the answer to request `number` (from 0, in order of arrival) has ended in whatever way.
    pub async fn ended(&self, number: usize) -> Option<Recorded> {
        let ended = |all: &[Recorded]| all.get(number).is_some_and(|one| one.ending != Ending::Playing);
        self.shared.log.wait(ended).await.into_iter().nth(number)
    }

    /// Forgets the requests so far; numbers start again from 0. Answers still playing are no longer followed.
    pub fn clear(&self) {
        self.shared.log.clear();
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> u64 {
        self.shared.log.connections()
    }

    /// Stops, drops all connections and waits until all is gone.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn put(&self, name: &str, script: Script) {
        let mut scripts = self.shared.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.insert(name.to_owned(), Slot { script, asked: Arc::default() });
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.cancel();
        self.tasks.close();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: &TaskTracker, stop: &CancellationToken) {
    loop {
        // An error here is the peer's (it gave up) or passing (no file handles).
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (shared, stop) = (shared.clone(), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(connection(stream, shared)).await });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small frames leave at once, as a vendor's do.
    let _ = stream.set_nodelay(true);
    let number = shared.log.connected();
    let (tap, line) = tap::tap(stream);
    let service = service_fn(|request| serve::serve(&shared, &line, number, request));
    // A connection ends with an error when a script cuts it or the client goes: both are recorded with the request.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(tap), service).await;
}

#[cfg(test)]
mod tests;
