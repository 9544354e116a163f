//! Processes of this machine, told apart from later ones that were given the same number.

use std::io;

use luthien_gateway::data_dir::{Kept, Running};
use rustix::process::{Pid, Signal};

/// What the process of an announced gateway is now.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has ended. Whatever has its number now is somebody else's.
    Gone,
    /// It runs.
    Same(Process),
    /// Something runs under its number; the system does not say whether it is still the same.
    Likely(Process),
}

/// A process that runs, or ran a moment ago.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    began: Option<u64>,
    /// Holds on to the process itself: its number may be given away once it has ended.
    #[cfg(target_os = "linux")]
    handle: Option<rustix::fd::OwnedFd>,
}

impl Standing {
    /// Looks at the process of this gateway.
    pub(crate) fn of(running: &Running) -> Self {
        let Some(process) = Process::open(running.pid) else { return Self::Gone };
        let announced = running.started.as_ref().and_then(|started| started.process);
        match (announced, process.began) {
            (Some(then), Some(now)) if then == now => Self::Same(process),
            (Some(_), Some(_)) => Self::Gone,
            _ => Self::Likely(process),
        }
    }
}

impl Process {
    fn open(number: u32) -> Option<Self> {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw)?;
        // The handle first: what is looked at then is what it holds.
        #[cfg(target_os = "linux")]
        let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok();
        let process = Self {
            pid,
            began: began(number),
            #[cfg(target_os = "linux")]
            handle,
        };
        (!process.ended()).then_some(process)
    }

    /// Its number.
    pub(crate) fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends it a signal, and nobody else.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            return Ok(rustix::process::pidfd_send_signal(handle, signal)?);
        }
        Ok(rustix::process::kill_process(self.pid, signal)?)
    }

    /// It runs no more. One whose parent has not asked how it ended counts as ended too.
    pub(crate) fn ended(&self) -> bool {
        match stat(self.pid.as_raw_nonzero().get().unsigned_abs()) {
            Some((state, began)) => matches!(state, 'Z' | 'X') || self.began.is_some_and(|then| then != began),
            // Not every system says more than whether there is one.
            None if cfg!(target_os = "linux") => true,
            None => rustix::process::test_kill_process(self.pid).is_err(),
        }
    }
}

/// When the system says that a process began, in its own unit; none where it does not say.
pub(crate) fn began(number: u32) -> Option<u64> {
    stat(number).map(|(_, began)| began)
}

/// State and beginning, out of `/proc`.
fn stat(number: u32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let began = fields.nth(18)?.parse().ok()?;
    Some((state, began))
}

/// Who keeps this process running, where it was not `luthien up`.
pub(crate) fn kept() -> Kept {
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let by = parent.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    let started = std::env::var_os("INVOCATION_ID").is_some() && by.is_some_and(|name| name.trim() == "systemd");
    if started { Kept::Service { unit: unit() } } else { Kept::Caller }
}

/// The unit of systemd that this process belongs to.
fn unit() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let name = groups.lines().last()?.rsplit('/').next()?.to_owned();
    name.ends_with(".service").then_some(name)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::process::Command;

    use jiff::Timestamp;
    use luthien_gateway::data_dir::Started;

    use super::*;

    fn announced(pid: u32, process: Option<u64>) -> Running {
        Running {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            pid,
            version: "1".to_owned(),
            admin_key_here: true,
            started: Some(Started { at: Timestamp::UNIX_EPOCH, process, kept: Kept::Caller }),
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_later_process_of_the_same_number_is_another() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let began = began(child.id()).unwrap();
        let Standing::Same(process) = Standing::of(&announced(child.id(), Some(began))) else { panic!("not the same") };
        assert!(matches!(Standing::of(&announced(child.id(), Some(began + 1))), Standing::Gone));
        assert!(matches!(Standing::of(&announced(child.id(), None)), Standing::Likely(_)));
        process.signal(Signal::TERM).unwrap();
        while !process.ended() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(process.ended() && process.signal(Signal::TERM).is_err());
        assert!(matches!(Standing::of(&announced(child.id(), Some(began))), Standing::Gone));
    }
}
