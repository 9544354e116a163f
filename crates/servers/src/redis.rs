//! A Redis server of one's own, which keeps nothing on the disk.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::Stop;
use crate::places;
use crate::port::Port;
use crate::process::Process;

#[cfg(test)]
mod tests;

/// A server on a TCP port of 127.0.0.1 that stays the same when it is stopped and started again, empty. Ended when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    program: PathBuf,
    port: Port,
    folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub fn start() -> io::Result<Self> {
        let program = places::redis()?;
        let folder = tempfile::Builder::new().prefix("luthien-redis-").tempdir()?;
        let mut server = Self { process: None, program, port: Port::take()?, folder };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it on the same port after a [`Self::stop`]. Nothing happens if it runs.
    pub fn start_again(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--daemonize", "no", "--port", &self.port.number.to_string(), "--dir"]).arg(self.folder.path());
        let mut process = Process::start(&mut command, Signal::KILL, self.folder.path().join("output.log"))?;
        process.until(|| self.ask("PING").is_ok_and(|said| said == "PONG").then_some(()))?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it. What it held is gone.
    pub fn stop(&mut self, how: Stop) -> io::Result<()> {
        self.process.take().map_or(Ok(()), |process| process.stop(how, Signal::TERM))
    }

    /// Stops it where it is: connections stay open and nobody answers.
    pub fn pause(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets it go on.
    pub fn resume(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::resume)
    }

    /// Its URL, `redis://127.0.0.1:port/`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port.number)
    }

    /// Its TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Sends an inline command such as `GET key` and gives the first line of the answer without the mark of its type,
    /// or the second line where the first is a length.
    pub fn ask(&self, command: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let mut lines = answer.lines();
        let first = lines.next().unwrap_or_default();
        let line = if first.starts_with('$') { lines.next().unwrap_or_default() } else { first };
        Ok(line.trim_start_matches(['+', ':']).to_owned())
    }
}
