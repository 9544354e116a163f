//! The command line of a gateway in the background: up, down, restart, status, logs, doctor.

use clap::Args;

use super::{RecordArgs, SettingArgs};

/// `up`.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// How many seconds it may take until it is ready
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) wait: u64,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) serve: SettingArgs,
}

/// `down`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DownArgs {
    /// Do not let running answers end
    #[arg(long)]
    pub(crate) now: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `restart`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RestartArgs {
    /// Do not let running answers end
    #[arg(long)]
    pub(crate) now: bool,

    /// How many seconds it may take until it is ready again
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub(crate) wait: u64,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `status`.
#[derive(Args, Clone, Debug)]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `logs`.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogsArgs {
    /// Go on with what is added
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// How many lines, the last ones
    #[arg(long, short = 'n', default_value_t = 50, value_name = "NUMBER")]
    pub(crate) lines: usize,

    /// Only lines of this level or worse: error, warn, info, debug or trace
    #[arg(long, value_name = "WORD", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) level: Option<String>,

    /// Print the lines as they are written: JSON, one document each
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `doctor`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// How many seconds each check may take
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `completions`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
