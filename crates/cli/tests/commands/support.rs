//! Running the binary with a home of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A home folder: working folder, data and configuration of one test.
pub(crate) struct Home {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), environment: Vec::new() }
    }

    /// Puts a variable into the environment of the commands from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder that the commands use.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes a file in the working folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Makes a gate in the working folder: who reads it waits until something is written to it.
    pub(crate) fn gate(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path().join(name)).status().unwrap().success());
    }

    /// Puts a shell script on the `PATH` of the commands.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let folder = self.path().join("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The binary, with nothing of the surrounding environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_luthien"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path().join("bin").display()));
        command
            .env("TMPDIR", self.path())
            .env("HOME", self.path())
            .env("LUTHIEN_DATA_DIR", self.data())
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub(crate) fn luthien(&self, args: &[&str]) -> Run {
        finish(self.command(args))
    }
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Run {
    let done = command.output().unwrap();
    Run {
        code: done.status.code().unwrap_or(-1),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// A gateway that serves until it is stopped.
pub(crate) struct Served {
    child: Child,
    /// Everything up to the line that says that it listens.
    pub(crate) greeting: String,
    /// Its base URL.
    pub(crate) base: String,
}

impl Served {
    /// Starts one on a free port and waits until it listens.
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.command(&[&["serve", "--port", "0"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        let base = loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                let mut err = String::new();
                child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                panic!("the gateway ended before it listened:\n{greeting}{err}");
            }
            greeting.push_str(&line);
            if let Some(base) = line.strip_prefix("listening on ") {
                break base.trim().to_owned();
            }
        };
        Self { child, greeting, base }
    }

    /// Tells it to stop, as an operator would.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end; gives its exit code.
    pub(crate) fn end(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Tells it to stop and waits; gives its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.terminate();
        self.end()
    }

    /// Reads its log up to a line with these words.
    pub(crate) fn log_until(&mut self, words: &str) {
        let log = BufReader::new(self.child.stderr.take().unwrap());
        let found = log.lines().any(|line| line.unwrap().contains(words));
        assert!(found, "it ended without saying {words:?}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A command that is read from while it runs.
pub(crate) struct Talking {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    err: BufReader<std::process::ChildStderr>,
}

impl Talking {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// The next line that it prints.
    pub(crate) fn out(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// Reads its errors up to a line with these words.
    pub(crate) fn err_until(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "it ended without saying {words:?}");
        }
    }

    /// Waits for its end; gives its exit code.
    pub(crate) fn end(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}
