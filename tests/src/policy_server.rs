//! A policy server of the Python SDK, a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::places;
use crate::process::{Run, Server, clean, finish};

/// A running policy server, killed when dropped.
pub struct PolicyServer {
    server: Server,
    url: String,
}

/// Where it listens.
pub enum At<'a> {
    /// On this Unix socket.
    Socket(&'a Path),
    /// On a free TCP port, and asks for a secret, which the variable `SECRET` holds.
    Port(&'a str),
}

impl PolicyServer {
    /// Serves the policy in this file of the SDK's examples or of `tests/peers/policies`.
    pub async fn start(file: &str, at: At<'_>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command = clean(&interpreter(), folder.path());
        command.env("PYTHONPATH", places::sdk("src")).env("PYTHONDONTWRITEBYTECODE", "1").env("JUDGE_KEY", "sk-judge");
        let file = if file.starts_with("examples/") { places::sdk(file) } else { places::script(file) };
        command.args(["-m", "luthien_policy"]).arg(file);
        match at {
            At::Socket(path) => command.arg("--socket").arg(path),
            At::Port(secret) => command.env("SECRET", secret).args(["--port", "0", "--secret-env", "SECRET"]),
        };
        let mut server = Server::start(command, folder);
        let address = |log: &str| {
            let line = log.lines().find(|line| line.starts_with("serving "))?;
            line.rsplit(' ').next().map(str::to_owned)
        };
        let url = server.until(Duration::from_mins(1), async |log| address(log)).await;
        Self { server, url }
    }

    /// Its URL as a policy's configuration has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it has printed this.
    pub async fn printed(&mut self, words: &str) {
        self.server.until(Duration::from_mins(1), async |log| log.contains(words).then_some(())).await;
    }

    /// Kills it, as a crash would.
    pub async fn kill(self) {
        self.server.kill().await;
    }

    /// Ends it as an operator would. Fails the test unless it ends well.
    pub async fn stop(self) {
        self.server.stop(Duration::from_secs(30)).await;
    }
}

/// Runs the SDK's Python with these arguments in the SDK's folder.
pub async fn python(arguments: &[&str], temporary: &Path) -> Run {
    let mut command = clean(&interpreter(), temporary);
    command.env("PYTHONDONTWRITEBYTECODE", "1").args(arguments).current_dir(sdk());
    finish(command, b"", Duration::from_mins(5)).await
}

/// The Python for which the SDK's tools are installed.
pub fn interpreter() -> PathBuf {
    places::peer("sdk/bin/python")
}

/// The SDK's folder.
pub fn sdk() -> PathBuf {
    places::sdk("")
}
