//! The `luthien` command: reads the command line, puts the parts together, and says how it went.

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::say;

mod admin_client;
mod agent;
mod approvals;
mod archive;
mod args;
mod assembly;
mod audit;
mod background;
mod backup;
mod compare;
mod completions;
mod config;
mod credentials;
mod delete;
mod demo;
mod doctor;
mod export;
mod failure;
mod handles;
mod import;
mod import_config;
mod keys;
mod logfile;
mod logging;
mod logs;
mod loopback;
mod migrate;
mod output;
mod panic;
mod people;
mod policy;
mod policy_eval;
mod private_file;
mod process;
mod progress;
mod providers;
mod retention;
mod serve;
mod sessions;
mod setup;
mod show;
mod signals;
mod status;
mod terminal;
mod when;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(asked) => return told(&asked),
    };
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            say(&format!("luthien: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Help and version end well, wrong usage with 2.
fn told(asked: &clap::Error) -> ExitCode {
    // If it cannot be printed, nobody can be told.
    let _ = asked.print();
    ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(2))
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(settings) => serve::run(&settings),
        Command::Background(settings) => background::run(&settings),
        Command::Up(args) => assembly::runtime(Some(1))?.block_on(background::up(&args)),
        Command::Down(args) => assembly::runtime(Some(1))?.block_on(background::down(&args)),
        Command::Restart(args) => assembly::runtime(Some(1))?.block_on(background::restart(&args)),
        Command::Status(args) => assembly::runtime(Some(1))?.block_on(status::run(&args)),
        Command::Logs(args) => assembly::runtime(Some(1))?.block_on(logs::run(&args)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::ImportConfig(args) => import_config::run(&args),
        Command::Demo => assembly::runtime(None)?.block_on(demo::run()),
        Command::Claude(agent) => assembly::runtime(None)?.block_on(agent::claude(agent.args)),
        Command::Codex(agent) => assembly::runtime(None)?.block_on(agent::codex(agent.args)),
        Command::Sessions(args) => assembly::runtime(Some(1))?.block_on(sessions::run(args)),
        Command::Export(args) => assembly::runtime(Some(1))?.block_on(export::run(args)),
        Command::Show(args) => assembly::runtime(Some(1))?.block_on(show::run(args)),
        Command::Approvals(args) => assembly::runtime(Some(1))?.block_on(approvals::run(args)),
        Command::Policy(command) => policy::run(command),
        Command::Config(args) => config::run(args),
        Command::Keys(command) => assembly::runtime(Some(1))?.block_on(keys::run(command)),
        Command::Retention(args) => assembly::runtime(Some(1))?.block_on(retention::run(args)),
        Command::Delete(args) => assembly::runtime(Some(1))?.block_on(delete::run(args)),
        Command::People(args) => assembly::runtime(Some(1))?.block_on(people::run(args)),
        Command::Login(args) => assembly::runtime(Some(1))?.block_on(people::login(args)),
        Command::Audit(args) => assembly::runtime(Some(1))?.block_on(audit::run(args)),
        Command::Panic(args) => assembly::runtime(Some(1))?.block_on(panic::run(args)),
        Command::Credentials(args) => assembly::runtime(Some(1))?.block_on(credentials::run(args)),
        Command::Providers(args) => assembly::runtime(Some(1))?.block_on(providers::run(args)),
        Command::Migrate(args) => assembly::runtime(Some(1))?.block_on(migrate::run(args)),
        Command::Backup(args) => assembly::runtime(Some(1))?.block_on(backup::backup(args)),
        Command::Restore(args) => assembly::runtime(Some(1))?.block_on(backup::restore(args)),
        Command::Import(command) => assembly::runtime(Some(1))?.block_on(import::run(command)),
    }
}
