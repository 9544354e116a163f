//! `luthien completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::output::print;

/// Prints the script for a shell.
pub(crate) fn run(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "luthien", &mut script);
    let script = String::from_utf8(script).map_err(|e| Failure::new(e.to_string()))?;
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}
