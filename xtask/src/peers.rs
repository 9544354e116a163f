//! Installs the real clients and servers of the end to end tests into the target folder, pinned by the files in `tests/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::places::Places;
use crate::{Failure, command, say};

/// The Python environments, each with what it is pinned by. The largest come first.
const PYTHON: &[(&str, &str)] = &[
    ("litellm", "litellm/requirements.txt"),
    ("inspect", "inspect/requirements.txt"),
    ("llama", "llama/requirements.txt"),
    ("s3", "s3/requirements.txt"),
    ("schemathesis", "schemathesis/requirements.txt"),
    ("sdk", "../../sdk/python/requirements-dev.txt"),
    ("python-new", "python/new.txt"),
    ("python-old", "python/old.txt"),
];

/// Installs what is not there yet in the pinned versions, all of it at once: most of the time goes into unpacking.
pub(crate) fn install(places: &Places) -> Result<(), Failure> {
    let pins = places.root.join("tests/peers");
    let peers = places.peers();
    thread::scope(|scope| {
        let (pins, peers) = (&pins, &peers);
        let mut installs = vec![scope.spawn(|| node(&pins.join("node"), &peers.join("node")))];
        for (environment, pinned) in PYTHON {
            installs.push(scope.spawn(move || python(&pins.join(pinned), &peers.join(environment))));
        }
        // All of them end before the first failure is told, so that none is left half done.
        let ended: Vec<_> = installs.into_iter().map(thread::ScopedJoinHandle::join).collect();
        ended.into_iter().try_for_each(|install| install.map_err(|_| "an installation panicked")?)
    })
}

fn node(pins: &Path, folder: &Path) -> Result<(), Failure> {
    let wanted = format!("{}{}", read(&pins.join("package.json"))?, read(&pins.join("package-lock.json"))?);
    provided(folder, &wanted, || {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(pins.join(name), folder.join(name))
                .map_err(|error| format!("cannot copy {name} to {}: {error}", folder.display()))?;
        }
        // No install script is run: what the tests start are the packages' own files.
        command::run(
            Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder),
        )
    })
}

fn python(pins: &Path, folder: &Path) -> Result<(), Failure> {
    let wanted = read(pins)?;
    provided(folder, &wanted, || {
        command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "-r"])
            .arg(pins);
        command::run(&mut pip)
    })
}

/// Runs `install` unless the folder's stamp says that exactly `wanted` is there. The stamp is written last.
fn provided(folder: &Path, wanted: &str, install: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let stamp = stamp(folder);
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        say(format_args!("{} is there", folder.display()));
        return Ok(());
    }
    say(format_args!("installing {}", folder.display()));
    let started = Instant::now();
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    // What was there is no longer whole from here on.
    let _ = fs::remove_file(&stamp);
    install()?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    say(format_args!("{} took {:.1} s", folder.display(), started.elapsed().as_secs_f64()));
    Ok(())
}

fn stamp(folder: &Path) -> PathBuf {
    folder.with_extension("installed")
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
