//! The processes of a comparison: started on their core, ended when dropped.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{EVENTS, GATEWAY_CORE, LOAD_CORE, Programs, web};
use crate::Failure;

/// A policy file with two policies that ask nobody.
pub(super) const TWO_CHEAP_POLICIES: &str = r#"
policy:
  class: serial
  config:
    policies:
      - { class: string_replacement, config: { replacements: [["never to be found", "nothing"]] } }
      - { class: dogfood_safety, config: {} }
"#;

/// One of the things that are compared.
pub(super) struct Contender {
    pub name: &'static str,
    port: u16,
    /// Where the admin key is, if it keeps a record.
    data: Option<PathBuf>,
    _process: Process,
}

impl Contender {
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many transactions can be read from its record; none if it keeps none.
    pub(super) fn recorded(&self) -> Result<Option<u64>, Failure> {
        let Some(data) = &self.data else { return Ok(None) };
        let key = data.join("admin.key");
        let key = std::fs::read_to_string(&key).map_err(|error| format!("cannot read {}: {error}", key.display()))?;
        let calls = web::get_json(self.port, "/api/debug/calls?limit=1", key.trim())?;
        calls["total"].as_u64().map(Some).ok_or_else(|| format!("the API names no total: {calls}"))
    }
}

/// The ports of one comparison.
pub(super) struct Ports {
    upstream: u16,
    yardstick: u16,
}

impl Ports {
    pub(super) fn take() -> Result<Self, Failure> {
        Ok(Self { upstream: free_port()?, yardstick: free_port()? })
    }
}

/// A process that is killed and awaited when dropped, with its working folder.
pub(super) struct Process {
    child: Child,
    folder: Option<PathBuf>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

pub(super) fn upstream(programs: &Programs, ports: &Ports) -> Result<Process, Failure> {
    let mut command = pinned(LOAD_CORE, &programs.yardstick.join("upstream"));
    // A message's start and end, a block's start and end, and the message's delta come beside the chunks.
    command.env("PORT", ports.upstream.to_string()).env("CHUNKS", (EVENTS - 5).to_string());
    start(command, ports.upstream, None)
}

pub(super) fn yardstick(programs: &Programs, ports: &Ports) -> Result<Contender, Failure> {
    let mut command = pinned(GATEWAY_CORE, &programs.yardstick.join("probe"));
    command.env("PORT", ports.yardstick.to_string()).env("UPSTREAM", format!("http://127.0.0.1:{}", ports.upstream));
    let process = start(command, ports.yardstick, None)?;
    Ok(Contender { name: "yardstick", port: ports.yardstick, data: None, _process: process })
}

pub(super) fn gateway(
    programs: &Programs,
    ports: &Ports,
    name: &'static str,
    policy: Option<&str>,
) -> Result<Contender, Failure> {
    let port = free_port()?;
    let folder = std::env::temp_dir().join(format!("luthien-bench-{}-{port}", std::process::id()));
    let data = folder.join("data");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut command = pinned(GATEWAY_CORE, &programs.gateway);
    command.arg("serve").env("GATEWAY_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
    command.env("LUTHIEN_DATA_DIR", &data).env("LOG_LEVEL", "warn").current_dir(&folder);
    command.env("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", ports.upstream));
    if let Some(policy) = policy {
        let file = folder.join("policy.yaml");
        std::fs::write(&file, policy).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        command.env("POLICY_CONFIG", file);
    }
    let process = start(command, port, Some(folder))?;
    Ok(Contender { name, port, data: Some(data), _process: process })
}

fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// Starts `command` and waits until something listens on `port`.
fn start(mut command: Command, port: u16, folder: Option<PathBuf>) -> Result<Process, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child =
        command.spawn().map_err(|error| format!("taskset (package util-linux) could not be started: {error}"))?;
    let mut process = Process { child, folder };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Ok(Some(status)) = process.child.try_wait() {
            return Err(format!("a program of the comparison ended at once with {status}"));
        }
        if started.elapsed() > Duration::from_secs(30) {
            return Err(format!("nothing listens on port {port} after 30 s"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(process)
}

fn free_port() -> Result<u16, Failure> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}
