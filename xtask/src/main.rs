//! Developer commands: what `cargo xtask …` does.

mod bench;
mod command;
mod debian;
mod fuzz;
mod isolation;
mod peers;
mod picture;
mod places;
mod soak;
mod table;
mod test;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need, build everything once and run all tests.
    Test(test::Args),
    /// Install the real clients and servers that the end to end tests run.
    Peers,
    /// Compare the gateway with the yardstick, in turn, and print the ratios.
    Bench(bench::Args),
    /// Run the fuzz targets, each for some seconds.
    Fuzz(fuzz::Args),
    /// Kill the gateway hundreds of times under traffic and look for what it lost.
    Soak(soak::Args),
    /// Make the README's picture anew from what `luthien demo` prints.
    Picture,
}

/// What went wrong, for the person at the terminal.
type Failure = String;

/// Prints a line saying what is being done.
fn say(line: impl Display) {
    // A closed standard output is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Peers => places::Places::find().and_then(|places| peers::install(&places)),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Picture => picture::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(format_args!("xtask: {why}"));
            ExitCode::FAILURE
        }
    }
}
