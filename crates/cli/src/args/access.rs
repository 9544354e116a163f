//! The command line of the admin side: people, logging in, and what was done.

use clap::{Args, Subcommand, ValueEnum};

use super::RecordArgs;

/// `people`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PeopleArgs {
    /// What to do. None: list them
    #[command(subcommand)]
    pub(crate) command: Option<PeopleCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `people` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PeopleCommand {
    /// List them
    List,
    /// Let somebody in, and print their token, which is shown this once
    Add {
        /// What they are called
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleWord,
        /// How long their token is accepted, such as `90d` or `12h`; without it, until they are removed
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
    },
    /// Say anew what somebody may do
    Role {
        /// Their name or id
        name: String,
        /// What they may do
        #[arg(value_enum)]
        role: RoleWord,
    },
    /// Give somebody another token; the old one and their browsers' logins end
    Renew {
        /// Their name or id
        name: String,
    },
    /// Remove somebody; their token and their browsers' logins end
    Remove {
        /// Their name or id
        name: String,
    },
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Read everything, change nothing
    Viewer,
    /// Answer what policies leave to people, too
    Approver,
    /// Change everything
    Admin,
}

impl RoleWord {
    /// As the API has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// `login`.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoginArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `audit`.
#[derive(Args, Clone, Debug)]
pub(crate) struct AuditArgs {
    /// How many, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,

    /// After so many of the newest
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) offset: u32,

    /// Only what somebody of this name did
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Only what was done on this route, such as `/api/admin/policy/set`
    #[arg(long)]
    pub(crate) route: Option<String>,

    /// Only at or after this time or date
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,

    /// Only before this time or date
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}
