//! Starts a gateway as a process of its own and waits until it is ready, or says why it is not.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Request;
use luthien_gateway::data_dir::{DataDir, Running};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::agent;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::terminal::visible;
use crate::{logfile, loopback};

/// How often is looked whether it is ready.
const LOOK: Duration = Duration::from_millis(50);

/// Where a start's own words go: the greeting, and why there was none.
const OUTPUT: &str = "gateway.out";

/// How many lines of them are shown where a start has failed.
const SHOWN: usize = 12;

/// Starts it and waits until it is ready.
pub(super) async fn start(loaded: &Loaded, flags: &[String], folder: &Path, wait: u64) -> Result<Running, Failure> {
    let data = loaded.open_folder()?;
    let _alone = agent::starting(data.path()).await?;
    let output = data.path().join(OUTPUT);
    let mut child = spawn(flags, folder, &output)?;
    let end = Instant::now() + Duration::from_secs(wait);
    let mut why = "it has not said that it listens".to_owned();
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Err(Failure::new(format!("the gateway did not start ({status}):\n{}", last_words(&output))));
        }
        if let Some(running) = announced(&data, &child) {
            match unready(&running).await {
                None => return Ok(running),
                Some(reason) => why = reason,
            }
        }
        sleep(LOOK).await;
    }
    Err(Failure::new(format!(
        "the gateway (pid {}) is not ready after {wait} seconds: {why}. It goes on; `luthien status` and `luthien logs` say how it fares, \
         `luthien down` stops it",
        child.id()
    )))
}

/// Says that it runs, and what to do next.
pub(super) fn tell(running: &Running, loaded: &Loaded, as_json: bool) -> Result<(), Failure> {
    let (url, folder) = (running.url(), loaded.folder());
    let log = folder.join(logfile::NAME);
    if as_json {
        return print_json(&json!({
            "url": url, "pid": running.pid, "version": running.version, "data_dir": folder, "log": log,
        }));
    }
    let greeting = std::fs::read_to_string(folder.join(OUTPUT)).unwrap_or_default();
    let warnings: Vec<String> =
        greeting.lines().filter(|line| line.starts_with("! ")).map(|line| format!("{}\n", visible(line))).collect();
    let warnings = warnings.concat();
    print(&format!(
        "The gateway runs at {url} (pid {}).\n{warnings}\n  luthien claude      Claude Code through it\n  luthien status      how it fares\n  \
         luthien logs -f     what it says ({})\n  luthien down        stops it\n",
        running.pid,
        log.display()
    ))
}

fn spawn(flags: &[String], folder: &Path, output: &Path) -> Result<Child, Failure> {
    let failed = |e: std::io::Error| Failure::new(format!("could not start the gateway: {e}"));
    let program = std::env::current_exe().map_err(failed)?;
    let out = fresh(output).map_err(|e| Failure::new(format!("cannot write {}: {e}", output.display())))?;
    let err = out.try_clone().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("background").args(flags).current_dir(folder);
    command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().map_err(failed)
}

/// An empty file for this user alone. Both streams write at its end.
fn fresh(path: &Path) -> std::io::Result<File> {
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What this child has announced.
fn announced(data: &DataDir, child: &Child) -> Option<Running> {
    data.running().filter(|running| running.pid == child.id())
}

/// Why no traffic should come yet.
async fn unready(running: &Running) -> Option<String> {
    let request = Request::get(format!("{}/readyz", running.url())).body(http_body_util::Full::default());
    let answer = match request {
        Ok(request) => loopback::send(request).await,
        Err(error) => return Some(error.to_string()),
    };
    let answer = match answer {
        Ok(answer) if answer.status().is_success() => return None,
        Ok(answer) => answer,
        Err(failure) => return Some(failure.to_string()),
    };
    let body = loopback::read(answer.into_body()).await.unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    Some(said["reason"].as_str().unwrap_or("it says that it is not ready").to_owned())
}

/// The last lines of what a start has said.
fn last_words(output: &Path) -> String {
    let text = std::fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(SHOWN);
    let words: Vec<String> = lines[from..].iter().map(|line| format!("  {}", visible(line))).collect();
    if words.is_empty() { "  it said nothing; `luthien serve` shows what happens".to_owned() } else { words.join("\n") }
}
