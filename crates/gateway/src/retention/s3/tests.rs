//! What goes over the wire, what is tried again, and a real store.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use luthien_testkit::servers::S3;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::*;
use crate::settings::Sources;

/// 2027-01-15, 08:00 UTC.
fn clock() -> Clock {
    Clock::new(|| Timestamp::from_second(1_800_000_000).unwrap(), || Uuid::from_u128(1))
}

fn archive(pairs: &[(&str, &str)]) -> (S3Archive, TaskTracker) {
    let key = [("ARCHIVE_S3_BUCKET", "records"), ("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "hidden")];
    let environment: BTreeMap<String, String> =
        key.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources { environment, folder: Path::new("/nonexistent").to_owned(), ..Sources::default() };
    let tasks = TaskTracker::new();
    let archive = S3Archive::new(&Settings::load(&sources).unwrap(), clock(), &tasks).unwrap().unwrap();
    (S3Archive { pause: Duration::from_millis(1), ..archive }, tasks)
}

/// Reads a request whose body is `body`, and answers it.
async fn answer(listener: &TcpListener, body: &str, status: &str, said: &str) -> String {
    let mut stream: TcpStream = listener.accept().await.unwrap().0;
    let mut read = Vec::new();
    while !read.ends_with(format!("\r\n\r\n{body}").as_bytes()) {
        read.push(stream.read_u8().await.unwrap());
    }
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{said}", said.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    String::from_utf8(read).unwrap()
}

async fn listening(pairs: &[(&str, &str)]) -> (TcpListener, S3Archive, TaskTracker) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let pairs: Vec<_> = pairs.iter().copied().chain([("ARCHIVE_S3_ENDPOINT", endpoint.as_str())]).collect();
    let (archive, tasks) = archive(&pairs);
    (listener, archive, tasks)
}

#[tokio::test]
async fn the_request_is_signed_with_its_encryption_and_its_token() {
    let (listener, archive, _tasks) = listening(&[
        ("AWS_SESSION_TOKEN", "for a while"),
        ("ARCHIVE_S3_PREFIX", "a b/"),
        ("AWS_REGION", "eu-central-1"),
        ("RETENTION_S3_ENCRYPTION", "AWS:KMS"),
        ("RETENTION_S3_KMS_KEY_ID", "arn:key/1"),
    ])
    .await;
    let put = archive.put("x.jsonl.zst", Bytes::from_static(b"body!"));
    let (put, read) = tokio::join!(put, answer(&listener, "body!", "200 OK", ""));
    assert_eq!(put, Ok(()));
    assert!(read.starts_with("PUT /records/a%20b/x.jsonl.zst?"), "{read}");
    assert!(read.contains("X-Amz-Credential=AKID%2F20270115%2Feu-central-1%2Fs3%2Faws4_request&"), "{read}");
    assert!(read.contains("X-Amz-Date=20270115T080000Z&"), "{read}");
    assert!(
        read.contains("X-Amz-Security-Token=for+a+while") || read.contains("X-Amz-Security-Token=for%20a%20while"),
        "{read}"
    );
    let signed =
        "X-Amz-SignedHeaders=host%3Bx-amz-server-side-encryption%3Bx-amz-server-side-encryption-aws-kms-key-id&";
    assert!(read.contains(signed), "{read}");
    assert!(read.contains("\r\nx-amz-server-side-encryption: aws:kms\r\n"), "{read}");
    assert!(read.contains("\r\nx-amz-server-side-encryption-aws-kms-key-id: arn:key/1\r\n"), "{read}");
    assert!(read.contains("\r\ncontent-length: 5\r\n") && !read.contains("hidden"), "{read}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_a_refusal_is_told_at_once() {
    let (listener, archive, _tasks) = listening(&[]).await;
    let slow = "<Error><Code>SlowDown</Code><Message>Please.</Message></Error>";
    let serving = async {
        for (status, said) in [("503 Slow Down", slow), ("500 Oops", ""), ("200 OK", "")] {
            answer(&listener, "b", status, said).await;
        }
    };
    assert_eq!(tokio::join!(archive.put("x", Bytes::from_static(b"b")), serving).0, Ok(()));
    let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>No.\u{7}</Message></Error>";
    let (put, _) = tokio::join!(archive.put("x", Bytes::from_static(b"b")), answer(&listener, "b", "403 No", denied));
    let error = put.unwrap_err();
    assert_eq!(error.why, "status 403, AccessDenied No.; the key must be allowed s3:PutObject there");
    assert_eq!(error.place, format!("http://{}/records/luthien/", listener.local_addr().unwrap()));
}

#[tokio::test]
async fn after_five_tries_it_is_given_up() {
    let (listener, archive, _tasks) = listening(&[]).await;
    let serving = async {
        for _ in 0..5 {
            answer(&listener, "b", "503 Slow Down", "").await;
        }
    };
    let (put, ()) = tokio::join!(archive.put("x", Bytes::from_static(b"b")), serving);
    assert_eq!(put.unwrap_err().why, "status 503 (5 tries)");
}

#[rstest]
#[case(400, "RequestTimeout", true)]
#[case(429, "", true)]
#[case(409, "OperationAborted", true)]
#[case(400, "ExpiredToken", false)]
#[case(301, "PermanentRedirect", false)]
#[case(404, "NoSuchBucket", false)]
fn answers_say_whether_another_try_helps(#[case] status: u16, #[case] code: &str, #[case] again: bool) {
    let told = refusal(StatusCode::from_u16(status).unwrap(), format!("<Error><Code>{code}</Code></Error>").as_bytes());
    assert_eq!(matches!(told, Failed::Maybe(_)), again, "{told:?}");
}

#[test]
fn amazons_buckets_are_in_the_hosts_name_unless_that_has_dots() {
    assert_eq!(archive(&[]).0.place(), "https://records.s3.us-east-1.amazonaws.com/luthien/");
    let dotted =
        archive(&[("ARCHIVE_S3_BUCKET", "my.records"), ("AWS_REGION", "eu-west-1"), ("ARCHIVE_S3_PREFIX", "p/")]);
    assert_eq!(dotted.0.place(), "https://s3.eu-west-1.amazonaws.com/my.records/p/");
}

#[tokio::test]
async fn a_real_store_has_the_file_and_one_that_is_not_there_is_named() {
    let store = S3::start().unwrap();
    store.make_bucket("records").unwrap();
    let endpoint = store.endpoint();
    let pairs = [("ARCHIVE_S3_ENDPOINT", endpoint.as_str()), ("RETENTION_S3_ENCRYPTION", "AES256")];
    let (archive, tasks) = archive(&pairs);
    archive.put("a.jsonl.zst", Bytes::from_static(b"\x00\xff")).await.unwrap();
    assert_eq!(store.objects("records").unwrap(), ["luthien/a.jsonl.zst"]);
    assert_eq!(store.object("records", "luthien/a.jsonl.zst").unwrap(), b"\x00\xff");
    let missing = S3Archive { bucket: bucket_of(&endpoint, "missing"), ..archive };
    let error = missing.put("a", Bytes::new()).await.unwrap_err();
    assert!(error.why.starts_with("status 404, NoSuchBucket"), "{error}");
    drop(missing);
    tasks.close();
}

fn bucket_of(endpoint: &str, name: &'static str) -> Bucket {
    Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, name, S3::REGION).unwrap()
}
