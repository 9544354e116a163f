//! A PostgreSQL server of one's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::Stop;
use crate::account::Account;
use crate::places;
use crate::port::{Port, random};
use crate::process::{Process, output};

mod template;
#[cfg(test)]
mod tests;

/// Its one account, for which no password is asked.
pub(crate) const USER: &str = "luthien";

/// Settings of every server, before the caller's. Nothing is forced to the disk: what a server has written outlives its
/// kill all the same, and the machine's end ends the test.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_connections", "300"),
    ("shared_buffers", "32MB"),
    ("autovacuum", "off"),
    ("timezone", "UTC"),
];

/// A server with a folder, a Unix socket and a TCP port on 127.0.0.1 that stay the same when it is stopped and started
/// again. Ended when dropped, with all it holds.
#[derive(Debug)]
pub struct Postgres {
    // First, so that the server ends before its folder does.
    process: Option<Process>,
    programs: PathBuf,
    account: Account,
    settings: Vec<(String, String)>,
    port: Port,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server and waits until it takes connections. It forces nothing to the disk.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings as in `postgresql.conf`, such as `("fsync", "on")`.
    pub fn start_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        let programs = places::postgres()?;
        let account = Account::choose()?;
        let folder = tempfile::Builder::new().prefix("luthien-postgres-").tempdir()?;
        account.own(folder.path())?;
        template::copy(&programs, account, &folder.path().join(DATA))?;
        let settings = SETTINGS.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = settings.collect();
        let mut server = Self { process: None, programs, account, settings, port: Port::take()?, folder };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it on the same folder and port after a [`Self::stop`]. Nothing happens if it runs.
    pub fn start_again(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let data = self.folder.path().join(DATA);
        let mut command = self.account.command(&self.programs.join("postgres"));
        command.current_dir(self.folder.path()).arg("-D").arg(&data).arg("-k").arg(self.folder.path());
        command.arg("-p").arg(self.port.number.to_string());
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut process = Process::start(&mut command, Signal::QUIT, self.folder.path().join("output.log"))?;
        let id = process.id();
        process.until(|| ready(&data, id).then_some(()))?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops it. Its data stay, and `start_again` brings it back.
    pub fn stop(&mut self, how: Stop) -> io::Result<()> {
        // An interrupt is PostgreSQL's fast shutdown: transactions are rolled back, connections closed.
        self.process.take().map_or(Ok(()), |process| process.stop(how, Signal::INT))
    }

    /// Stops all its processes where they are: connections stay open and nobody answers.
    pub fn pause(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets them go on.
    pub fn resume(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::resume)
    }

    /// The URL of a database, over TCP.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port.number)
    }

    /// The URL of a database, over the Unix socket, which reaches into network namespaces.
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display();
        format!("postgres:///{database}?host={folder}&port={}&user={USER}", self.port.number)
    }

    /// Its TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Makes an empty database and gives its name.
    pub fn create_database(&self) -> io::Result<String> {
        create_database(&self.socket_url("postgres"))
    }

    /// Runs SQL in a database, by `psql`: a line for each row, columns parted by `|`.
    pub fn query(&self, database: &str, sql: &str) -> io::Result<String> {
        query(&self.socket_url(database), sql)
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

const DATA: &str = "data";

/// Makes an empty database on the server of `url`, the URL of another one there, and gives its name.
pub(crate) fn create_database(url: &str) -> io::Result<String> {
    let name = format!("t_{:016x}", random());
    query(url, &format!("CREATE DATABASE {name}"))?;
    Ok(name)
}

/// Runs SQL in the database of `url`.
pub(crate) fn query(url: &str, sql: &str) -> io::Result<String> {
    let mut command = Command::new(places::postgres()?.join("psql"));
    // None of the caller's own settings.
    command.env("PGCONNECT_TIMEOUT", "30").env_remove("PGOPTIONS").env_remove("PGSERVICE").env_remove("PGPASSFILE");
    command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password", "-v", "ON_ERROR_STOP=1"]);
    command.args(["--dbname", url, "--command", sql]);
    Ok(output(&mut command)?.trim_end().to_owned())
}

/// Whether the server's own file says that it takes connections. The file may be one that a killed server left.
fn ready(data: &Path, id: u32) -> bool {
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    lines.first().is_some_and(|first| *first == id.to_string()) && lines.get(7) == Some(&"ready")
}
