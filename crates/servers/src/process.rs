//! A server's processes: started, waited for, signalled together, ended.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Stop;

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server with its output in a file. All its processes end when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Ends the server when this process is gone without a word, as when it is killed.
    guard: Option<Child>,
    last: Signal,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to the end of the file `log`. `last` is the signal that ends it fastest with
    /// all processes that it has started.
    pub(crate) fn start(command: &mut Command, last: Signal, log: PathBuf) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{} does not start: {error}", command.get_program().display()))
        })?;
        let mut process = Self { child, guard: None, last, log };
        process.guard = Some(guard(process.child.id(), last)?);
        Ok(process)
    }

    /// Waits until `ready` finds something, while the server runs.
    pub(crate) fn until<T>(&mut self, mut ready: impl FnMut() -> Option<T>) -> io::Result<T> {
        let found = until(|| match self.child.try_wait() {
            Ok(None) => ready().map(Ok),
            Ok(Some(status)) => Some(Err(format!("the server ended with {status}"))),
            Err(error) => Some(Err(error.to_string())),
        });
        match found {
            Some(Ok(found)) => Ok(found),
            Some(Err(why)) => Err(self.failure(&why)),
            None => Err(self.failure(&format!("the server was not ready within {PATIENCE:?}"))),
        }
    }

    /// The process that was started; the others descend from it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Stops all its processes where they are.
    pub(crate) fn pause(&self) -> io::Result<()> {
        self.freeze().map(drop)
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) -> io::Result<()> {
        family(self.child.id()).into_iter().try_for_each(|id| send(id, Signal::CONT))
    }

    /// Ends it: `Fast` by `polite`, which has to end it well.
    pub(crate) fn stop(mut self, how: Stop, polite: Signal) -> io::Result<()> {
        if how == Stop::Kill {
            return self.kill();
        }
        // One that was paused could not hear it.
        self.resume()?;
        send(self.child.id(), polite)?;
        let status = self.wait()?;
        if status.success() { Ok(()) } else { Err(self.failure(&format!("the server ended with {status}"))) }
    }

    fn kill(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let all = self.freeze()?;
        all.iter().try_for_each(|id| send(*id, Signal::KILL))?;
        self.child.wait()?;
        // Those that have lost their parent are gone a moment later.
        until(|| (!all.iter().any(|id| alive(*id))).then_some(()))
            .ok_or_else(|| io::Error::other("processes of the server outlived their kill"))
    }

    /// Stops the first process before the others are looked up, so that it makes no more of them.
    fn freeze(&self) -> io::Result<Vec<u32>> {
        send(self.child.id(), Signal::STOP)?;
        let all = family(self.child.id());
        all.iter().try_for_each(|id| send(*id, Signal::STOP))?;
        Ok(all)
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        let ended = until(|| self.child.try_wait().transpose());
        ended.unwrap_or_else(|| Err(self.failure(&format!("the server did not end within {PATIENCE:?}"))))
    }

    fn failure(&self, why: &str) -> io::Error {
        io::Error::other(format!("{why}:\n{}", self.log()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to be told. Killed only if all else fails: orphans are collected by nobody in some containers.
        // Of one that has ended the id may be another's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            let asked = self.resume().and_then(|()| send(self.child.id(), self.last));
            if asked.and_then(|()| self.wait()).is_err() {
                let _ = self.kill();
            }
        }
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.stdin.take().map(|mut word| word.write_all(b"\n"));
            let _ = guard.wait();
        }
    }
}

/// Starts what waits for a word from here and sends the signal if its input ends without one.
fn guard(id: u32, signal: Signal) -> io::Result<Child> {
    let script = "trap '' INT TERM; read -r _ || kill \"$1\" \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", &format!("-{}", signal.as_raw()), &id.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// Asks again and again until there is something, for at most [`PATIENCE`].
pub(crate) fn until<T>(mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = ready() {
            return Some(found);
        }
        if started.elapsed() > PATIENCE {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a program to its end and gives what it printed. Its errors are part of ours.
pub(crate) fn output(command: &mut Command) -> io::Result<String> {
    let name = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("{name} does not start: {error}")))?;
    if output.status.success() {
        return String::from_utf8(output.stdout).map_err(io::Error::other);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name} ended with {}: {}", output.status, errors.trim())))
}

/// Signals a process; one that is gone is no error.
fn send(id: u32, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("not a process id"))?;
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A process and all that descend from it.
fn family(id: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((id, stat(id)?.1))
        })
        .collect();
    let mut found = vec![id];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// Whether a process is there and more than an entry that nobody has collected.
fn alive(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// A process's state and its parent.
fn stat(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    // The name, in parentheses, may hold anything; what follows may not.
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_when_nobody_is_left_to_end_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sleep = Command::new("sleep");
        let log = folder.path().join("output.log");
        let mut process = Process::start(sleep.arg("600"), Signal::KILL, log).expect("a process");
        assert_eq!(process.child.try_wait().expect("its state"), None);
        // As the end of this process would.
        drop(process.guard.as_mut().and_then(|guard| guard.stdin.take()).expect("its input"));
        assert!(!process.wait().expect("an end").success());
    }
}
