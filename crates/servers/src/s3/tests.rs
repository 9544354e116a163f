//! A real store keeps what is put into it.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::S3;

/// Puts an object as a client without any library would.
fn put(endpoint: &str, path: &str, body: &str) {
    let host = endpoint.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host).expect("a connection");
    let head = format!("PUT {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(head.as_bytes()).expect("a request");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(" 200 OK"), "{answer}");
}

#[test]
fn objects_are_listed_and_read() {
    let store = S3::start().expect("a store");
    store.make_bucket("records").expect("a bucket");
    assert_eq!(store.objects("records").expect("a list"), Vec::<String>::new());
    put(&store.endpoint(), "/records/b/2", "two");
    put(&store.endpoint(), "/records/a/1", "one");
    assert_eq!(store.objects("records").expect("a list"), ["a/1", "b/2"]);
    assert_eq!(store.object("records", "b/2").expect("an object"), b"two");
    assert!(store.object("records", "c").is_err());
}
