//! The command line: what can be asked of `luthien`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use access::{AuditArgs, LoginArgs, PeopleArgs, PeopleCommand};
pub(crate) use config::{
    ConfigArgs, ConfigCommand, KeysCommand, KeysCreateArgs, PolicyGiven, PolicyHistoryArgs, PolicyRollbackArgs,
    PolicySetArgs, PolicyValidateArgs, RunningArgs,
};
pub(crate) use credentials::{
    AddCredential, CredentialsArgs, CredentialsCommand, ProvidersArgs, ProvidersCommand, TypeWord,
};
pub(crate) use filter::{ExportArgs, FilterArgs};
pub(crate) use keeping::{DeleteArgs, DeleteCommand, RetentionArgs, RetentionCommand};
pub(crate) use moving::{
    ArchiveArgs, BackupArgs, ControlArgs, ImportCommand, MigrateArgs, MigrateCommand, ProxyArgs, RestoreArgs,
};
pub(crate) use newcomers::{AgentWord, ImportConfigArgs, PolicyWord, SetupArgs};
pub(crate) use policy::{PolicyCommand, PolicyTestArgs};
pub(crate) use service::{CompletionsArgs, DoctorArgs, DownArgs, LogsArgs, RestartArgs, StatusArgs, UpArgs};
pub(crate) use settings::SettingArgs;

mod access;
mod config;
mod credentials;
mod filter;
mod keeping;
mod moving;
mod newcomers;
mod policy;
mod service;
mod settings;

#[cfg(test)]
mod tests;

const EXAMPLES: &str = "\
Examples:
  luthien setup                 a few questions, then a luthien.yaml
  luthien up                    start the gateway in the background, on 127.0.0.1:8000
  luthien demo                  watch a dangerous tool call being blocked, no account needed
  luthien claude                run Claude Code through the gateway
  luthien codex                 run Codex through the gateway
  luthien sessions              what was recorded
  luthien show 0199             one conversation, by the start of its id";

/// A gateway between AI agents and the models they use: it holds what the model says until your policies have decided,
/// and records what came and what left.
#[derive(Debug, Parser)]
#[command(name = "luthien", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: SettingArgs,
}

impl Cli {
    /// Reads a command line, the program's name first. What follows an agent's name is the agent's, whatever it looks like.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut line: Vec<OsString> = line.into_iter().collect();
        if line.get(1).is_some_and(|command| command == "claude" || command == "codex") {
            line.insert(2, "--".into());
        }
        Self::try_parse_from(line)
    }
}

