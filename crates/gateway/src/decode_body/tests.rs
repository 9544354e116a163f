//! Every coding undone, bounded, and broken ones refused.

use async_compression::tokio::write::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::AsyncWriteExt;

use super::*;

macro_rules! encoded {
    ($encoder:ident, $text:expr) => {{
        let mut encoder = $encoder::new(Vec::new());
        encoder.write_all($text).await.unwrap();
        encoder.shutdown().await.unwrap();
        Bytes::from(encoder.into_inner())
    }};
}

#[tokio::test]
async fn every_encoding_gives_the_text_back() {
    let text = b"{\"model\": \"m\"}".repeat(1000);
    for (encoding, body) in [
        (Encoding::Gzip, encoded!(GzipEncoder, &text)),
        (Encoding::Brotli, encoded!(BrotliEncoder, &text)),
        (Encoding::Zstd, encoded!(ZstdEncoder, &text)),
        (Encoding::Deflate, encoded!(ZlibEncoder, &text)),
        (Encoding::Deflate, encoded!(DeflateEncoder, &text)),
    ] {
        assert_eq!(decode(body, &[encoding], 1 << 20).await.unwrap(), text, "{encoding:?}");
    }
}

#[tokio::test]
async fn encodings_are_undone_from_the_last_to_the_first() {
    let inner = encoded!(GzipEncoder, b"text");
    let body = encoded!(ZstdEncoder, &inner);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, "gzip, zstd".parse().unwrap());
    let encodings = encodings(&headers).unwrap();
    assert_eq!(decode(body, &encodings, 100).await.unwrap(), "text");
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    let bomb = encoded!(GzipEncoder, &vec![0; 10 << 20]);
    assert_eq!(decode(bomb, &[Encoding::Gzip], 1 << 20).await, Err(DecodeError::TooLarge(1 << 20)));
}

#[tokio::test]
async fn a_broken_or_cut_body_is_an_error() {
    let whole = encoded!(GzipEncoder, &b"text".repeat(100));
    let cut = whole.slice(..whole.len() / 2);
    assert_eq!(decode(cut, &[Encoding::Gzip], 1 << 20).await, Err(DecodeError::Broken(Encoding::Gzip)));
    let garbage = Bytes::from_static(b"not compressed at all");
    for encoding in [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd, Encoding::Deflate] {
        assert_eq!(decode(garbage.clone(), &[encoding], 1 << 20).await, Err(DecodeError::Broken(encoding)));
    }
}

#[test]
fn an_unknown_encoding_is_named() {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, "compress".parse().unwrap());
    assert_eq!(encodings(&headers), Err(DecodeError::Unknown("compress".to_owned())));
}
