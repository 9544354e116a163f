//! A policy server as a child: started, started again when it dies, ended when nobody needs it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_policy::remote::{Message, PolicyServer, Program, Reply, ServerError};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// For a child to end once its standard input has; it lets running reviews end.
const END: Duration = Duration::from_secs(12);
/// The wait before a child that died soon is started again; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Questions wait out a pause up to this, if the child had come so far as to listen.
const WAITED_FOR: Duration = Duration::from_secs(1);
/// One that ran for so long is started again at once.
const LONG: Duration = Duration::from_secs(30);
/// The lines of its output that are told when it dies.
const LAST_LINES: usize = 3;
/// The longest line of its output that the log gets, in bytes.
const LINE: usize = 4000;

/// Runs the SDK as `-m luthien_policy` would, but never out of the folder in which the gateway stands: agents may write there.
const SDK: &str = "import sys
sys.path[:] = [folder for folder in sys.path if folder]
import runpy
runpy.run_module('luthien_policy', run_name='__main__', alter_sys=True)";

/// What a child is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It was started and does not listen yet.
    Starting,
    /// It listens.
    Listening,
    /// It has died, for this reason, and is started again after a while.
    Down(String),
}

/// The way to a child. Dropped, the child ends.
pub(super) struct ChildServer {
    server: super::Server,
    state: watch::Receiver<State>,
    _end: DropGuard,
}

impl fmt::Debug for ChildServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildServer").field("server", &self.server).finish_non_exhaustive()
    }
}

impl ChildServer {
    /// The way to the child that `run` keeps running, and that work, which ends when the way is dropped or `stop` is cancelled.
    pub(super) fn new(
        server: super::Server,
        start: Start,
        stop: &CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (tell, state) = watch::channel(State::Starting);
        let end = stop.child_token();
        let running = run(start, tell, end.clone());
        (Self { server, state, _end: end.drop_guard() }, running)
    }
}

impl PolicyServer for ChildServer {
    /// Waits for a child that is just starting, as long as the caller does.
    fn send(&self, message: Message) -> BoxFuture<'_, Result<Reply, ServerError>> {
        Box::pin(async move {
            let mut state = self.state.clone();
            let now = state.wait_for(|state| *state != State::Starting).await.map(|state| state.clone());
            match now {
                Ok(State::Listening) => self.server.send(message).await,
                Ok(State::Down(why)) => Err(ServerError::Unreachable(why)),
                Ok(State::Starting) | Err(_) => Err(ServerError::Unreachable(super::STOPPING.to_owned())),
            }
        })
    }
}

/// What is started.
pub(super) struct Start {
    pub(super) program: Program,
    pub(super) socket: PathBuf,
    pub(super) environment: BTreeMap<String, String>,
}

