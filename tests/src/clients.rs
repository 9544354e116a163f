//! The real clients: Claude Code and the vendors' SDKs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::places;
pub use crate::process::Run;
use crate::process::{clean, finish};

const WITHIN: Duration = Duration::from_mins(2);

/// Runs Claude Code once, without a terminal, on `prompt`; it may use its shell tool. `args` are added to its command line.
pub async fn claude_code(base: &str, prompt: &str, args: &[&str]) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    let mut command = clean(&claude_code_binary(), home.path());
    command.args(["-p", prompt, "--allowedTools", "Bash"]).args(args).env("ANTHROPIC_BASE_URL", base);
    quiet(&mut command);
    finish(command, b"", WITHIN).await
}

/// Runs `luthien claude` once on `prompt`, with the settings and data of `home`, a gateway of its own and this upstream.
pub async fn luthien_claude(home: &Path, upstream: &str, prompt: &str) -> Run {
    let mut command = clean(&places::gateway(), home);
    command.args(["claude", "-p", prompt, "--allowedTools", "Bash"]);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let claude = claude_code_binary().parent().map(Path::to_path_buf);
    let path = std::env::join_paths(claude.into_iter().chain(std::env::split_paths(&folders))).expect("a search path");
    command.env("PATH", path).env("LUTHIEN_DATA_DIR", home.join("data"));
    command.env("ANTHROPIC_BASE_URL", upstream).env("GATEWAY_PORT", "0");
    quiet(&mut command);
    finish(command, b"", WITHIN).await
}

/// Runs `luthien` with these arguments, with the settings and data of `home`.
pub async fn luthien(home: &Path, args: &[&str]) -> Run {
    let mut command = clean(&places::gateway(), home);
    command.args(args).env("LUTHIEN_DATA_DIR", home.join("data"));
    finish(command, b"", WITHIN).await
}

fn claude_code_binary() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    places::peer(&format!("node/node_modules/@anthropic-ai/claude-code-linux-{machine}/claude"))
}

/// A dummy key, and none of the traffic that is not the conversation.
fn quiet(command: &mut Command) {
    command.env("ANTHROPIC_API_KEY", "sk-test-dummy");
    for off in [
        "DISABLE_TELEMETRY",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ] {
        command.env(off, "1");
    }
}

/// One of the vendors' SDK pairs, each with an Anthropic and an OpenAI one.
#[derive(Clone, Copy, Debug)]
pub enum Sdk {
    /// The newer generation of the Python SDKs.
    PythonNew,
    /// The older generation of the Python SDKs.
    PythonOld,
    /// The TypeScript SDKs.
    TypeScript,
}

/// One answer for an SDK to read.
#[derive(Clone, Debug)]
pub struct Job {
    /// The name under which the result comes.
    pub name: String,
    /// `messages` or `chat`.
    pub dialect: &'static str,
    /// Whether the SDK asks for a stream.
    pub streamed: bool,
    /// The request's body, without `stream`.
    pub request: Value,
}

/// Lets the SDK read each job's answer from `base`. For each name: `{"events": […], "final": {…}}`, with `{"error": "…"}` in
/// the place of what the SDK refused.
pub async fn read(sdk: Sdk, base: &str, jobs: &[Job]) -> BTreeMap<String, Value> {
    let home = TempDir::new().expect("a temporary folder");
    let command = match sdk {
        Sdk::PythonNew => python("python-new", home.path()),
        Sdk::PythonOld => python("python-old", home.path()),
        Sdk::TypeScript => {
            let mut command = clean(Path::new("node"), home.path());
            command.env("NODE_PATH", places::peer("node/node_modules")).arg(places::script("node/read.cjs"));
            command
        }
    };
    let jobs: Vec<_> = jobs.iter().map(|job| described(job, base)).collect();
    let run = finish(command, Value::Array(jobs).to_string().as_bytes(), WITHIN).await;
    assert_eq!(run.code, Some(0), "{sdk:?} ended badly: {}", run.stderr);
    serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{sdk:?} printed no JSON ({error}): {}", run.stdout))
}

fn python(environment: &str, home: &Path) -> Command {
    let mut command = clean(&places::peer(&format!("{environment}/bin/python")), home);
    command.arg(places::script("python/read.py"));
    command
}

fn described(job: &Job, base: &str) -> Value {
    json!({"name": job.name, "base_url": base, "dialect": job.dialect, "streamed": job.streamed, "request": job.request})
}
