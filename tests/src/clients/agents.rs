//! Agents that run tools: Claude Code, Codex and pi, each run once on a prompt and without a terminal.

use std::path::{Path, PathBuf};

use luthien_wire::Dialect;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::WITHIN;
use crate::places;
use crate::process::{Run, clean, finish};

const KEY: &str = "sk-test-dummy";

/// With these Codex asks nobody for leave and looks nowhere for news.
const CODEX_FREE: [&str; 12] = [
    "-c",
    "model=\"gpt-5\"",
    "-c",
    "approval_policy=\"never\"",
    "-c",
    "sandbox_mode=\"danger-full-access\"",
    "-c",
    "check_for_update_on_startup=false",
    "-c",
    "analytics.enabled=false",
    "-c",
    "features.plugins=false",
];

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
    command.env("ANTHROPIC_API_KEY", KEY);
    for off in [
        "DISABLE_TELEMETRY",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ] {
        command.env(off, "1");
    }
}

/// Runs Codex once, without a terminal, on `prompt` with this model; it may run any command. Gives its events as lines of JSON.
pub async fn codex(base: &str, model: &str, prompt: &str) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    std::fs::create_dir(home.path().join(".codex")).expect("Codex's folder");
    std::fs::write(home.path().join(".codex/config.toml"), codex_config(base)).expect("Codex's settings");
    let args = ["exec", "--skip-git-repo-check", "--json", "--model", model, prompt];
    codex_at(home.path(), &args, &[("GATEWAY_KEY", KEY)]).await
}

/// Runs Codex once with these arguments and variables, with the settings in `home`. It may run any command.
pub async fn codex_at(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = clean(&codex_folder().join("codex"), home);
    command.args(CODEX_FREE).args(args).envs(environment.iter().copied());
    finish(command, b"", WITHIN).await
}

/// Runs `luthien codex` once with these arguments, with the settings and data of `home`, a gateway of its own and this upstream.
pub async fn luthien_codex(home: &Path, upstream: &str, args: &[&str]) -> Run {
    let mut command = clean(&places::gateway(), home);
    command.arg("codex").args(CODEX_FREE).args(args);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([codex_folder()].into_iter().chain(std::env::split_paths(&folders)));
    command.env("PATH", path.expect("a search path")).env("LUTHIEN_DATA_DIR", home.join("data"));
    command.env("OPENAI_BASE_URL", format!("{upstream}/v1")).env("GATEWAY_PORT", "0").env("OPENAI_API_KEY", KEY);
    finish(command, b"", WITHIN).await
}

/// Lets the Codex of this home believe that somebody is logged in to ChatGPT.
pub fn codex_login(home: &Path) {
    // The header `{"alg":"none"}` and claims that never expire; nobody checks a signature here.
    let claims = "eyJleHAiOjQxMDI0NDQ4MDAsImVtYWlsIjoiYUBiLmMiLCJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9wbGFuX3R5cGUiOiJwbHVzIiwiY2hhdGdwdF91c2VyX2lkIjoidSIsImNoYXRncHRfYWNjb3VudF9pZCI6ImFjY291bnQtb2YtdGhlLXRlc3QifX0";
    let token = format!("eyJhbGciOiJub25lIn0.{claims}.c2ln");
    let tokens =
        json!({"id_token": token, "access_token": token, "refresh_token": "r", "account_id": "account-of-the-test"});
    let login = json!({"OPENAI_API_KEY": null, "tokens": tokens, "last_refresh": "2090-01-01T00:00:00Z"});
    std::fs::create_dir_all(home.join(".codex")).expect("Codex's folder");
    std::fs::write(home.join(".codex/auth.json"), login.to_string()).expect("Codex's login");
}

/// The folder of the `codex` binary.
fn codex_folder() -> PathBuf {
    let (package, machine) = if cfg!(target_arch = "aarch64") {
        ("codex-linux-arm64", "aarch64-unknown-linux-musl")
    } else {
        ("codex-linux-x64", "x86_64-unknown-linux-musl")
    };
    places::peer(&format!("node/node_modules/@openai/{package}/vendor/{machine}/bin"))
}

fn codex_config(base: &str) -> String {
    format!(
        r#"model = "gpt-5"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.gateway]
name = "Gateway"
base_url = "{base}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"#
    )
}

/// Runs pi once, without a terminal, on `prompt`, as a client of this dialect; it may use its shell tool. Gives its events as lines of JSON.
pub async fn pi(dialect: Dialect, base: &str, model: &str, prompt: &str) -> Run {
    let home = TempDir::new().expect("a temporary folder");
    let (api, base) = match dialect {
        Dialect::Messages => ("anthropic-messages", base.to_owned()),
        Dialect::Chat => ("openai-completions", format!("{base}/v1")),
        Dialect::Responses => ("openai-responses", format!("{base}/v1")),
    };
    let provider = json!({"baseUrl": base, "apiKey": KEY, "api": api, "models": [{"id": model, "reasoning": true}]});
    let agent = home.path().join(".pi/agent");
    std::fs::create_dir_all(&agent).expect("pi's folder");
    let models = json!({"providers": {"gateway": provider}});
    std::fs::write(agent.join("models.json"), models.to_string()).expect("pi's settings");
    // A connection that fails is not tried again.
    std::fs::write(agent.join("settings.json"), json!({"retry": {"enabled": false}}).to_string())
        .expect("pi's settings");
    let mut command = clean(Path::new("node"), home.path());
    command.arg(places::peer("node/node_modules/@mariozechner/pi-coding-agent/dist/cli.js"));
    command.args(["--provider", "gateway", "--model", model, "--mode", "json", "--no-session", "-p", prompt]);
    command.env("PI_OFFLINE", "1").env("PI_TELEMETRY", "0");
    finish(command, b"", WITHIN).await
}
