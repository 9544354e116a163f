//! What is coded is decoded.

use bytes::Bytes;

use super::{ALL, decode, encode, plain};

#[tokio::test]
async fn each_coding_there_and_back() {
    let text = "text that repeats itself, text that repeats itself".repeat(40);
    for coding in ALL {
        let coded = encode(coding, text.as_bytes()).await.expect(coding);
        assert!(coded.len() < text.len(), "{coding}");
        assert_eq!(decode(coding, &coded).await.expect(coding), text, "{coding}");
    }
    assert!(encode("rot13", b"x").await.is_err() && decode("rot13", b"x").await.is_err());
}

#[tokio::test]
async fn headers_name_codings_in_the_order_in_which_they_were_applied() {
    let coded = encode("br", &encode("zstd", b"body").await.expect("zstd")).await.expect("br");
    let headers = [("Content-Encoding".to_owned(), "zstd, BR".to_owned())];
    assert_eq!(plain(&headers, &coded).await, "body");
    assert_eq!(plain(&headers, &Bytes::from_static(b"no such thing")).await, "no such thing");
}