impl Start {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program.python);
        command.env_clear().envs(&self.environment).args(["-c", SDK]).arg(&self.program.file);
        command.arg("--socket").arg(&self.socket).args(["--max-concurrency", &self.program.at_once.to_string()]);
        // Its end is the gateway's, however that ends.
        command.arg("--until-stdin-ends").stdin(Stdio::piped());
        if let Some(class) = &self.program.class {
            command.args(["--name", class]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Keeps a child running until `end`.
async fn run(start: Start, tell: watch::Sender<State>, end: CancellationToken) {
    let mut pause = PAUSE;
    while !end.is_cancelled() {
        let started = Instant::now();
        tell.send_replace(State::Starting);
        let why = once(&start, &tell, &end).await;
        let listened = *tell.borrow() == State::Listening;
        if end.is_cancelled() {
            break;
        }
        tracing::warn!(file = %start.program.file, %why, "a policy's process has died and is started again");
        if started.elapsed() >= LONG {
            pause = PAUSE;
            continue;
        }
        let soon = listened && pause <= WAITED_FOR;
        tell.send_replace(if soon { State::Starting } else { State::Down(why) });
        if end.run_until_cancelled(sleep(pause)).await.is_none() {
            break;
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
    // It removes its socket by itself, unless it was killed.
    let _ = std::fs::remove_file(&start.socket);
}

/// Runs a child to its end; gives the reason.
async fn once(start: &Start, tell: &watch::Sender<State>, end: &CancellationToken) -> String {
    let mut child = match start.command().spawn() {
        Ok(child) => child,
        Err(error) => return format!("`{}` cannot be started: {error}", start.program.python),
    };
    let last = Mutex::new(VecDeque::new());
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let printed = async {
        tokio::join!(
            lines(out, |line| {
                if line.starts_with("serving ") {
                    tell.send_replace(State::Listening);
                }
                tracing::info!(file = %start.program.file, ?line, "a policy's process says");
            }),
            lines(errors, |line| {
                tracing::warn!(file = %start.program.file, ?line, "a policy's process says");
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                last.push_back(line.to_owned());
                if last.len() > LAST_LINES {
                    last.pop_front();
                }
            })
        )
    };
    let ended = async { tokio::join!(ended(&mut child, end), printed).0 };
    let status = ended.await;
    let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
    let said = last.into_iter().collect::<Vec<_>>().join(" | ");
    format!("the policy's process ended with {status}: {}", if said.is_empty() { "it printed nothing" } else { &said })
}

/// Waits for the child's end, or brings it about.
async fn ended(child: &mut Child, end: &CancellationToken) -> String {
    // Held open until then.
    let input = child.stdin.take();
    let shown = |status: std::io::Result<ExitStatus>| {
        status.map_or_else(|error| error.to_string(), |status| status.to_string())
    };
    tokio::select! {
        status = child.wait() => return shown(status),
        () = end.cancelled() => drop(input),
    }
    if let Ok(status) = timeout(END, child.wait()).await {
        return shown(status);
    }
    // Either way it is gone.
    let _ = child.kill().await;
    "a signal".to_owned()
}

/// Reads lines to the end.
async fn lines(from: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&str)) {
    let Some(from) = from else { return };
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(mut line)) = lines.next_segment().await {
        line.truncate(LINE);
        each(String::from_utf8_lossy(&line).trim_end());
    }
}

/// The environment of a policy's process: what every program needs, what is Python's, and what is named. So the gateway's own
/// keys are not in it.
pub(super) fn environment(all: &BTreeMap<String, String>, named: &[String]) -> BTreeMap<String, String> {
    const USUAL: [&str; 7] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"];
    let passes = |name: &str| {
        USUAL.contains(&name)
            || name.starts_with("LC_")
            || name.starts_with("PYTHON")
            || named.iter().any(|given| given == name)
    };
    all.iter().filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Makes the private folder for the sockets of children.
pub(super) fn folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Counts the sockets of one process, so that each has a name of its own.
#[derive(Debug, Default)]
pub(super) struct Sockets(std::sync::atomic::AtomicU64);

impl Sockets {
    /// The next, below `folder`.
    pub(super) fn next(&self, folder: &Path) -> PathBuf {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        folder.join(format!("{}-{number}.sock", std::process::id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_sdk_is_never_taken_from_the_folder_where_the_gateway_stands() {
        let (here, libraries) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["luthien_policy.py", "runpy.py"] {
            std::fs::write(here.path().join(name), "print('from here')").unwrap();
        }
        std::fs::write(libraries.path().join("luthien_policy.py"), "import sys; print('the SDK', sys.argv[1])")
            .unwrap();
        let program = Program {
            python: "python3".to_owned(),
            file: "policy.py".to_owned(),
            class: None,
            env: Vec::new(),
            at_once: 1,
        };
        let given = [
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("PYTHONPATH".to_owned(), libraries.path().display().to_string()),
        ];
        let start = Start { program, socket: PathBuf::from("/nowhere"), environment: given.into() };
        let output = start.command().current_dir(here.path()).output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "the SDK policy.py\n", "{output:?}");
    }
}
