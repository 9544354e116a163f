//! Installs the real clients and servers of the end to end tests into the target folder, pinned by the files in `tests/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::places::Places;
use crate::{Failure, command, say};

/// Installs what is not there yet in the pinned versions.
pub(crate) fn install(places: &Places) -> Result<(), Failure> {
    let pins = places.root.join("tests/peers");
    let peers = places.peers();
    node(&pins.join("node"), &peers.join("node"))?;
    python(&pins.join("python/new.txt"), &peers.join("python-new"))?;
    python(&pins.join("python/old.txt"), &peers.join("python-old"))?;
    python(&pins.join("llama/requirements.txt"), &peers.join("llama"))
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
    say(format_args!("  took {:.1} s", started.elapsed().as_secs_f64()));
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
