//! What several gateways share over Redis: what happens, and hints to look into the database now.
//!
//! Redis may lose any of it, and traffic never waits for it. Two channels:
//!
//! - `luthien:activity`: an event as the activity stream has it, `{transaction_id, call_id, event_type, timestamp, data,
//!   replica}`, at most 4 KiB. `replica` is the gateway where it happened; each passes over its own.
//! - `luthien:changes`: `{replica}`: something was changed in the database, look now.

mod message;
mod session;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Client, IntoConnectionInfo, ProtocolVersion, RedisError};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::session::{Over, Session};
use crate::activity::Activity;

/// What the names of all channels begin with.
pub const PREFIX: &str = "luthien:";

/// Where gateways tell what happens.
const ACTIVITY: &str = "luthien:activity";

/// Where they tell that something was changed.
const CHANGES: &str = "luthien:changes";

/// How long to wait before connecting again: at first, doubled each time, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Hints between gateways. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    inner: Arc<Both>,
}

#[derive(Debug, Default)]
struct Both {
    given: Notify,
    heard: Notify,
}

impl Hints {
    /// Something was changed here: others are to look.
    pub fn give(&self) {
        self.inner.given.notify_one();
    }

    /// Resolves when something was changed elsewhere, or may have been. For one waiter.
    pub async fn heard(&self) {
        self.inner.heard.notified().await;
    }

    pub(crate) fn hear(&self) {
        self.inner.heard.notify_one();
    }

    pub(crate) async fn given(&self) {
        self.inner.given.notified().await;
    }
}

/// How the link to Redis fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkHealth {
    /// Redis answers.
    pub connected: bool,
    /// Events of this gateway that no other one was told, since the start.
    pub dropped: u64,
    /// Messages of others that could not be taken, since the start.
    pub ignored: u64,
}

/// The link to Redis: one connection, made again whenever it is lost. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    activity: Activity,
    hints: Hints,
    state: Mutex<State>,
    dropped: AtomicU64,
    ignored: AtomicU64,
    /// How long the last answer took, in microseconds.
    latency: AtomicU64,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    /// Why, as the log has it already.
    Away(String),
}

/// Reads the address, with what is needed of the protocol. The error never holds the address, which may hold a password.
pub(crate) fn client(url: &str) -> Result<Client, &'static str> {
    const EXPECTED: &str = "a URL such as `redis://host:6379/0` or `rediss://user:password@host:6380/0`";
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err(EXPECTED);
    }
    let info = url.into_connection_info().map_err(|_| EXPECTED)?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(|_| EXPECTED)
}

/// How long a Redis takes to answer that is asked now, apart from any gateway. The error holds no address.
pub async fn ping(url: &SecretString, within: Duration) -> Result<Duration, String> {
    let client = client(url.expose_secret())?;
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        let began = tokio::time::Instant::now();
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(began.elapsed())
    };
    match timeout(within, asked).await {
        Ok(Ok(took)) => Ok(took),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(format!("it did not answer within {} seconds", within.as_secs())),
    }
}

impl Link {
    /// A link that is not yet up. Fails where the address is none.
    pub fn new(url: &SecretString, activity: Activity, hints: Hints) -> Result<Self, &'static str> {
        let inner = Inner {
            client: client(url.expose_secret())?,
            activity,
            hints,
            state: Mutex::new(State::Connecting),
            dropped: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps it up on these threads until [`Link::shutdown`]. That Redis is away is no failure.
    pub fn start(&self, on: &Handle) {
        self.inner.tasks.spawn_on(Arc::clone(&self.inner).keep_up(), on);
        self.inner.tasks.close();
    }

    /// How it fares. Cheap.
    pub fn health(&self) -> LinkHealth {
        LinkHealth {
            connected: *self.inner.state() == State::Connected,
            dropped: self.inner.dropped.load(Ordering::Relaxed),
            ignored: self.inner.ignored.load(Ordering::Relaxed),
        }
    }

    /// How long Redis took to answer last, or why it does not.
    pub fn answers(&self) -> Result<Duration, String> {
        match &*self.inner.state() {
            State::Connected => Ok(Duration::from_micros(self.inner.latency.load(Ordering::Relaxed))),
            State::Connecting => Err("not connected yet".to_owned()),
            State::Away(why) => Err(why.clone()),
        }
    }

    /// Tells what is left to tell, for at most `within`, and ends.
    pub async fn shutdown(&self, within: Duration) {
        self.inner.stop.cancel();
        if timeout(within, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("Redis did not take the last events in time");
        }
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, works until the connection is lost, and again.
    async fn keep_up(self: Arc<Self>) {
        let mut watcher = self.activity.watch(None);
        let mut wait = AGAIN.0;
        loop {
            let opened = tokio::select! {
                biased;
                opened = Session::open(&self.client) => opened,
                () = self.stop.cancelled() => return,
            };
            let lost = match opened {
                Ok(session) => {
                    self.turn(State::Connected);
                    // What was changed meanwhile nobody hinted at here.
                    self.hints.hear();
                    let began = tokio::time::Instant::now();
                    let over = session.work(&self, &mut watcher).await;
                    if began.elapsed() > AGAIN.1 {
                        wait = AGAIN.0;
                    }
                    match over {
                        Over::Stopped => return,
                        Over::Lost(why) => why,
                    }
                }
                Err(why) => why,
            };
            self.turn(State::Away(lost));
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Says a change of state once.
    fn turn(&self, to: State) {
        let before = std::mem::replace(&mut *self.state(), to.clone());
        match (before, to) {
            (State::Connected | State::Connecting, State::Away(why)) => {
                tracing::warn!(why, "Redis does not answer; events of other gateways are missing until it does");
            }
            (State::Connecting | State::Away(_), State::Connected) => tracing::info!("Redis answers"),
            _ => {}
        }
    }
}

/// The kind of an error and what Redis says, without addresses.
fn reason(error: &RedisError) -> String {
    format!("{}: {}", error.category(), error.detail().unwrap_or("no details"))
}
