//! Policy servers are asked over HTTP: TCP, TLS or a Unix socket, over connections that are kept.

mod child;
mod unix;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::{self, Client, ResponseFuture};
use hyper_util::rt::TokioTimer;
use luthien_policy::remote::{
    Message, Place, PolicyServer, PolicyServers, Program, Reply, ServerError, Unusable, protocol,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Network;
use crate::headers::UNREVIEWED;
use crate::upstream::client::{HttpClient, TrackedExecutor};
use crate::upstream::connector::proxies;
use crate::upstream::execute::root_cause;
use crate::upstream::tls;
use child::{ChildServer, Sockets, Start};
use unix::UnixDial;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_mins(1);
/// For children and connections to end, once nobody uses them.
const LAST_WORDS: Duration = Duration::from_secs(15);
const STOPPING: &str = "the gateway is stopping";

/// The clients for all policy servers.
#[derive(Debug)]
pub struct HttpPolicyServers(Arc<Shared>);

struct Shared {
    network: Network,
    /// Where secrets are.
    environment: BTreeMap<String, String>,
    /// Lets policy servers ask models through the gateway.
    token: Option<SecretString>,
    /// None once the gateway stops: without clients their connections end.
    clients: Mutex<Option<Clients>>,
    /// Where the sockets of children are.
    folder: PathBuf,
    sockets: Sockets,
    /// Cancelled when children must end.
    stop: CancellationToken,
    tasks: TaskTracker,
    /// The traffic's runtime, which outlives the one on which policies may be loaded.
    runtime: Handle,
}

struct Clients {
    /// For TCP and TLS, made when the first server asks for it.
    tcp: Option<HttpClient>,
    unix: Client<UnixDial, Full<Bytes>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("network", &self.network).finish_non_exhaustive()
    }
}

impl HttpPolicyServers {
    /// With the operator's proxies, the environment in which secrets are, and the folder for the sockets of policies that are
    /// started here. To be made on the runtime on which they are to run.
    pub fn new(network: Network, environment: BTreeMap<String, String>, folder: PathBuf) -> Self {
        let tasks = TaskTracker::new();
        let mut builder = Client::builder(TrackedExecutor(tasks.clone()));
        let unix =
            builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(UnixDial);
        let token = token();
        let clients = Mutex::new(Some(Clients { tcp: None, unix }));
        let (sockets, stop, runtime) = (Sockets::default(), CancellationToken::new(), Handle::current());
        Self(Arc::new(Shared { network, environment, token, clients, folder, sockets, stop, tasks, runtime }))
    }

    /// What policies bring with their own questions to models through the gateway, which are not reviewed then. None where the
    /// system gives no random bytes.
    pub fn token(&self) -> Option<SecretString> {
        self.0.token.clone()
    }

    /// What all messages carry. The token, with which nothing is reviewed, goes only where nobody listens on the way.
    fn headers(&self, private: bool) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.0.token.as_ref().filter(|_| private) {
            headers.insert(UNREVIEWED, secret(token.expose_secret())?);
        }
        Ok(headers)
    }

    /// Ends the children and the connections. To be called when no policy asks any more.
    pub async fn shutdown(&self) {
        drop(self.0.clients().take());
        self.0.stop.cancel();
        self.0.tasks.close();
        if timeout(LAST_WORDS, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("policy servers or connections to them were given up at the end");
        }
    }
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, Option<Clients>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client for TCP and TLS.
    fn tcp(&self) -> Result<HttpClient, String> {
        let mut clients = self.clients();
        let clients = clients.as_mut().ok_or(STOPPING)?;
        if let Some(client) = &clients.tcp {
            return Ok(client.clone());
        }
        let proxies = proxies(&self.network).map_err(|error| error.to_string())?;
        let client = HttpClient::new(tls::plain(&tls::native_roots()), proxies, CONNECT, false, &self.tasks);
        clients.tcp = Some(client.clone());
        Ok(client)
    }

    fn send(&self, is_unix: bool, request: Request<Full<Bytes>>) -> Result<ResponseFuture, String> {
        if is_unix {
            return Ok(self.clients().as_ref().ok_or(STOPPING)?.unix.request(request));
        }
        Ok(self.tcp()?.send(request).ok_or(STOPPING)?)
    }
}

