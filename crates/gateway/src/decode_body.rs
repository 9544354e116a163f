//! Decodes bodies in gzip, br, zstd and deflate, never to more than a limit.

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt};

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
    /// `deflate`: with zlib's frame, as the standard says, or without, as some send it.
    Deflate,
}

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A word that is none of ours.
    #[error("unknown encoding `{0}`")]
    Unknown(String),
    /// More than the limit comes out.
    #[error("more than {0} bytes when decoded")]
    TooLarge(usize),
    /// The bytes are not what the header says.
    #[error("not a valid {0:?} body")]
    Broken(Encoding),
}

/// The encodings that the headers name, in the order in which they were applied.
pub(crate) fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, DecodeError> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for word in String::from_utf8_lossy(value.as_bytes()).split(',') {
            match word.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Encoding::Gzip),
                "br" => found.push(Encoding::Brotli),
                "zstd" => found.push(Encoding::Zstd),
                "deflate" => found.push(Encoding::Deflate),
                other => return Err(DecodeError::Unknown(other.chars().take(40).collect())),
            }
        }
    }
    if found.len() > 3 {
        return Err(DecodeError::Unknown("more than three encodings".to_owned()));
    }
    Ok(found)
}

/// The body as it was before `encodings` were applied.
pub(crate) async fn decode(mut body: Bytes, encodings: &[Encoding], limit: usize) -> Result<Bytes, DecodeError> {
    for encoding in encodings.iter().rev() {
        body = decode_one(body, *encoding, limit).await?;
    }
    Ok(body)
}

async fn decode_one(body: Bytes, encoding: Encoding, limit: usize) -> Result<Bytes, DecodeError> {
    const STEP: usize = 1 << 20;
    let raw_deflate = encoding == Encoding::Deflate && !has_zlib_frame(&body);
    let mut decoder = reader(&body[..], encoding, raw_deflate);
    let mut out = BytesMut::with_capacity(body.len().saturating_mul(4).min(limit).min(STEP));
    loop {
        if out.capacity() == out.len() {
            out.reserve(out.len().clamp(8 << 10, STEP));
        }
        match decoder.read_buf(&mut out).await {
            Ok(0) => return Ok(out.freeze()),
            Ok(_) if out.len() > limit => return Err(DecodeError::TooLarge(limit)),
            Ok(read) if read >= STEP / 2 => tokio::task::yield_now().await,
            Ok(_) => {}
            Err(_) => return Err(DecodeError::Broken(encoding)),
        }
    }
}

/// A reader of what `encoded` holds. `raw_deflate` says that `deflate` came without zlib's frame.
pub(crate) fn reader<'a>(
    encoded: impl AsyncBufRead + Unpin + Send + 'a,
    encoding: Encoding,
    raw_deflate: bool,
) -> Box<dyn AsyncRead + Unpin + Send + 'a> {
    match encoding {
        Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Encoding::Brotli => Box::new(BrotliDecoder::new(encoded)),
        Encoding::Zstd => {
            let mut decoder = ZstdDecoder::new(encoded);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Encoding::Deflate if raw_deflate => Box::new(DeflateDecoder::new(encoded)),
        Encoding::Deflate => Box::new(ZlibDecoder::new(encoded)),
    }
}

/// zlib's header: method 8, and a check that makes the first two bytes a multiple of 31.
fn has_zlib_frame(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

#[cfg(test)]
mod tests;
