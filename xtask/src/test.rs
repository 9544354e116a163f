//! `cargo xtask test`: everything that the tests need, then all of them.

use std::process::Command;

use luthien_servers::Postgres;

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

    // Outside of the namespace: the tests reach it by its Unix socket.
    let shared = Postgres::start().map_err(|error| format!("PostgreSQL for the tests: {error}"))?;
    let mut tests = if let Some(mut tests) = isolation() {
        say("the tests run in a network namespace of their own: nothing they start can leave this machine");
        command::forget_xtask(&mut tests);
        tests.arg(command::cargo_program()).current_dir(&places.root);
        tests
    } else {
        say("a network namespace cannot be made here: the tests run with this machine's network");
        command::cargo(&places.root)
    };
    tests.args(["nextest", "run", "--workspace", "--offline"]).args(&args.nextest);
    tests.env("PATH", &path).env("LUTHIEN_BIN", places.gateway()).env("LUTHIEN_PEERS", places.peers());
    tests.env(luthien_servers::SHARED, shared.socket_url("postgres"));
    command::run(&mut tests)
}

/// Root stays root: PostgreSQL runs as another account, which a namespace of users would not know.
const AS_ROOT: [&str; 4] = ["--net", "sh", "-c", "ip link set lo up && exec \"$@\""];
/// Anybody else needs a namespace of users to make one of networks, stays who they are in it, and gives up the powers that
/// bringing up loopback took.
const AS_USER: [&str; 6] = [
    "--map-current-user",
    "--keep-caps",
    "--net",
    "sh",
    "-c",
    "ip link set lo up && exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"",
];

/// A command that runs what is added to it in a network namespace with nothing but loopback, where one can be made.
fn isolation() -> Option<Command> {
    let isolated = || {
        let mut command = Command::new("unshare");
        command.args(if command::root() { &AS_ROOT[..] } else { &AS_USER[..] }).arg("sh");
        command
    };
    command::succeeds(isolated().arg("true")).then(isolated)
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
