//! Stands between a client and the gateway, passes every byte on as it is, and keeps them all.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

mod exchange;

pub use exchange::Exchange;

/// A running relay; it ends when dropped.
pub struct Relay {
    base: String,
    connections: Arc<Mutex<Vec<Connection>>>,
    _accepting: JoinSet<()>,
}

/// The bytes of one connection so far.
#[derive(Clone, Default)]
struct Connection {
    sent: Arc<Mutex<Vec<u8>>>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Listens on a free port and passes everything on to `target`, an `http://host:port`.
    pub async fn start(target: &str) -> Self {
        let target = target.strip_prefix("http://").expect("an http:// URL").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("its address"));
        let connections: Arc<Mutex<Vec<Connection>>> = Arc::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, connections.clone()));
        Self { base, connections, _accepting: accepting }
    }

    /// Its base URL, for the client.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What the client has been sent so far, over all connections.
    pub fn received(&self) -> Vec<u8> {
        let connections = locked(&self.connections).clone();
        connections.iter().flat_map(|one| locked(&one.received).clone()).collect()
    }

    /// Everything asked and answered so far, in order on each connection. Call it when the client has ended.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let connections = locked(&self.connections).clone();
        connections.iter().flat_map(|one| exchange::parse(&locked(&one.sent), &locked(&one.received))).collect()
    }
}

async fn accept(listener: TcpListener, target: String, connections: Arc<Mutex<Vec<Connection>>>) {
    let mut directions = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        let gateway = TcpStream::connect(&target).await.expect("the gateway");
        client.set_nodelay(true).expect("no delay");
        gateway.set_nodelay(true).expect("no delay");
        let connection = Connection::default();
        locked(&connections).push(connection.clone());
        let (from_client, to_client) = client.into_split();
        let (from_gateway, to_gateway) = gateway.into_split();
        directions.spawn(pass_on(from_client, to_gateway, connection.sent));
        directions.spawn(pass_on(from_gateway, to_client, connection.received));
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    // Either side may go at any time; then this direction is over.
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        locked(&kept).extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
