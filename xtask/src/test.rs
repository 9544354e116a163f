//! `cargo xtask test`: everything that the tests need, then all of them.

use std::process::Command;

use crate::places::Places;
use crate::{Failure, command, debian, peers, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo nextest run`: names of tests, or a filter with `-E`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let places = Places::find()?;
    debian::provide()?;
    let path = nextest(&places)?;
    peers::install(&places)?;
    command::run(command::cargo(&places.root).args(["build", "--workspace", "--bins"]).env("PATH", &path))?;
    command::run(command::cargo(&places.root).args(["nextest", "run", "--workspace", "--no-run"]).env("PATH", &path))?;

    let mut tests = if isolation() {
        say("the tests run in a network namespace of their own: nothing they start can leave this machine");
        let mut isolated = Command::new("unshare");
        command::forget_xtask(&mut isolated);
        isolated.args(ISOLATED).args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
        isolated.arg(command::cargo_program()).current_dir(&places.root);
        isolated
    } else {
        say("a network namespace cannot be made here: the tests run with this machine's network");
        command::cargo(&places.root)
    };
    tests.args(["nextest", "run", "--workspace", "--offline"]).args(&args.nextest);
    tests.env("PATH", &path).env("LUTHIEN_BIN", places.gateway()).env("LUTHIEN_PEERS", places.peers());
    command::run(&mut tests)
}

const ISOLATED: &[&str] = &["--map-root-user", "--net"];

fn isolation() -> bool {
    command::succeeds(Command::new("unshare").args(ISOLATED).args(["ip", "link", "set", "lo", "up"]))
}

/// Makes sure that cargo-nextest is there. Gives the `PATH` with which it is found.
fn nextest(places: &Places) -> Result<std::ffi::OsString, Failure> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([places.tools.join("bin")]);
    let path = std::env::join_paths(folders).map_err(|error| format!("PATH cannot be extended: {error}"))?;
    let found = command::succeeds(command::cargo(&places.root).args(["nextest", "--version"]).env("PATH", &path));
    if !found {
        say(format_args!("installing cargo-nextest into {}, once; it takes some minutes", places.tools.display()));
        let mut install = command::cargo(&places.root);
        // Outside the target folder, which is a cache of this workspace only.
        install
            .args(["install", "cargo-nextest", "--locked", "--root"])
            .arg(&places.tools)
            .env_remove("CARGO_TARGET_DIR");
        command::run(&mut install)?;
    }
    Ok(path)
}
