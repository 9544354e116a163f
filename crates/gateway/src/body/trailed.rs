//! What is known of an answer only when it has ended, told behind it in a trailer.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use super::SourceError;

/// A value that is told when it is known.
pub(crate) type Told = Arc<OnceLock<HeaderValue>>;

/// Passes a stream on; behind its proper end comes the trailer, if there is something to tell.
pub(crate) struct Trailed<B> {
    inner: B,
    trailer: Option<(HeaderName, Told)>,
    ended: bool,
}

impl<B> Trailed<B> {
    /// `trailer` is `None` where the client takes none.
    pub(crate) fn new(inner: B, trailer: Option<(HeaderName, Told)>) -> Self {
        Self { inner, trailer, ended: false }
    }
}

impl<B: Body<Data = Bytes, Error = SourceError> + Unpin> Body for Trailed<B> {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        if !this.ended {
            if let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                return Poll::Ready(Some(frame));
            }
            this.ended = true;
        }
        let trailer = this.trailer.take().and_then(|(name, told)| Some((name, told.get()?.clone())));
        Poll::Ready(trailer.map(|trailer| Ok(Frame::trailers(HeaderMap::from_iter([trailer])))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.trailer.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::testing::{Step, body, source};
    use super::*;

    fn told(value: Option<&'static str>) -> Told {
        value.map_or_else(Told::default, |value| Arc::new(OnceLock::from(HeaderValue::from_static(value))))
    }

    async fn frames(steps: Vec<Step>, value: Option<&'static str>) -> Vec<String> {
        let trailer = (HeaderName::from_static("x-lost"), told(value));
        let mut body = Trailed::new(source(body(steps)), Some(trailer));
        let mut out = Vec::new();
        while let Some(frame) = body.frame().await {
            out.push(match frame {
                Ok(frame) => format!("{frame:?}"),
                Err(error) => error.to_string(),
            });
        }
        out
    }

    #[tokio::test]
    async fn what_is_told_comes_last_and_nothing_comes_where_nothing_is() {
        let whole = || vec![Step::Data("a"), Step::Later, Step::Data("b")];
        let told = frames(whole(), Some("citation")).await;
        assert_eq!((told.len(), told[2].contains("\"x-lost\": \"citation\"")), (3, true), "{told:?}");
        assert_eq!(frames(whole(), None).await.len(), 2);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_tells_nothing_before_its_error() {
        let told = frames(vec![Step::Data("a"), Step::Break], Some("citation")).await;
        assert!(told[1].contains("broken"), "{told:?}");
    }
}
