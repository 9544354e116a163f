//! Connections to Unix sockets. The socket's path stands in a URL's host, in hexadecimal digits, so that the client keeps
//! the connections of each socket apart.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tower::Service;

/// The longest path that a system takes for a socket, in bytes.
const LONGEST: usize = 107;

/// The URL that stands for the socket at `path`.
pub(super) fn base(path: &str) -> Result<Uri, String> {
    if !path.starts_with('/') {
        return Err("the path of a socket must be absolute".to_owned());
    }
    if path.len() > LONGEST {
        return Err(format!("the path of a socket may have {LONGEST} bytes, this one has {}", path.len()));
    }
    let host = super::hex(path.as_bytes());
    format!("http://{host}/").parse().map_err(|error: http::uri::InvalidUri| error.to_string())
}

/// The path that a URL stands for.
fn path(uri: &Uri) -> Option<PathBuf> {
    let host = uri.host()?.as_bytes();
    let digits = host.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(digits.collect::<Option<Vec<u8>>>()?).ok().map(PathBuf::from)
}

/// Opens the connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnixDial;

impl Service<Uri> for UnixDial {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(async move {
            let path = path(&to).ok_or_else(|| io::Error::other("the URL stands for no socket"))?;
            let connecting = tokio::time::timeout(super::CONNECT, UnixStream::connect(path)).await;
            Ok(TokioIo::new(connecting.map_err(|_| io::ErrorKind::TimedOut)??))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_into_a_url_and_back() {
        let long = format!("/{}", "x".repeat(LONGEST - 1));
        for socket in ["/run/policy.sock", "/tmp/a b%/ü.sock", &long] {
            assert_eq!(path(&base(socket).unwrap()), Some(PathBuf::from(socket)));
        }
        assert!(base("policy.sock").is_err() && base(&format!("{long}x")).is_err());
    }
}
