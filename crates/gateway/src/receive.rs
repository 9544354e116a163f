//! Reads a request's body: within the limit, in time, decoded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::decode_body::{DecodeError, decode, encodings};
use crate::errors::GatewayError;

/// A body that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// As the client sent it.
    pub(crate) sent: Bytes,
    /// Decoded; the same where nothing was encoded.
    pub(crate) decoded: Bytes,
}

/// Reads the body to its end. The limit, in bytes, holds for it as sent and as decoded; `patience` is how long the client
/// may take for each 16 KiB.
pub(crate) async fn receive<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
    patience: Duration,
) -> Result<Received, GatewayError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || GatewayError::TooLarge(format!("the body has more than {limit} bytes (MAX_REQUEST_BYTES)"));
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large());
    }
    let encodings = encodings(headers).map_err(decode_error)?;
    let sent = collect(body, announced.unwrap_or_default(), limit, patience).await?.ok_or_else(too_large)?;
    let decoded = if encodings.is_empty() {
        sent.clone()
    } else {
        decode(sent.clone(), &encodings, limit).await.map_err(decode_error)?
    };
    Ok(Received { sent, decoded })
}

fn decode_error(error: DecodeError) -> GatewayError {
    match error {
        DecodeError::Unknown(word) => GatewayError::UnknownEncoding(word),
        DecodeError::TooLarge(limit) => {
            GatewayError::TooLarge(format!("the body has more than {limit} bytes when decoded (MAX_REQUEST_BYTES)"))
        }
        DecodeError::Broken(_) => GatewayError::BadRequest(format!("the body is {error}")),
    }
}

/// The whole body; `None` if it is over the limit.
async fn collect<B>(
    mut body: B,
    announced: usize,
    limit: usize,
    patience: Duration,
) -> Result<Option<Bytes>, GatewayError>
where
    B: Body<Data = Bytes> + Unpin,
{
    const STEP: usize = 16 << 10;
    /// What is believed of an announced length before the bytes have come.
    const BELIEVED: usize = 1 << 20;
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut deadline = Instant::now() + patience;
    let mut since = 0;
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| GatewayError::SlowBody(patience))?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| GatewayError::BodyBroken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Ok(None);
        }
        since += data.len();
        if since >= STEP {
            deadline = Instant::now() + patience;
            since = 0;
        }
        if all.is_empty() && first.is_empty() {
            first = data;
            continue;
        }
        let len = first.len() + all.len() + data.len();
        if all.capacity() < len {
            // Never more than what was announced, so that a large body is held once when it has come.
            let room = (2 * len).min(announced.max(len)).max(announced.min(BELIEVED));
            let mut larger = BytesMut::with_capacity(room);
            larger.extend_from_slice(if all.is_empty() { &first } else { &all });
            first = Bytes::new();
            all = larger;
        }
        all.extend_from_slice(&data);
    }
    Ok(Some(if all.is_empty() { first } else { all.freeze() }))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes, Error = std::io::Error> + Unpin + use<> {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn pieces_are_put_together() {
        let received = receive(&HeaderMap::new(), pieces(&["ab", "c", "", "de"]), 5, PATIENCE).await.unwrap();
        assert_eq!((&received.sent[..], &received.decoded[..]), (&b"abcde"[..], &b"abcde"[..]));
    }

    #[tokio::test]
    async fn an_announced_giant_is_refused_before_it_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "6".parse().unwrap());
        let unread =
            StreamBody::new(stream::poll_fn::<Result<Frame<Bytes>, std::io::Error>, _>(|_| panic!("was read")));
        assert_eq!(receive(&headers, unread, 5, PATIENCE).await.unwrap_err().status(), 413);
    }

    #[tokio::test]
    async fn a_giant_without_a_length_is_refused_at_the_limit() {
        let endless =
            StreamBody::new(stream::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"xx")))));
        assert_eq!(receive(&HeaderMap::new(), endless, 5, PATIENCE).await.unwrap_err().status(), 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        assert_eq!(
            receive(&HeaderMap::new(), silent, 5, PATIENCE).await.unwrap_err(),
            GatewayError::SlowBody(PATIENCE)
        );
    }

    #[tokio::test]
    async fn broken_gzip_is_the_clients_mistake() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let error = receive(&headers, Full::new(Bytes::from_static(b"{}")), 5, PATIENCE).await.unwrap_err();
        assert_eq!(error.status(), 400);
    }
}
