//! Bodies of answers, made on the admin runtime and read anywhere: whoever reads gets finished pieces.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How many pieces may wait for the reader.
const WAITING: usize = 1;

/// Why a body has broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum PumpError {
    /// Its maker failed.
    #[error(transparent)]
    Failed(#[from] axum::Error),
    /// Its maker is gone.
    #[error("the answer was broken off: the reader took too long, or the gateway is stopping")]
    Gone,
}

enum Piece {
    Frame(Frame<Bytes>),
    Failed(axum::Error),
    /// The body is whole.
    End,
}

/// The reader's end.
struct Pumped {
    pieces: mpsc::Receiver<Piece>,
    ended: bool,
}

/// A body for the reader, and the work that makes it: to be run where `body` is to be polled. It holds `place` until the body
/// is made, ends when nobody reads any more, and breaks the body off when a piece is not taken within `patience`.
pub(super) fn pump(
    body: Body,
    place: Option<OwnedSemaphorePermit>,
    patience: Duration,
) -> (Body, impl Future<Output = ()>) {
    let (sender, pieces) = mpsc::channel(WAITING);
    (Body::new(Pumped { pieces, ended: false }), make(body, sender, place, patience))
}

async fn make(mut body: Body, pieces: mpsc::Sender<Piece>, place: Option<OwnedSemaphorePermit>, patience: Duration) {
    loop {
        let frame = tokio::select! {
            biased;
            () = pieces.closed() => return,
            frame = body.frame() => frame,
        };
        let piece = match frame {
            Some(Ok(frame)) => Piece::Frame(frame),
            Some(Err(error)) => Piece::Failed(error),
            None => Piece::End,
        };
        if !matches!(piece, Piece::Frame(_)) {
            drop((body, place));
            // A reader that has gone needs no end.
            let _ = pieces.send_timeout(piece, patience).await;
            return;
        }
        if pieces.send_timeout(piece, patience).await.is_err() {
            return;
        }
    }
}

impl http_body::Body for Pumped {
    type Data = Bytes;
    type Error = PumpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PumpError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(cx));
        self.ended = !matches!(piece, Some(Piece::Frame(_)));
        Poll::Ready(match piece {
            Some(Piece::Frame(frame)) => Some(Ok(frame)),
            Some(Piece::Failed(error)) => Some(Err(error.into())),
            Some(Piece::End) => None,
            // Not to be taken for whole.
            None => Some(Err(PumpError::Gone)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
