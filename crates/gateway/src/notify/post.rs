//! The owner of what is told: takes notices off the queue, sends a few at a time, and ends within its time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use luthien_record::Recorder;
use luthien_record::redact::Redactor;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::deliver::Address;
use super::payload::letter;
use super::{Counts, Inner, Notice, Notifier, Wanted, watch};
use crate::clock::Clock;
use crate::config::Network;
use crate::live::LiveState;
use crate::upstream::UpstreamError;
use crate::upstream::client::HttpClient;
use crate::upstream::connector::proxies;
use crate::upstream::tls;

/// How many are sent at once.
const AT_ONCE: usize = 8;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// For connections to end at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Whom to tell, and how.
#[derive(Clone, Debug)]
pub struct PostConfig {
    /// The address: `http` or `https`. It may hold a secret.
    pub url: SecretString,
    /// The key of the signatures.
    pub secret: Option<SecretString>,
    /// What is told.
    pub wanted: Wanted,
    /// Tries after the first.
    pub retries: usize,
    /// The wait before the first of them.
    pub delay: Duration,
    /// How many may wait.
    pub pending: usize,
    /// For one try.
    pub timeout: Duration,
    /// For what waits when the gateway stops.
    pub drain: Duration,
    /// Where people reach the gateway.
    pub base: Option<String>,
    /// The operator's proxies.
    pub network: Network,
    /// A PEM file with certificate authorities to trust beside the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// What is taken out of what is told.
    pub redactor: Redactor,
}

/// Owns the sending.
#[derive(Debug)]
pub struct Post {
    tasks: TaskTracker,
    outgoing: TaskTracker,
    stop: CancellationToken,
    drain: Duration,
    notifier: Notifier,
}

impl Post {
    /// Starts it on the current runtime, and gives the way to tell.
    pub fn start(config: PostConfig, clock: Clock) -> Result<(Self, Notifier), UpstreamError> {
        let bad = |why: &str| UpstreamError::BaseUrl { upstream: "webhook".to_owned(), why: why.to_owned() };
        let url: Uri = config.url.expose_secret().parse().map_err(|_| bad("WEBHOOK_URL is not a URL"))?;
        let tls = tls::with_authorities("webhook", config.ca_file.as_deref(), &tls::native_roots())?;
        let (tasks, outgoing, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let client = HttpClient::new(tls, proxies(&config.network)?, CONNECT, false, &outgoing);
        let (queue, waiting) = mpsc::channel(config.pending.max(1));
        let (counts, base) = (Arc::new(Counts::default()), Arc::new(OnceLock::new()));
        if let Some(public) = &config.base {
            // Nothing was there before.
            let _ = base.set(public.clone());
        }
        let sending = Sending {
            address: Address {
                client,
                url,
                secret: config.secret,
                timeout: config.timeout,
                retries: config.retries,
                delay: config.delay,
                clock,
            },
            counts: Arc::clone(&counts),
            base: Arc::clone(&base),
            redactor: config.redactor.clone(),
            clock,
        };
        tasks.spawn(sending.run(waiting, stop.clone(), config.drain));
        let notifier =
            Notifier(Some(Arc::new(Inner { queue, wanted: config.wanted, redactor: config.redactor, counts, base })));
        let post = Self { tasks, outgoing, stop, drain: config.drain, notifier: notifier.clone() };
        Ok((post, notifier))
    }

    /// Looks after what nobody tells by itself: records that are lost, the panic switch.
    pub fn watch(&self, recorder: Recorder, live: Arc<LiveState>, clock: Clock) {
        self.tasks.spawn(watch::run(self.notifier.clone(), recorder, live, clock, self.stop.clone()));
    }

    /// Sends what waits, for as long as the settings give; the rest is given up and counted. Whatever is told later is lost.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if timeout(self.drain + LAST_WORDS, self.tasks.wait()).await.is_err() {
            tracing::warn!("the sending of notifications did not end in time");
        }
        self.outgoing.close();
        // Idle connections end with the client, which went with its task.
        let _ = timeout(LAST_WORDS, self.outgoing.wait()).await;
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The task's own.
struct Sending {
    address: Address,
    counts: Arc<Counts>,
    base: Arc<OnceLock<String>>,
    redactor: Redactor,
    clock: Clock,
}

impl Sending {
    async fn run(self, mut waiting: mpsc::Receiver<Notice>, stop: CancellationToken, drain: Duration) {
        let mut under_way = FuturesUnordered::new();
        let mut deadline = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if deadline.is_none() => {
                    waiting.close();
                    deadline = Some(Instant::now() + drain);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => break,
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                notice = waiting.recv(), if under_way.len() < AT_ONCE => {
                    if let Some(notice) = notice {
                        under_way.push(self.send(notice));
                        continue;
                    }
                    let all = async { while under_way.next().await.is_some() {} };
                    // What is not through by then is counted below.
                    let _ = timeout_at(deadline.unwrap_or_else(Instant::now), all).await;
                    break;
                }
            }
        }
        drop(under_way);
        let left = self.counts.pending.load(Ordering::Relaxed);
        if left > 0 {
            tracing::warn!(count = left, "notifications were given up at the end (WEBHOOK_SHUTDOWN_DRAIN_SECONDS)");
        }
    }

    async fn send(&self, notice: Notice) {
        let base = self.base.get().map_or("", String::as_str);
        let letter = letter(notice, self.clock.transaction_id().to_string(), base, &self.redactor);
        let sent = self.address.deliver(&letter).await;
        self.counts.pending.fetch_sub(1, Ordering::Relaxed);
        match sent {
            Ok(()) => {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => {
                let failed = self.counts.failed.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(id = letter.id, kind = letter.kind, %why, failed, "a notification was given up");
            }
        }
    }
}
