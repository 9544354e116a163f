//! The HTTP client to one upstream: pooled connections, HTTP/1.1 by default, several HTTP/2 connections by option.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::rt::Executor;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;
use tokio_util::task::TaskTracker;

use super::connector::{Connector, connector};

/// An upstream allows about 100 streams on one HTTP/2 connection; that many times four are enough here.
const HTTP2_CONNECTIONS: usize = 4;

/// Sends requests over pooled connections. Clones share the pool.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clients: Vec<Client<Connector, Full<Bytes>>>,
    next: AtomicUsize,
}

impl HttpClient {
    /// `within` bounds the making of a connection; `tasks` own the connections.
    pub(crate) fn new(
        tls: ClientConfig,
        proxies: Option<Arc<Matcher>>,
        within: Duration,
        http2: bool,
        tasks: &TaskTracker,
    ) -> Self {
        let connector = connector(tls, proxies, within, http2);
        let mut builder = Client::builder(TrackedExecutor(tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_mins(1))
            .pool_max_idle_per_host(1024)
            .http2_only(http2)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .http2_adaptive_window(true);
        let count = if http2 { HTTP2_CONNECTIONS } else { 1 };
        let clients = (0..count).map(|_| builder.build(connector.clone())).collect();
        Self { inner: Arc::new(Inner { clients, next: AtomicUsize::new(0) }) }
    }

    /// Sends a request. One that a pooled connection refused before a byte was sent is sent again, by another. Redirects are
    /// answers like any other.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> Option<ResponseFuture> {
        let turn = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let client = self.inner.clients.get(turn % self.inner.clients.len().max(1))?;
        Some(client.request(request))
    }
}

/// Runs the client's connection tasks under an owner.
#[derive(Clone, Debug)]
pub(crate) struct TrackedExecutor(pub(crate) TaskTracker);

impl<F> Executor<F> for TrackedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
