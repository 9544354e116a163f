//! Running the agent: its stdio is ours, signals reach it, and its exit code is ours.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Runs `program` to its end and gives its exit code; a signal that ended it counts as 128 + its number, as in a shell.
///
/// An interrupt from the keyboard reaches the agent by itself, since it shares our terminal; it is the agent's to obey, so
/// it does not end us. Other signals are passed on.
pub(crate) async fn run(program: &Path, args: &[OsString], env: &[(String, String)]) -> Result<ExitCode, Failure> {
    // Listeners first: a signal between the start and the wait must not end us alone.
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut quit = listen(SignalKind::quit())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut child = Command::new(program)
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .spawn()
        .map_err(|e| Failure::new(format!("could not start {}: {e}", program.display())))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(()) = interrupt.recv() => {}
            Some(()) = quit.recv() => {}
            Some(()) = terminate.recv() => pass_on(&child, Signal::TERM),
            Some(()) = hangup.recv() => pass_on(&child, Signal::HUP),
        }
    };
    status.map(code).map_err(|e| Failure::new(format!("lost track of {}: {e}", program.display())))
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|e| Failure::new(format!("could not listen for signals: {e}")))
}

fn pass_on(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // It may have ended meanwhile, which the wait then sees.
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}

fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let number = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}
