//! `luthien up`, `down` and `restart`: a gateway in the background of this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use luthien_gateway::data_dir::{DataDir, Kept, Running};
use luthien_gateway::settings::DEFINITIONS;

use crate::args::{DownArgs, RestartArgs, SettingArgs, UpArgs};
use crate::assembly::{self, Loaded};
use crate::failure::Failure;
use crate::output::{print, say};
use crate::process::Standing;
use crate::terminal::visible_line;
use crate::{handles, logfile, logging, loopback, serve};

mod start;
mod stop;

/// Starts a gateway in the background and waits until it is ready.
pub(crate) async fn up(args: &UpArgs) -> Result<ExitCode, Failure> {
    let flags = flags(&args.serve)?;
    let loaded = Loaded::new(&args.serve)?;
    if let Some(running) = runs(&loaded).await {
        let url = running.url();
        if !flags.is_empty() {
            return Err(Failure::new(format!(
                "a gateway runs already at {url} (pid {}), and these flags are not for it; `luthien down` stops it",
                running.pid
            )));
        }
        if args.json {
            start::tell(&running, &loaded, true)?;
        } else {
            print(&format!(
                "A gateway runs already at {url} (pid {}); `luthien restart` starts it anew.\n",
                running.pid
            ))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let folder = std::env::current_dir()?;
    let running = start::start(&loaded, &flags, &folder, args.wait).await?;
    start::tell(&running, &loaded, args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Stops the gateway that runs.
pub(crate) async fn down(args: &DownArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(&args.record)?;
    match stop::stop(&loaded, args.now).await? {
        Some(running) => print(&format!("The gateway at {} has stopped.\n", running.url()))?,
        None => print(&format!("No gateway runs on the data folder {}.\n", loaded.folder().display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the gateway that runs in the background and starts it again with the flags that it had.
pub(crate) async fn restart(args: &RestartArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_keeping(&args.record)?;
    let note = DataDir::at(&loaded.folder()).running().filter(|note| !matches!(Standing::of(note), Standing::Gone));
    let (flags, folder) = match note.as_ref().and_then(|note| note.started.as_ref()).map(|started| &started.kept) {
        Some(Kept::Up { flags, folder }) => (flags.clone(), folder.clone()),
        Some(Kept::Service { unit }) => return Err(served_by(unit.as_deref(), "restart")),
        Some(Kept::Agent) => return Err(an_agents()),
        Some(Kept::Caller) => {
            return Err(Failure::new(
                "the gateway that runs was not started by `luthien up`: start it again where it was started, or put it in the background \
                 with `luthien down` and `luthien up`",
            ));
        }
        None => {
            let given = args.record.data_dir.as_ref().map(|folder| format!("--data-dir={}", absolute(folder)));
            let config = args.record.config.as_ref().map(|file| format!("--config={}", absolute(file)));
            (given.into_iter().chain(config).collect(), std::env::current_dir()?)
        }
    };
    if stop::stop(&loaded, args.now).await?.is_none() {
        say("luthien: no gateway ran; starting one");
    }
    let running = start::start(&loaded, &flags, &folder, args.wait).await?;
    start::tell(&running, &loaded, false)?;
    Ok(ExitCode::SUCCESS)
}

/// The gateway itself, in the background: what `up` starts.
pub(crate) fn run(given: &SettingArgs) -> Result<ExitCode, Failure> {
    // Whoever starts this process leads its session; away from there, no terminal ends it.
    let _ = rustix::process::setsid();
    let loaded = Loaded::new(given)?;
    let folder = loaded.open_folder()?;
    logging::to_file(loaded.settings.log_level.as_str(), &folder.path().join(logfile::NAME), loaded.redactor()?)?;
    handles::raise();
    let kept = Kept::Up { flags: flags(given)?, folder: std::env::current_dir()? };
    assembly::runtime(loaded.settings.worker_threads)?.block_on(serve::serve(&loaded, kept))
}

/// The gateway that runs on this data folder and answers.
pub(crate) async fn runs(loaded: &Loaded) -> Option<Running> {
    let running = DataDir::at(&loaded.folder()).running()?;
    loopback::alive(&running.url()).await.then_some(running)
}

/// The flags as they are written on a command line. Other users see a process's flags, and they are kept for `restart`: none may
/// be a secret.
fn flags(given: &SettingArgs) -> Result<Vec<String>, Failure> {
    let mut flags = Vec::new();
    if let Some(config) = &given.config {
        flags.push(format!("--config={}", absolute(config)));
    }
    for (name, value) in &given.flags {
        let secret = DEFINITIONS.iter().find(|definition| definition.name == name && definition.secret());
        if let Some(definition) = secret {
            let variable = definition.environment.first().unwrap_or(&"");
            return Err(Failure::new(format!(
                "--{} is a secret, which others could see among the flags of a process in the background: set {variable}, or give a file \
                 with --{}-file",
                definition.flag(),
                definition.flag()
            )));
        }
        flags.push(format!("--{}={value}", name.replace('_', "-")));
    }
    Ok(flags)
}

fn absolute(path: &std::path::Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    path.to_string_lossy().into_owned()
}

/// The gateway is an agent's.
fn an_agents() -> Failure {
    Failure::new(
        "the gateway that runs was brought along by `luthien claude` or `luthien codex`, and ends with the last agent that uses it; end those, then \
         `luthien up` starts one that stays",
    )
}

/// The gateway is a service manager's to stop and start.
fn served_by(unit: Option<&str>, verb: &str) -> Failure {
    let unit = visible_line(unit.unwrap_or("UNIT"));
    Failure::new(format!(
        "the gateway that runs is kept by systemd, which would start it again by itself: `systemctl {verb} {unit}` (with --user for a \
         service of your own)"
    ))
}
