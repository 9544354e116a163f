//! Requests and answers found in a connection's bytes.

use super::parse;

#[test]
fn requests_and_answers_are_paired_and_their_bodies_put_together() {
    let sent = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET /b HTTP/1.1\r\nhost: x\r\n\r\n";
    let received =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno!";
    let all = parse(sent, received);
    let bodies: Vec<_> = all.iter().map(|one| (&one.request_body[..], &one.response_body[..])).collect();
    assert_eq!(bodies, [(&b"{}"[..], &b"abcdef"[..]), (b"", b"no!")]);
    assert_eq!(all[0].response_header("transfer-encoding"), Some("chunked"));
    assert!(all[1].request_head.starts_with("GET /b "));
}

#[test]
#[should_panic(expected = "without its other half")]
fn an_answer_that_is_missing_is_noticed() {
    parse(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}
