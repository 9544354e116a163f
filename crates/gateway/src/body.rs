//! Bodies of answers: named wrappers that record, watch, rewrite and keep alive what comes from an upstream.
//!
//! From the upstream outwards: [`tee`] records, [`watchdog`] bounds the waiting, [`gather`] joins what arrived together,
//! [`convert`] makes another dialect the client's, [`pass`], [`rewrite`] or [`opaque`] makes the client's bytes, [`delivery`] closes the record, [`keep_alive`] pings,
//! [`trailed`] says at the end what is known only then.

pub(crate) mod convert;
pub(crate) mod decoded;
pub(crate) mod delivery;
pub(crate) mod ending;
pub(crate) mod failure;
pub(crate) mod gather;
pub(crate) mod keep_alive;
pub(crate) mod number;
pub(crate) mod opaque;
pub(crate) mod pass;
pub(crate) mod rewrite;
pub(crate) mod tee;
pub(crate) mod trailed;
pub(crate) mod watchdog;
pub(crate) mod whole;

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use self::convert::Convert;
use self::decoded::Decoded;
use self::delivery::Delivery;
use self::gather::Gather;
use self::keep_alive::KeepAlive;
use self::opaque::Opaque;
use self::pass::Pass;
use self::rewrite::Rewrite;
use self::tee::Tee;
use self::trailed::Trailed;
use self::watchdog::Watchdog;
use self::whole::Whole;
use crate::transaction::Outcome;

/// What an upstream's stream is read through.
pub(crate) type Source = Watchdog<Tee<Incoming>>;

/// Why an answer broke off, for the server.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer.
pub(crate) enum GatewayBody {
    /// An answer in one piece.
    Whole(Box<Whole>),
    /// A stream that nobody watches.
    Pass(Box<KeepAlive<Delivery<Pass<Gather<Source>>>>>),
    /// A stream under review.
    Rewrite(Box<KeepAlive<Delivery<Rewrite<Gather<Source>>>>>),
    /// The same, compressed on its way from the upstream.
    RewriteDecoded(Box<KeepAlive<Delivery<Rewrite<Decoded>>>>),
    /// A stream from an upstream of another dialect, that nobody watches.
    PassConverted(Box<Trailed<KeepAlive<Delivery<Pass<Convert>>>>>),
    /// The same under review.
    RewriteConverted(Box<Trailed<KeepAlive<Delivery<Rewrite<Convert>>>>>),
    /// A stream of which nothing is known.
    Opaque(Box<Delivery<Opaque<Source>>>),
    /// What is no model traffic.
    Admin(axum::body::Body),
}

/// Why an answer cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// The upstream sent nothing for too long.
    #[error("the upstream sent nothing for {0:?}")]
    Silent(Duration),
    /// The upstream broke off.
    #[error("the upstream broke off: {0}")]
    Broken(String),
    /// The gateway is being stopped.
    #[error("the gateway is shutting down")]
    Stopped,
    /// The operator has stopped what is under way.
    #[error("{0}")]
    Halted(String),
}

impl SourceError {
    /// It comes from the gateway's side, not from the upstream's.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Stopped | Self::Halted(_))
    }

    /// The stable type for the client.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Silent(_) => "timeout_error",
            Self::Broken(_) => "api_error",
            Self::Stopped => "overloaded_error",
            Self::Halted(_) => "operator_stop",
        }
    }
}

/// A piece for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// How many of them, from the first, are the upstream's next bytes.
    pub(crate) same: usize,
}

impl Piece {
    /// Bytes as they came.
    pub(crate) fn same(bytes: Bytes) -> Self {
        Self { same: bytes.len(), bytes }
    }

    /// Bytes of the gateway's own.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { bytes, same: 0 }
    }
}

/// What makes the client's bytes out of the upstream's.
pub(crate) trait Pieces {
    /// The next piece. An error breaks the connection off.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, SourceError>>>;

    /// A keep-alive may stand between the last piece and the next.
    fn may_ping(&self) -> bool;

    /// How it ended, or stands if it has not.
    fn outcome(&self) -> Outcome;
}

impl GatewayBody {
    /// The client asked for the head alone: that nobody reads the body does not mean that it has gone.
    pub(crate) fn head_only(&mut self) {
        if let Self::Whole(body) = self {
            body.head_only();
        }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        fn boxed<E: Error + Send + Sync + 'static>(
            polled: Poll<Option<Result<Frame<Bytes>, E>>>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
        }
        match self.get_mut() {
            Self::Whole(body) => {
                let polled: Poll<Option<Result<Frame<Bytes>, Infallible>>> = Pin::new(body.as_mut()).poll_frame(cx);
                boxed(polled)
            }
            Self::Pass(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::Rewrite(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::RewriteDecoded(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::PassConverted(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::RewriteConverted(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::Opaque(body) => boxed(Pin::new(body.as_mut()).poll_frame(cx)),
            Self::Admin(body) => boxed(Pin::new(body).poll_frame(cx)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Admin(body) => body.is_end_stream(),
            Self::Pass(_)
            | Self::Rewrite(_)
            | Self::RewriteDecoded(_)
            | Self::PassConverted(_)
            | Self::RewriteConverted(_)
            | Self::Opaque(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Admin(body) => body.size_hint(),
            Self::Pass(_)
            | Self::Rewrite(_)
            | Self::RewriteDecoded(_)
            | Self::PassConverted(_)
            | Self::RewriteConverted(_)
            | Self::Opaque(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
