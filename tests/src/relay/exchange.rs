//! The requests and answers in a connection's bytes, with the transfer coding of their bodies undone.

use bytes::Bytes;

/// A request and its answer, as they were on the wire.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request line and headers.
    pub request_head: String,
    /// The request's body.
    pub request_body: Bytes,
    /// The status line and headers.
    pub response_head: String,
    /// The answer's body.
    pub response_body: Bytes,
}

impl Exchange {
    /// The first value of a header of the answer, whatever the case of its name.
    pub fn response_header(&self, name: &str) -> Option<&str> {
        header(&self.response_head, name)
    }
}

/// Pairs what went each way, in order. HTTP/1.1 without pipelining, as all clients here speak it.
pub(super) fn parse(mut sent: &[u8], mut received: &[u8]) -> Vec<Exchange> {
    let mut all = Vec::new();
    loop {
        match (message(&mut sent), message(&mut received)) {
            (Some((request_head, request_body)), Some((response_head, response_body))) => {
                all.push(Exchange { request_head, request_body, response_head, response_body });
            }
            (None, None) => break,
            (request, answer) => panic!("without its other half: {request:?} {answer:?}"),
        }
    }
    assert!(sent.is_empty() && received.is_empty(), "cut off: {}", String::from_utf8_lossy(sent));
    all
}

/// Takes one message from the front: its head, and its body as far as there is one.
fn message(bytes: &mut &[u8]) -> Option<(String, Bytes)> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
    let mut rest = &bytes[end + 4..];
    let chunked = header(&head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = if chunked { unchunked(&mut rest)? } else { sized(&mut rest, &head)? };
    *bytes = rest;
    Some((head, body.into()))
}

fn sized(rest: &mut &[u8], head: &str) -> Option<Vec<u8>> {
    let length = header(head, "content-length").map_or(0, |length| length.parse().expect("a length"));
    let (body, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(body.to_vec())
}

fn unchunked(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).expect("a chunk's size");
        let size =
            usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).expect("a chunk's size");
        let chunk = rest.get(line + 2..line + 2 + size)?;
        body.extend_from_slice(chunk);
        *rest = rest.get(line + 2 + size + 2..)?;
        if size == 0 {
            return Some(body);
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests;
