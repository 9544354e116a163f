//! The command line of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{PolicyHistoryArgs, PolicyRollbackArgs, PolicySetArgs, PolicyValidateArgs, RunningArgs};

/// `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// The policies of this version, one line each, and which is in force
    #[command(after_help = "Example:\n  luthien policy list --json")]
    List(RunningArgs),
    /// The policy in force; or one policy: what it does, its configuration, an example
    #[command(after_help = "Examples:\n  luthien policy show\n  luthien policy show tool_call_judge")]
    Show {
        /// Its name, as `luthien policy list` prints it, or as the older proxies call it
        name: Option<String>,
        #[command(flatten)]
        running: RunningArgs,
    },
    /// Put a policy in force in the gateway that runs
    #[command(
        after_help = "It is kept in the database and counts at the next start too, unless POLICY_SOURCE says otherwise. What does not load changes nothing.\n\nExamples:\n  luthien policy set guard\n  luthien policy set luthien.yaml --dry-run\n  luthien policy set tool_call_judge --config '{\"probability_threshold\": 0.7}' --mode shadow"
    )]
    Set(PolicySetArgs),
    /// Say whether a policy would load, in the gateway that runs if there is one
    #[command(after_help = "Ends with 1 if it would not.\n\nExample:\n  luthien policy validate policy.yaml")]
    Validate(PolicyValidateArgs),
    /// Which policies were in force, newest first
    #[command(after_help = "Example:\n  luthien policy history -n 5")]
    History(PolicyHistoryArgs),
    /// Put the policy of an earlier version in force again
    #[command(after_help = "Example:\n  luthien policy rollback 3")]
    Rollback(PolicyRollbackArgs),
    /// Check a configuration file and the policy in it, changing nothing
    #[command(after_help = "Example:\n  luthien policy check luthien.yaml")]
    Check {
        /// A luthien.yaml, or a policy file
        file: PathBuf,
    },
    /// Try the rules in a file on their examples, or on a command
    #[command(
        after_help = "The file is a luthien.yaml whose policy has rules in it, or holds `rules` alone. Ends with 1 if an example does not hold.\n\nExamples:\n  luthien policy test rules.yaml\n  luthien policy test rules.yaml --command 'rm -rf /'"
    )]
    Test(PolicyTestArgs),
    /// Run a policy over labelled commands, calls, texts or recorded turns, and say how often it is right
    #[command(after_help = crate::policy_eval::EXAMPLES)]
    Eval(crate::policy_eval::EvalArgs),
}

/// `policy test`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyTestArgs {
    /// The file, or `-` for the standard input
    pub(crate) file: PathBuf,

    /// Say what the rules make of this shell command, in place of their examples
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,

    /// The tool that the command is given to
    #[arg(long, value_name = "NAME", default_value = "Bash", requires = "command")]
    pub(crate) tool: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
