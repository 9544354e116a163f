//! Accepts connections and serves them: without Nagle's delay, within a limit of their number, drained at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::write_limit::WriteLimit;
use crate::upstream::client::TrackedExecutor;
use crate::way::{Core, travel};

mod write_limit;

/// The tokens and tasks by which the server is stopped, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopping {
    /// No new connections; those that are open end after the request under way.
    pub(crate) drain: CancellationToken,
    /// Connections are dropped as they are.
    pub(crate) kill: CancellationToken,
    /// The connections.
    pub(crate) connections: TaskTracker,
}

/// Accepts until told to drain.
pub(crate) async fn serve(
    listener: TcpListener,
    core: Arc<Core>,
    most: usize,
    header_read: Duration,
    stopping: Stopping,
) {
    let permits = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let mut builder = auto::Builder::new(TrackedExecutor(stopping.connections.clone()));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_read).keep_alive(true);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(header_read)).max_concurrent_streams(1000);
    let builder = Arc::new(builder);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.drain.cancelled() => return,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { return };
        let (core, builder, stopping_here) = (Arc::clone(&core), Arc::clone(&builder), stopping.clone());
        stopping.connections.spawn(async move {
            connection(stream, peer, core, &builder, header_read, &stopping_here).await;
            drop(permit);
        });
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is room for it. A socket error, such as too many open files, is waited out and said once.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<Accepted> {
    const PAUSE: Duration = Duration::from_millis(50);
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let mut said = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "connection lost as it was accepted");
                    continue;
                }
                return Some((stream, peer, permit));
            }
            Err(error) => {
                if !said {
                    tracing::warn!(%error, "cannot accept connections; trying on");
                    said = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    core: Arc<Core>,
    builder: &auto::Builder<TrackedExecutor>,
    header_read: Duration,
    stopping: &Stopping,
) {
    let asked = Arc::new(AtomicBool::new(false));
    let patience = core.timeouts.idle;
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request| {
        seen.store(true, Ordering::Relaxed);
        let core = Arc::clone(&core);
        async move { Ok::<_, std::convert::Infallible>(travel(core, peer, request).await) }
    });
    let stream = WriteLimit::new(stream, patience);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let mut draining = false;
    // hyper's own limit begins only once it knows the protocol.
    let mut first_head = std::pin::pin!(tokio::time::sleep(header_read));
    let mut waited = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = stopping.kill.cancelled() => return,
            () = stopping.drain.cancelled(), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
            () = first_head.as_mut(), if !waited => {
                waited = true;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_connections_are_without_nagles_delay_and_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let permits = Arc::new(Semaphore::new(1));
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _, _permit) = accept(&listener, &permits).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert_eq!(permits.available_permits(), 0);
    }
}
