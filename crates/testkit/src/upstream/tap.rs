//! The socket under a connection: keeps the bytes of each request's head, and can be reset instead of closed.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket as hyper uses it.
pub(super) struct Tap {
    stream: TcpStream,
    line: Arc<Line>,
}

/// What the connection's requests share with its socket.
#[derive(Debug, Default)]
pub(super) struct Line {
    head: Mutex<Option<Vec<u8>>>,
    reset: AtomicBool,
}

/// Wraps a socket.
pub(super) fn tap(stream: TcpStream) -> (Tap, Arc<Line>) {
    let line = Arc::new(Line { head: Mutex::new(Some(Vec::new())), reset: AtomicBool::new(false) });
    (Tap { stream, line: line.clone() }, line)
}

impl Line {
    /// The headers of the request that has just arrived, in order and case. Stops keeping until [`Line::listen`].
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let end = memchr::memmem::find(&head, b"\r\n\r\n").unwrap_or(head.len());
        let text = String::from_utf8_lossy(&head[..end]);
        let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        text.split("\r\n").skip(1).filter_map(pair).collect()
    }

    /// Keeps what comes next as a head: the request before it has arrived whole.
    pub(super) fn listen(&self) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Makes the connection's end a reset.
    pub(super) fn reset_at_end(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.line.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(head) = &mut *self.line.head.lock().unwrap_or_else(PoisonError::into_inner) {
            head.extend_from_slice(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.reset.load(Ordering::Relaxed) {
            // An orderly end would come before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