impl PolicyServers for HttpPolicyServers {
    fn at(&self, place: &Place) -> Result<Arc<dyn PolicyServer>, Unusable> {
        let url = |why: String| Unusable { field: &["url"], why };
        let base = if let Some(path) = place.url.strip_prefix("unix:") {
            unix::base(path).map_err(url)?
        } else {
            self.0.tcp().map_err(url)?;
            base(&place.url).map_err(url)?
        };
        let private = !place.url.starts_with("http://") || is_loopback(&place.url);
        let mut headers = self.headers(private).map_err(url)?;
        if let Some(name) = &place.secret_env {
            let wrong = |why: String| Unusable { field: &["secret", "env"], why };
            let value = self.0.environment.get(name).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| wrong(format!("the environment variable {name} is not set")))?;
            let value = secret(&format!("Bearer {value}"))
                .map_err(|_| wrong(format!("what {name} holds cannot stand in a header")))?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Arc::new(Server { shared: Arc::clone(&self.0), base, headers, is_unix: place.url.starts_with("unix:") }))
    }

    fn run(&self, program: &Program) -> Result<Arc<dyn PolicyServer>, Unusable> {
        let unusable = |field, why| Unusable { field, why };
        if !Path::new(&program.file).is_file() {
            return Err(unusable(&["file"], format!("there is no file {}", program.file)));
        }
        let shared = &self.0;
        let socket = shared.sockets.next(&shared.folder);
        let folder =
            |why: String| unusable(&["file"], format!("no socket can be made in {}: {why}", shared.folder.display()));
        child::folder(&shared.folder).map_err(|error| folder(error.to_string()))?;
        let base = unix::base(&socket.to_string_lossy()).map_err(folder)?;
        let headers = self.headers(true).map_err(|why| unusable(&["file"], why))?;
        let server = Server { shared: Arc::clone(shared), base, headers, is_unix: true };
        let environment = child::environment(&shared.environment, &program.env);
        let start = Start { program: program.clone(), socket, environment };
        let (way, running) = ChildServer::new(server, start, &shared.stop);
        shared.tasks.spawn_on(running, &shared.runtime);
        Ok(Arc::new(way))
    }
}

/// Whether a URL leads to this machine alone.
fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn token() -> Option<SecretString> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).ok()?;
    Some(SecretString::from(hex(&bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A header that is not shown in logs.
fn secret(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A server's URL, its path without a slash at the end.
fn base(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("it holds a user or a password; give a `secret` instead".to_owned());
    }
    if uri.query().is_some() {
        return Err("it holds a query, which is not sent".to_owned());
    }
    Ok(uri)
}

/// The way to one server.
struct Server {
    shared: Arc<Shared>,
    base: Uri,
    headers: HeaderMap,
    is_unix: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("base", &self.base).finish_non_exhaustive()
    }
}

impl PolicyServer for Server {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<Reply, ServerError>> {
        Box::pin(self.exchange(message))
    }
}

impl Server {
    async fn exchange(&self, message: Message) -> Result<Reply, ServerError> {
        let largest = message.largest;
        let request = self.request(&message).map_err(|error| ServerError::Broken(error.to_string()))?;
        let sending = self.shared.send(self.is_unix, request).map_err(ServerError::Unreachable)?;
        let response = sending.await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), largest).collect().await {
            Ok(body) => Ok(Reply { status, body: body.to_bytes() }),
            Err(error) if error.is::<LengthLimitError>() => Err(ServerError::TooLarge(largest)),
            Err(error) => Err(ServerError::Broken(root_cause(&*error))),
        }
    }

    fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = PathAndQuery::try_from(format!("{}{}", self.base.path().trim_end_matches('/'), message.path))?;
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path);
        let mut request = Request::new(Full::new(message.body.clone().unwrap_or_default()));
        *request.uri_mut() = Uri::from_parts(parts)?;
        *request.headers_mut() = self.headers.clone();
        if message.body.is_some() {
            *request.method_mut() = Method::POST;
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // Policies may be loaded on another runtime than the traffic's: reviews get connections of their own.
        if message.path != protocol::REVIEW {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(request)
    }
}

fn failed(error: &legacy::Error) -> ServerError {
    let why = root_cause(error);
    if error.is_connect() { ServerError::Unreachable(why) } else { ServerError::Broken(why) }
}

#[cfg(test)]
mod tests;
