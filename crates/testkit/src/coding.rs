//! Content codings of request bodies, both ways.

use std::io;

use async_compression::tokio::bufread::{
    BrotliDecoder, BrotliEncoder, DeflateDecoder, GzipDecoder, GzipEncoder, ZlibDecoder, ZlibEncoder, ZstdDecoder,
    ZstdEncoder,
};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The codings that clients use, by their names in `content-encoding`.
pub const ALL: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

/// `plain` in this coding.
pub async fn encode(coding: &str, plain: &[u8]) -> io::Result<Bytes> {
    match coding {
        "gzip" => all(GzipEncoder::new(plain)).await,
        "br" => all(BrotliEncoder::new(plain)).await,
        "zstd" => all(ZstdEncoder::new(plain)).await,
        "deflate" => all(ZlibEncoder::new(plain)).await,
        "identity" => Ok(Bytes::copy_from_slice(plain)),
        other => Err(io::Error::other(format!("no coding '{other}'"))),
    }
}

/// What `coded` is without this coding.
pub async fn decode(coding: &str, coded: &[u8]) -> io::Result<Bytes> {
    match coding {
        "gzip" | "x-gzip" => all(GzipDecoder::new(coded)).await,
        "br" => all(BrotliDecoder::new(coded)).await,
        "zstd" => all(ZstdDecoder::new(coded)).await,
        // With zlib's frame, as the standard says, or without.
        "deflate" => match all(ZlibDecoder::new(coded)).await {
            Ok(plain) => Ok(plain),
            Err(_) => all(DeflateDecoder::new(coded)).await,
        },
        "" | "identity" => Ok(Bytes::copy_from_slice(coded)),
        other => Err(io::Error::other(format!("no coding '{other}'"))),
    }
}

/// What `coded` is without the codings that these headers name; as it is where one is unknown or wrong.
pub(crate) async fn plain(headers: &[(String, String)], coded: &Bytes) -> Bytes {
    let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let names: Vec<&str> = named.flat_map(|(_, value)| value.split(',').map(str::trim)).collect();
    let mut body = coded.clone();
    for name in names.into_iter().rev() {
        match decode(&name.to_ascii_lowercase(), &body).await {
            Ok(plain) => body = plain,
            Err(_) => return coded.clone(),
        }
    }
    body
}

async fn all(mut reader: impl AsyncRead + Unpin) -> io::Result<Bytes> {
    let mut out = Vec::new();
    reader.read_to_end(&mut out).await?;
    Ok(out.into())
}

#[cfg(test)]
mod tests;
