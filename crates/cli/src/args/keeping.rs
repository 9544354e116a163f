//! The arguments of what keeps and deletes records.

use clap::{Args, Subcommand};

use super::RecordArgs;

/// `retention`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RetentionArgs {
    /// What to do. None: say how the record stands, and what would go
    #[command(subcommand)]
    pub(crate) command: Option<RetentionCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `retention` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Archive and remove now what is too old or too much
    Run {
        /// Change nothing, only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the free space in a SQLite file back to the disk
    #[command(
        after_help = "The file is written anew: for a while the disk holds it twice, and a gateway that runs keeps what it records in its journal."
    )]
    Shrink,
}

/// `delete`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeleteArgs {
    /// Whose
    #[command(subcommand)]
    pub(crate) whose: DeleteCommand,

    /// Do not ask first
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `delete` deletes.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DeleteCommand {
    /// A session, by its whole id
    Session {
        /// As `luthien sessions` prints it
        id: String,
    },
    /// All transactions of a user, in every session
    User {
        /// As the record has it
        id: String,
    },
}