/// What to do. None: serve.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the gateway (the default command)
    #[command(after_help = "Example:\n  luthien serve --port 8000 --config luthien.yaml")]
    Serve(SettingArgs),

    /// Write a luthien.yaml after a few questions, and say what to do next
    #[command(after_help = "Examples:\n  luthien setup\n  luthien setup --yes --agent claude --policy guard")]
    Setup(SetupArgs),

    /// Make a luthien.yaml of an older proxy's .env and policy file
    #[command(
        after_help = "Says of every variable what became of it: taken, renamed, not needed, unknown. Secrets go to a file of their own.\nEnds with 1 if what was made has problems.\n\nExamples:\n  luthien import-config .env --dry-run\n  luthien import-config .env config/policy_config.yaml"
    )]
    ImportConfig(ImportConfigArgs),

    /// Start the gateway in the background and wait until it is ready
    #[command(
        after_help = "It logs to gateway.log in the data folder (`luthien logs`), and stops with `luthien down`. After a restart of the machine it has to be started\nagain: where it should always run, a service manager does that better (docs/cli.md).\n\nExamples:\n  luthien up\n  luthien up --port 9000 --config luthien.yaml"
    )]
    Up(UpArgs),

    /// Stop the gateway that runs, once running answers have ended
    #[command(after_help = "Examples:\n  luthien down\n  luthien down --now")]
    Down(DownArgs),

    /// Stop the gateway in the background and start it again, with the flags that it had
    #[command(
        after_help = "Settings files are read anew; the environment is that of this command.\n\nExample:\n  luthien restart"
    )]
    Restart(RestartArgs),

    /// Say whether a gateway runs and how it fares
    #[command(
        after_help = "Ends with 0: it runs and all is well, 1: it runs and something is missing, 3: none runs.\n\nExamples:\n  luthien status\n  luthien status --json | jq .health.checks"
    )]
    Status(StatusArgs),

    /// Print the log of the gateway in the background
    #[command(after_help = "Examples:\n  luthien logs -n 100\n  luthien logs -f --level warn")]
    Logs(LogsArgs),

    /// Look at everything that the gateway needs, and say how to mend what is wrong
    #[command(
        after_help = "Looks at settings, data folder, disk, journal, database, Redis, upstreams, clocks, port, keys and limits; changes nothing.\nEnds with 1 if something has failed.\n\nExamples:\n  luthien doctor\n  luthien doctor --json | jq '.checks[] | select(.state != \"ok\")'"
    )]
    Doctor(DoctorArgs),

    /// Print the script by which a shell completes the command line
    #[command(
        after_help = "Examples:\n  luthien completions bash > ~/.local/share/bash-completion/completions/luthien\n  luthien completions zsh > ~/.zfunc/_luthien             with `fpath+=~/.zfunc` before compinit in ~/.zshrc\n  luthien completions fish > ~/.config/fish/completions/luthien.fish\n  luthien completions powershell >> $PROFILE\n  luthien completions elvish > ~/.config/elvish/lib/luthien.elv   with `use luthien` in rc.elv"
    )]
    Completions(CompletionsArgs),

    /// What `up` starts
    #[command(hide = true)]
    Background(SettingArgs),

    /// Show a dangerous tool call being held and blocked, with a scripted model; no account needed
    #[command(after_help = "Example:\n  luthien demo")]
    Demo,

    /// Run Claude Code through the gateway, starting one if none runs
    #[command(
        disable_help_flag = true,
        after_help = "Everything after `claude` goes to Claude Code as it is. It sends what it is logged in with, or the key in its environment.\n\nExample:\n  luthien claude -p \"what does this project do?\""
    )]
    Claude(AgentArgs),

    /// Run Codex through the gateway, starting one if none runs
    #[command(
        disable_help_flag = true,
        after_help = "Everything after `codex` goes to Codex as it is; its own settings are not touched. It sends OPENAI_API_KEY, else the gateway key, else what it is logged in with.\n\nExample:\n  luthien codex exec \"what does this project do?\""
    )]
    Codex(AgentArgs),

    /// List the recorded sessions, newest first
    #[command(
        after_help = "Examples:\n  luthien sessions --limit 5\n  luthien sessions --search '\"permission denied\" deploy*' --from 2026-11-01"
    )]
    Sessions(SessionsArgs),

    /// Write recorded sessions to a file, as Markdown, JSON or JSON lines
    #[command(
        after_help = "Examples:\n  luthien export 0199a1b2 --output session.md\n  luthien export 0199a1b2 --format json | jq .turns[0]\n  luthien export --from 2026-11-01 --changed --output changed.jsonl"
    )]
    Export(ExportArgs),

    /// Print a recorded session or transaction, with what was changed beside what came
    #[command(after_help = "Example:\n  luthien show 0199a1b2      the start of an id is enough where it is unique")]
    Show(ShowArgs),

    /// Show what waits for a person's decision, and answer it
    #[command(
        after_help = "Examples:\n  luthien approvals                 what waits\n  luthien approvals allow 0199a1\n  luthien approvals deny 0199a1 --message \"ask me first\""
    )]
    Approvals(ApprovalsArgs),

    /// List and explain policies; set the one in force; check, try and evaluate
    #[command(
        subcommand,
        after_help = "Examples:\n  luthien policy list\n  luthien policy set guard\n  luthien policy check luthien.yaml"
    )]
    Policy(PolicyCommand),

    /// Show the settings and where they come from, check them, change those that can be changed while running
    #[command(
        after_help = "Examples:\n  luthien config show\n  luthien config check luthien.yaml\n  luthien config set log_level debug"
    )]
    Config(ConfigArgs),

    /// Make, list and revoke the keys that clients are given
    #[command(
        subcommand,
        after_help = "Examples:\n  luthien keys create ann --for 720h\n  luthien keys list\n  luthien keys revoke ann"
    )]
    Keys(KeysCommand),

    /// Stop all tool calls, or all model traffic, at once; without an argument, say what is stopped
    #[command(
        after_help = "What is under way ends with an error. It stays so, over restarts too, until `luthien panic off`.\n\nExamples:\n  luthien panic tool-calls --reason \"an agent went astray\"\n  luthien panic off"
    )]
    Panic(PanicArgs),

    /// Say who may use the admin side under a name of their own, and let people in or out
    #[command(
        after_help = "Examples:\n  luthien people\n  luthien people add Ann --role approver --for 90d\n  luthien people role Ann admin\n  luthien people renew Ann"
    )]
    People(PeopleArgs),

    /// Print a link that logs a browser in as admin, once and within ten minutes
    #[command(after_help = "Example:\n  luthien login")]
    Login(LoginArgs),

    /// Say what was done on the admin side, and by whom
    #[command(
        after_help = "Examples:\n  luthien audit --name Ann --from 2026-11-01\n  luthien audit --route /api/admin/policy/set --json"
    )]
    Audit(AuditArgs),

    /// Store, list and remove the gateway's own credentials, and seal them with another key
    #[command(
        after_help = "Values are asked for, or read from a file or the standard input; they are kept encrypted and never shown.\n\nExamples:\n  luthien credentials add local-key --platform local --platform-url http://127.0.0.1:9000\n  luthien credentials add judge-key --platform openai --value-file key.txt\n  luthien credentials rotate-key"
    )]
    Credentials(CredentialsArgs),

    /// Set up, list and remove the inference providers that policies ask judges at
    #[command(
        after_help = "Example:\n  luthien providers add small --backend direct_api --credential judge-key --model gpt-5-mini"
    )]
    Providers(ProvidersArgs),

    /// Say how the schema of the record stands, or apply what is pending
    #[command(after_help = "Examples:\n  luthien migrate status --json\n  luthien migrate up")]
    Migrate(MigrateArgs),

    /// Write the whole record into one file, also while a gateway runs
    #[command(
        after_help = "The file can be restored to SQLite and to PostgreSQL.\n\nExample:\n  luthien backup /var/backups"
    )]
    Backup(BackupArgs),

    /// Restore a record from a backup; no gateway may run on it meanwhile
    #[command(after_help = "Example:\n  luthien restore luthien-20261120-140509.backup --replace")]
    Restore(RestoreArgs),

    /// Take over what the older proxies recorded
    #[command(
        subcommand,
        after_help = "A gateway may run meanwhile. A second import takes only what is new.\n\nExamples:\n  luthien import luthien-proxy ~/.luthien/local.db --dry-run\n  luthien import luthien-proxy postgres://luthien@localhost/luthien_control --since 2025-06-01"
    )]
    Import(ImportCommand),

    /// Say what is kept how long, and remove what is too old or too much
    #[command(
        after_help = "What a gateway that runs does by itself, this does now, with the same settings.\n\nExamples:\n  luthien retention\n  luthien retention run --dry-run\n  luthien retention run"
    )]
    Retention(RetentionArgs),

    /// Delete a session, or all of a user, from the record
    #[command(
        after_help = "What only they refer to goes with them. Archives and backups are not touched.\n\nExamples:\n  luthien delete session 0199a1b2-...\n  luthien delete user ann@example.com --yes"
    )]
    Delete(DeleteArgs),
}

