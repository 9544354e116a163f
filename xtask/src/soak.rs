//! `cargo xtask soak`: kills the gateway hundreds of times under traffic, and looks for what it lost.

use crate::places::Places;
use crate::{Failure, command, debian, isolation, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often it is killed on each database; about two seconds each.
    #[arg(long, default_value_t = 300)]
    kills: u32,
    /// Another number, other moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let places = Places::find()?;
    debian::provide()?;
    command::run(command::cargo(&places.root).args(["build", "-p", "luthien"]))?;
    let test = ["test", "-p", "luthien-tests", "--test", "faults"];
    command::run(command::cargo(&places.root).args(test).arg("--no-run"))?;
    say(format_args!("{} kills on SQLite and as many on PostgreSQL, seed {}", args.kills, args.seed));
    let mut soak = isolation::cargo(&places);
    soak.args(test).args(["--offline", "--", "kills::"]).env("LUTHIEN_BIN", places.gateway());
    soak.env("LUTHIEN_SOAK_KILLS", args.kills.to_string()).env("LUTHIEN_SOAK_SEED", args.seed.to_string());
    command::run(&mut soak)
}
