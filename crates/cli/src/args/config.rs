//! The command line of settings, policies in force and client keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RecordArgs;

/// `config`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// What to do. None: show the settings
    #[command(subcommand)]
    pub(crate) command: Option<ConfigCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `config` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what counts for each setting, and where it comes from; secrets stay hidden
    #[command(
        after_help = "Where a gateway runs, these are its values, with those that were set while running; what the files say now and\nwill count after a restart stands beside them.\n\nExamples:\n  luthien config show\n  luthien config show --all --json\n  luthien config show rate_limit_rpm LOG_LEVEL"
    )]
    Show {
        /// Only these, by any of their names
        #[arg(value_name = "KEY")]
        keys: Vec<String>,
        /// Also those that have their defaults
        #[arg(long)]
        all: bool,
    },
    /// Say everything that is wrong with the settings and the policy in them
    #[command(
        after_help = "Changes nothing and starts nothing. Flags of `serve` are not known here; the environment counts.\nEnds with 1 if something is wrong.\n\nExamples:\n  luthien config check\n  luthien config check luthien.yaml --json"
    )]
    Check {
        /// The file [default: as for `serve`]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Change a setting of the gateway that runs; it is kept in the database
    #[command(
        after_help = "Only settings that can be changed while running, and that no flag, variable or file pins.\n\nExample:\n  luthien config set rate_limit_rpm 60"
    )]
    Set {
        /// The setting, by any of its names
        key: String,
        /// Its value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take back what was set while running
    #[command(after_help = "Example:\n  luthien config unset rate_limit_rpm")]
    Unset {
        /// The setting, by any of its names
        key: String,
    },
}

/// Which gateway, and how its answer is printed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RunningArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// The gateway's data folder, when it is not the one of the configuration
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl RunningArgs {
    /// The record of that gateway.
    pub(crate) fn record(&self) -> RecordArgs {
        RecordArgs { data_dir: self.data_dir.clone(), config: None }
    }
}

/// A policy, as `policy set` and others are given it.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyGiven {
    /// A luthien.yaml, a policy file, `-` for the standard input, or the name of a policy
    #[arg(value_name = "FILE|NAME")]
    pub(crate) policy: String,

    /// Its configuration, in JSON or YAML
    #[arg(long, value_name = "JSON")]
    pub(crate) config: Option<String>,

    /// Whether it acts: off, shadow or enforce [default: as the file says, else enforce]
    #[arg(long, value_name = "WORD")]
    pub(crate) mode: Option<String>,
}

/// `policy set`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicySetArgs {
    #[command(flatten)]
    pub(crate) given: PolicyGiven,

    /// Only say whether it would load and what would change
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) running: RunningArgs,
}

/// `policy validate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyValidateArgs {
    #[command(flatten)]
    pub(crate) given: PolicyGiven,

    #[command(flatten)]
    pub(crate) running: RunningArgs,
}

/// `policy history`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyHistoryArgs {
    /// How many, newest first
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) running: RunningArgs,
}

/// `policy rollback`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PolicyRollbackArgs {
    /// As `luthien policy history` numbers them
    #[arg(value_name = "VERSION")]
    pub(crate) version: u64,

    #[command(flatten)]
    pub(crate) running: RunningArgs,
}

/// `keys`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the keys
    #[command(after_help = "Example:\n  luthien keys list --all")]
    List {
        /// Also those that were revoked or have expired
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        running: RunningArgs,
    },
    /// Make a key; it is shown this once
    #[command(
        after_help = "Examples:\n  luthien keys create ann\n  luthien keys create ci --requests-per-minute 60 --for 720h --policy guard\n  export ANTHROPIC_API_KEY=$(luthien keys create laptop --quiet)"
    )]
    Create(KeysCreateArgs),
    /// Show one key: what it may use, and how long it holds
    #[command(after_help = "Example:\n  luthien keys show ann")]
    Show {
        /// Its id, the start of it, or its name
        #[arg(value_name = "ID|NAME")]
        key: String,
        #[command(flatten)]
        running: RunningArgs,
    },
    /// End a key at once
    #[command(after_help = "Example:\n  luthien keys revoke 0199a1b2")]
    Revoke {
        /// Its id, the start of it, or its name
        #[arg(value_name = "ID|NAME")]
        key: String,
        #[command(flatten)]
        running: RunningArgs,
    },
}

/// `keys create`.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeysCreateArgs {
    /// What the key is called, such as whose it is
    pub(crate) name: String,

    /// Requests in a minute; 0: as many as it likes [default: the gateway's own limit]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) requests_per_minute: Option<u32>,

    /// How many of them may come at once
    #[arg(long, value_name = "NUMBER")]
    pub(crate) burst: Option<u32>,

    /// Another limit, as `docs/api.md` names them
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    pub(crate) limits: Vec<String>,

    /// When it ends, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    pub(crate) expires_at: Option<String>,

    /// How long it holds, such as 12h
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) lasting: Option<String>,

    /// The policy for what comes with it: a file, or a name
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) policy: Option<String>,

    /// Print the key alone
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) running: RunningArgs,
}
