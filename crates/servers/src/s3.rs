//! An S3 store of one's own, in memory: moto's server.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::places;
use crate::port::Port;
use crate::process::Process;

#[cfg(test)]
mod tests;

/// A store that takes any credentials and knows no region but its own. Ended when dropped, with all it holds.
#[derive(Debug)]
pub struct S3 {
    _process: Process,
    port: Port,
    _folder: TempDir,
}

impl S3 {
    /// The region to sign for.
    pub const REGION: &str = "us-east-1";

    /// Starts a store and waits until it answers.
    pub fn start() -> io::Result<Self> {
        let program = places::s3()?;
        let folder = tempfile::Builder::new().prefix("luthien-s3-").tempdir()?;
        let port = Port::take()?;
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("PYTHONDONTWRITEBYTECODE", "1").env("MOTO_CALL_RESET_API", "false");
        command.args(["--host", "127.0.0.1", "--port", &port.number.to_string()]);
        let mut process = Process::start(&mut command, Signal::KILL, folder.path().join("output.log"))?;
        process.until(|| request(port.number, "GET", "/").is_ok().then_some(()))?;
        Ok(Self { _process: process, port, _folder: folder })
    }

    /// Its endpoint, for buckets in the path: `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number)
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, bucket: &str) -> io::Result<()> {
        request(self.port.number, "PUT", &format!("/{bucket}")).map(drop)
    }

    /// The keys of a bucket's objects in order; at most a thousand.
    pub fn objects(&self, bucket: &str) -> io::Result<Vec<String>> {
        let list = request(self.port.number, "GET", &format!("/{bucket}?list-type=2"))?;
        let list = String::from_utf8(list).map_err(io::Error::other)?;
        let keys = list.split("<Key>").skip(1);
        Ok(keys.filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect())
    }

    /// An object's bytes. The key stands in the path as it is.
    pub fn object(&self, bucket: &str, key: &str) -> io::Result<Vec<u8>> {
        request(self.port.number, "GET", &format!("/{bucket}/{key}"))
    }
}

/// Sends a request without a body and gives the body of the answer, which has to be a good one.
fn request(port: u16, method: &str, path: &str) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    // The signature is not checked, but without one a private object is not shown.
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{}/s3/aws4_request, SignedHeaders=host, Signature=0",
        S3::REGION
    );
    // HTTP/1.0: the answer ends with the connection.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {signed}\r\nContent-Length: 0\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("the store's answer has no end of its head"))?;
    let body = answer.split_off(end + 4);
    let status = String::from_utf8_lossy(&answer);
    let status = status.lines().next().unwrap_or_default();
    if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Ok(body);
    }
    Err(io::Error::other(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&body))))
}
