//! A stream in the upstream's dialect, made one in the client's as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use luthien_wire::convert::StreamConverter;
use serde_json::json;

use super::SourceError;
use super::trailed::Told;
use crate::headers::header_text;
use crate::transaction::Happenings;

/// What is converted: a stream of whichever make.
pub(crate) type Unconverted = Box<dyn Body<Data = Bytes, Error = SourceError> + Unpin + Send>;

/// Converts a body. Where the source breaks off, so does this, after what had come of it.
pub(crate) struct Convert {
    /// None once it has ended.
    source: Option<Unconverted>,
    /// What is still to be handed out.
    ready: Bytes,
    /// Why the source broke off, to be told after that.
    broke: Option<SourceError>,
    converter: StreamConverter,
    /// Told once, at the end, what was lost and what could not be read.
    happenings: Option<Happenings>,
    /// The same for the client.
    lost: Told,
}

impl Convert {
    /// A stream that comes.
    pub(crate) fn stream(source: Unconverted, converter: StreamConverter, happenings: Happenings) -> Self {
        Self::of(Some(source), Bytes::new(), converter, Some(happenings))
    }

    /// An answer in one piece, though a stream was asked for: the client gets a stream.
    pub(crate) fn whole(answer: &[u8], mut converter: StreamConverter, happenings: Happenings) -> Self {
        let ready = converter.push_whole(answer);
        let mut this = Self::of(None, ready, converter, Some(happenings));
        this.over();
        this
    }

    fn of(
        source: Option<Unconverted>,
        ready: Bytes,
        converter: StreamConverter,
        happenings: Option<Happenings>,
    ) -> Self {
        Self { source, ready, broke: None, converter, happenings, lost: Told::default() }
    }

    /// What the answer has lost, as a header has it, where it has ended already.
    pub(crate) fn lost(&self) -> Option<&HeaderValue> {
        self.lost.get()
    }

    /// The same where it has not ended yet: told once it has.
    pub(crate) fn to_be_lost(&self) -> Option<Told> {
        self.happenings.is_some().then(|| Told::clone(&self.lost))
    }

    /// Nothing more comes from the source.
    fn over(&mut self) {
        self.source = None;
        let Some(happenings) = self.happenings.take() else { return };
        let (dropped, trouble) = (self.converter.dropped(), self.converter.trouble());
        if !dropped.is_empty() {
            // Set once: the happenings are taken.
            let _ = self.lost.set(header_text(&format!("answer: {}", dropped.join(", "))));
        }
        if !dropped.is_empty() || trouble.is_some() {
            happenings.event("transaction.answer_converted", json!({"dropped": dropped, "error": trouble}));
        }
    }
}

impl Body for Convert {
    type Data = Bytes;
    type Error = SourceError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceError>>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.ready)))));
            }
            let Some(source) = &mut this.source else { return Poll::Ready(this.broke.take().map(Err)) };
            match ready!(Pin::new(source).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    this.ready = this.converter.push(&data);
                    if this.converter.trouble().is_some() {
                        this.over();
                    }
                }
                // An answer that has stopped is complete, however the connection ends (W-54).
                Some(Err(error)) => {
                    this.broke = Some(error);
                    this.ready = this.converter.finish();
                    this.over();
                }
                None => {
                    this.ready = this.converter.finish();
                    this.over();
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none() && self.ready.is_empty() && self.broke.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Who stops reading it before its end still gets to know what was lost so far.
impl Drop for Convert {
    fn drop(&mut self) {
        self.over();
    }
}

#[cfg(test)]
mod tests;
