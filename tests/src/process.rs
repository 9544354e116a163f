//! Processes with nothing inherited: a clean environment, a home of their own, an end that is waited for.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How a client ended and what it printed.
#[derive(Debug)]
pub struct Run {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A command with only a search path and `home` in its environment.
pub(crate) fn clean(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("LANG", "C.UTF-8").env("TERM", "dumb").env("TMPDIR", home).current_dir(home);
    command.kill_on_drop(true);
    command
}

/// Runs `command` to its end with `input` on its standard input. Fails the test after `within`.
pub(crate) async fn finish(mut command: Command, input: &[u8], within: Duration) -> Run {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let program = PathBuf::from(command.as_std().get_program());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A client that ends before it has read everything says why on its own.
            let _ = stdin.write_all(input).await;
        }
    };
    let (output, ()) = timeout(within, async { tokio::join!(child.wait_with_output(), feed) })
        .await
        .unwrap_or_else(|_| panic!("{} did not end within {within:?}", program.display()));
    let output = output.expect("the client's output");
    let text = |bytes| String::from_utf8(bytes).expect("the client prints UTF-8");
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A server that runs until it is stopped, with its output in a file of its folder.
pub(crate) struct Server {
    child: Child,
    /// Its home and working folder, gone with it.
    pub folder: TempDir,
}

impl Server {
    /// Starts `command`, made for `folder`.
    pub(crate) fn start(mut command: Command, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join(LOG)).expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let program = PathBuf::from(command.as_std().get_program());
        let child = command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self { child, folder }
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).expect("the server's log")
    }

    /// Waits for `ready` to find something, for at most `within`, while the server runs.
    pub(crate) async fn until<T>(&mut self, within: Duration, mut ready: impl AsyncFnMut(&str) -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("the server's state") {
                    panic!("the server ended at once with {status}:\n{}", self.log());
                }
                if let Some(found) = ready(&self.log()).await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = timeout(within, waiting).await.ok();
        found.unwrap_or_else(|| panic!("the server was not ready within {within:?}:\n{}", self.log()))
    }

    /// Kills it, as a crash would, and hands back its folder.
    pub(crate) async fn kill(mut self) -> TempDir {
        self.child.kill().await.expect("a running server");
        self.folder
    }

    /// Asks it to end, waits, and hands back its folder. Fails the test unless it ends well.
    pub(crate) async fn stop(mut self, within: Duration) -> TempDir {
        let id = self.child.id().expect("a running server");
        let asked = Command::new("kill").arg(id.to_string()).status().await.expect("kill");
        assert!(asked.success(), "the server had ended before it was asked to:\n{}", self.log());
        let ended = timeout(within, self.child.wait()).await.ok();
        let status = ended.unwrap_or_else(|| panic!("the server did not end within {within:?}:\n{}", self.log()));
        let status = status.expect("the server's end");
        assert!(status.success(), "the server ended with {status}:\n{}", self.log());
        self.folder
    }
}

const LOG: &str = "output.log";
