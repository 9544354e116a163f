//! A plain HTTP/1.1 client that shows what arrives as it arrives. One connection for each request, closed when dropped.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use luthien_wire::sse::{Frame, Splitter};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an answer may keep silent before reading it fails.
const SILENCE: Duration = Duration::from_mins(1);

/// An answer under way. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange {
    /// The status code.
    pub status: u16,
    /// The headers, in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The trailers, once the body has been read to its end.
    pub trailers: Vec<(String, String)>,
    body: Incoming,
    splitter: Splitter,
    _connection: JoinSet<()>,
}

/// Posts JSON to `url` (`http://host:port/path`) with more headers and gives the answer once its head is there.
pub async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> io::Result<Exchange> {
    let json = [("content-type", "application/json")];
    send(Method::POST, url, &[&json, headers].concat(), body).await
}

/// Gets `url`.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> io::Result<Exchange> {
    send(Method::GET, url, headers, Bytes::new()).await
}

/// Sends any request. Headers go out as given; `host` and `content-length` are added.
pub async fn send(method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> io::Result<Exchange> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("only http:// addresses"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let stream = limited(TcpStream::connect(host)).await??;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // What goes wrong shows in the answer.
        let _ = connection.await;
    });
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).map_err(io::Error::other)?;
    let response = limited(sender.send_request(request)).await?.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    Ok(Exchange {
        status: head.status.as_u16(),
        headers: texts(&head.headers),
        trailers: Vec::new(),
        body,
        splitter: Splitter::new(usize::MAX),
        _connection: tasks,
    })
}

impl Exchange {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The next bytes of the body; `None` at its proper end, an error where it breaks off.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frame) = limited(self.body.frame()).await? {
            match frame.map_err(io::Error::other)?.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(other) => self.trailers.extend(other.trailers_ref().map(texts).unwrap_or_default()),
            }
        }
        Ok(None)
    }

    /// The next whole frame of an event stream; `None` at its end.
    pub async fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.splitter.next_frame().map_err(io::Error::other)? {
                return Ok(Some(frame));
            }
            match self.chunk().await? {
                Some(bytes) => self.splitter.push(&bytes),
                None => return Ok(self.splitter.finish()),
            }
        }
    }

    /// The rest of the body; an error where it breaks off.
    pub async fn rest(self) -> io::Result<Bytes> {
        let (bytes, end) = self.all().await;
        end.map(|()| bytes)
    }

    /// The rest of the body as far as it comes, and how it ends.
    pub async fn all(mut self) -> (Bytes, io::Result<()>) {
        let mut out = Vec::new();
        loop {
            match self.chunk().await {
                Ok(Some(bytes)) => out.extend_from_slice(&bytes),
                Ok(None) => return (out.into(), Ok(())),
                Err(error) => return (out.into(), Err(error)),
            }
        }
    }
}

fn texts(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

async fn limited<T>(work: impl Future<Output = T>) -> io::Result<T> {
    timeout(SILENCE, work).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "silent for 60 seconds"))
}
