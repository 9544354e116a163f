//! One GET of the gateway's API, by hand: xtask has no HTTP library.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::Failure;

const WITHIN: Duration = Duration::from_secs(30);

/// The JSON at `path` of the gateway on `port`.
pub(super) fn get_json(port: u16, path: &str, key: &str) -> Result<Value, Failure> {
    let answer = get(port, path, key).map_err(|error| format!("the API did not answer: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the API's answer has no end of its head")?;
    if head.split(' ').nth(1).is_none_or(|status| status != "200") {
        return Err(format!("the API answered: {}", head.lines().next().unwrap_or_default()));
    }
    serde_json::from_str(body).map_err(|error| format!("the API's answer is no JSON: {error}"))
}

/// The whole answer. HTTP/1.0, so that the body comes unchunked and its end is the connection's.
fn get(port: u16, path: &str, key: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.set_write_timeout(Some(WITHIN))?;
    write!(socket, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}
