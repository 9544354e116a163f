//! One connection to Redis, from its opening to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::{ACTIVITY, CHANGES, Inner, message, reason};
use crate::activity::{ActivityEvent, Watcher};

/// How long connecting may take, TLS and authentication included.
const CONNECT: Duration = Duration::from_secs(3);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// How often Redis is asked whether it is still there.
const ASK: Duration = Duration::from_secs(1);

/// How many messages of others may wait here; more are ignored and counted.
const WAITING: usize = 4096;

/// How long events are gathered before they are sent together.
const GATHER: Duration = Duration::from_millis(10);

/// How a session ended.
pub(super) enum Over {
    /// As it was told to.
    Stopped,
    /// The connection is lost.
    Lost(String),
}

/// A connection that is subscribed to what others tell.
pub(super) struct Session {
    connection: MultiplexedConnection,
    heard: mpsc::Receiver<PushInfo>,
    /// What found no room since the last look.
    overflow: Arc<std::sync::atomic::AtomicU64>,
}

impl Session {
    /// Connects and subscribes.
    pub(super) async fn open(client: &Client) -> Result<Self, String> {
        let (push, heard) = mpsc::channel(WAITING);
        let overflow = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = Arc::clone(&overflow);
        let take = move |info: PushInfo| match push.try_send(info) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(redis::aio::SendError),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(take);
        let opening = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            connection.subscribe(&[ACTIVITY, CHANGES]).await?;
            Ok(connection)
        };
        match timeout(CONNECT, opening).await {
            Ok(Ok(connection)) => Ok(Self { connection, heard, overflow }),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err(format!("it took more than {} seconds to connect", CONNECT.as_secs())),
        }
    }

    /// Tells and hears until the connection is lost or the link is to stop; then what is left is told.
    pub(super) async fn work(mut self, link: &Inner, watcher: &mut Watcher) -> Over {
        let mut ask = interval(ASK);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut from = Instant::now();
        loop {
            let step = tokio::select! {
                biased;
                () = link.stop.cancelled() => {
                    return self.tell_all(link, watcher).await.map_or_else(Over::Lost, |()| Over::Stopped);
                }
                () = link.hints.given() => self.hint(link).await,
                _ = ask.tick() => self.ask(link).await,
                heard = self.heard.recv() => self.take(link, heard),
                () = gathered(watcher, from) => {
                    from = Instant::now() + GATHER;
                    self.tell_all(link, watcher).await
                }
            };
            if let Err(why) = step {
                return Over::Lost(why);
            }
        }
    }

    /// Tells others what has happened here.
    async fn tell_all(&mut self, link: &Inner, watcher: &mut Watcher) -> Result<(), String> {
        while let Some((events, missed)) = watcher.here() {
            link.dropped.fetch_add(missed, Ordering::Relaxed);
            if events.is_empty() {
                continue;
            }
            let count = events.len() as u64;
            self.tell(&events).await.inspect_err(|_| {
                link.dropped.fetch_add(count, Ordering::Relaxed);
            })?;
        }
        Ok(())
    }

    async fn tell(&mut self, events: &[Arc<ActivityEvent>]) -> Result<(), String> {
        let mut pipe = redis::pipe();
        for event in events {
            let payload = serde_json::to_vec(&**event).unwrap_or_default();
            pipe.publish(ACTIVITY, payload).ignore();
        }
        pipe.query_async::<()>(&mut self.connection).await.map_err(|error| reason(&error))
    }

    async fn hint(&mut self, link: &Inner) -> Result<(), String> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(CHANGES).arg(message::hint(link.activity.replica()));
        command.query_async::<()>(&mut self.connection).await.map_err(|error| reason(&error))
    }

    async fn ask(&mut self, link: &Inner) -> Result<(), String> {
        let began = Instant::now();
        redis::cmd("PING").query_async::<()>(&mut self.connection).await.map_err(|error| reason(&error))?;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        link.latency.store(micros, Ordering::Relaxed);
        Ok(())
    }

    /// Takes one message of others.
    fn take(&self, link: &Inner, heard: Option<PushInfo>) -> Result<(), String> {
        link.ignored.fetch_add(self.overflow.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        let Some(info) = heard else { return Err("the connection was closed".to_owned()) };
        match info.kind {
            PushKind::Disconnection => Err("the connection was closed".to_owned()),
            PushKind::Message => {
                if let [Value::BulkString(channel), Value::BulkString(payload)] = &*info.data {
                    hear(link, channel, payload);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn hear(link: &Inner, channel: &[u8], payload: &[u8]) {
    let own = link.activity.replica();
    if channel == CHANGES.as_bytes() {
        if message::is_hint_of_another(payload, own) {
            link.hints.hear();
        }
    } else {
        match message::event(payload, own) {
            Ok(Some(event)) => link.activity.pass_on(event),
            Ok(None) => {}
            Err(()) => {
                link.ignored.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Resolves when there is something to tell, not before `from`.
async fn gathered(watcher: &Watcher, from: Instant) {
    sleep_until(from).await;
    watcher.news().await;
}