/// `panic`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PanicArgs {
    /// What to stop
    #[arg(value_enum)]
    pub(crate) mode: Option<PanicWord>,

    /// Why, for the operators; clients and models are not told
    #[arg(long, value_name = "TEXT", requires = "mode")]
    pub(crate) reason: Option<String>,

    /// What clients and models are told beside the fact
    #[arg(long, value_name = "TEXT", requires = "mode")]
    pub(crate) message: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `panic` stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PanicWord {
    /// Every tool call of every answer
    ToolCalls,
    /// All model traffic
    Traffic,
    /// Nothing: everything goes on as the policies say
    Off,
}

/// Which record to read.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RecordArgs {
    /// The data folder, when it is not the one of the configuration
    #[arg(long, value_name = "FOLDER", global = true)]
    pub(crate) data_dir: Option<PathBuf>,

    /// The configuration file [default: as for `serve`]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// An agent's own arguments.
#[derive(Args, Clone, Debug)]
pub(crate) struct AgentArgs {
    /// Arguments for the agent
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

/// `sessions`.
#[derive(Args, Clone, Debug)]
pub(crate) struct SessionsArgs {
    /// How many, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,

    /// After so many of the newest
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) offset: u32,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `show`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// A session id, a transaction id (`x-luthien-transaction-id` of the answer), or the start of one
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the bodies as they were on the wire; for a transaction
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `approvals`.
#[derive(Args, Debug)]
pub(crate) struct ApprovalsArgs {
    /// What to do. None: list what waits
    #[command(subcommand)]
    pub(crate) command: Option<ApprovalsCommand>,

    /// Print JSON, questions that are settled included
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// An answer to what waits.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// Let it go on
    Allow(Reply),
    /// Withhold it
    Deny(Reply),
}

/// Which question, and what to say.
#[derive(Args, Debug)]
pub(crate) struct Reply {
    /// The question's id, or the start of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// What the agent is told in place of the policy's own words, with a no
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}
