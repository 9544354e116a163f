//! `cargo xtask test`: everything that the tests need, then all of them.

use luthien_servers::Postgres;

use crate::places::Places;
use crate::{Failure, command, debian, isolation, peers, say};

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
    let mut tests = isolation::cargo(&places);
    tests.args(["nextest", "run", "--workspace", "--offline"]).args(&args.nextest);
    tests.env("PATH", &path).env("LUTHIEN_BIN", places.gateway()).env("LUTHIEN_PEERS", places.peers());
    tests.env(luthien_servers::SHARED, shared.socket_url("postgres"));
    command::run(&mut tests)
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
