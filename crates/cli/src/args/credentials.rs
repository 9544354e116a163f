//! The command line of stored credentials and inference providers.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::RecordArgs;

/// `credentials`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CredentialsArgs {
    /// What to do. None: list them
    #[command(subcommand)]
    pub(crate) command: Option<CredentialsCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `credentials` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// List them, without their values
    List,
    /// Store one, in place of one of its name; its value is asked for, or read from a file or the standard input
    Add(AddCredential),
    /// Remove one
    Remove {
        /// What it is called
        #[arg(value_name = "NAME")]
        name: String,

        /// Also where an upstream or an inference provider names it
        #[arg(long)]
        force: bool,
    },
    /// Seal all with a new key (with CREDENTIAL_ENCRYPTION_KEY: with the first one there)
    RotateKey,
}

/// `credentials add`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddCredential {
    /// What it is called
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Whose API it opens
    #[arg(long, value_name = "NAME", default_value = "anthropic")]
    pub(crate) platform: String,

    /// Where that is; it is sent nowhere else then
    #[arg(long, value_name = "URL")]
    pub(crate) platform_url: Option<String>,

    /// How it is brought
    #[arg(long = "type", value_enum, default_value_t = TypeWord::ApiKey)]
    pub(crate) kind: TypeWord,

    /// The file that holds the value, `-` for the standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) value_file: Option<PathBuf>,
}

/// How a credential is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeWord {
    /// As an API key
    ApiKey,
    /// As a bearer
    AuthToken,
}

/// `providers`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProvidersArgs {
    /// What to do. None: list them
    #[command(subcommand)]
    pub(crate) command: Option<ProvidersCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `providers` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProvidersCommand {
    /// List them
    List,
    /// Set one up, in place of one of its name
    Add(AddProvider),
    /// Remove one
    Remove {
        /// What it is called
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `providers add`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AddProvider {
    /// What policies call it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// How it is asked: `direct_api`, `claude_code`, `messages`, `chat` or `responses`
    #[arg(long, value_name = "TYPE")]
    pub(crate) backend: String,

    /// The stored credential that it is asked with
    #[arg(long, value_name = "NAME")]
    pub(crate) credential: Option<String>,

    /// The model where a policy names none
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,

    /// Where it is
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
}
