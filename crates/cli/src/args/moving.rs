//! The command line of what moves a record: import, backup, restore, and its schema.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::RecordArgs;

/// `migrate`.
#[derive(Args, Clone, Debug)]
pub(crate) struct MigrateArgs {
    /// What to do. None: say how the schema stands
    #[command(subcommand)]
    pub(crate) command: Option<MigrateCommand>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// What `migrate` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Say how the schema stands, changing nothing (ends with 0: nothing to do, 3: migrations are pending, 1: this version cannot use it)
    Status,
    /// Apply what is pending
    Up,
}

/// `backup`.
#[derive(Args, Clone, Debug)]
pub(crate) struct BackupArgs {
    /// The file to write, or a folder for a file named by the time
    #[arg(value_name = "FILE_OR_FOLDER")]
    pub(crate) place: PathBuf,

    /// Put the data folder's key files in too: whoever has the backup then has the gateway's keys
    #[arg(long)]
    pub(crate) with_keys: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `restore`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Restore in the place of a record that is not empty, which is kept beside
    #[arg(long)]
    pub(crate) replace: bool,

    /// Restore the key files too, where the backup holds them
    #[arg(long)]
    pub(crate) with_keys: bool,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `import`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Conversations out of the database of a luthien-proxy
    LuthienProxy(ProxyArgs),
    /// Policies out of the database of a luthien_control
    LuthienControl(ControlArgs),
    /// Transactions out of files of the gateway's own archive
    Archive(ArchiveArgs),
}

/// `import archive`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ArchiveArgs {
    /// Files of the archive, one transaction a line, in zstd or plain
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Read everything and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where to write down what cannot be read, as JSON lines [default: import-rejects.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `import luthien-proxy`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProxyArgs {
    /// Its SQLite file, or its postgres:// URL
    #[arg(value_name = "PATH_OR_URL")]
    pub(crate) place: String,

    /// Read everything and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Only calls that began then or later: a day (UTC) or a time such as 2025-06-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<Timestamp>,

    /// Set the policy that is in force there
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) with_policy: bool,

    /// Take over the names of users who have none here
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) with_labels: bool,

    /// Take over its credentials, inference providers and settings, where there are none of their names here
    #[arg(long)]
    pub(crate) with_settings: bool,

    /// The file with its CREDENTIAL_ENCRYPTION_KEY [default: the keys of this gateway]
    #[arg(long, value_name = "FILE", requires = "with_settings")]
    pub(crate) older_key_file: Option<PathBuf>,

    /// Leave the conversations
    #[arg(long, conflicts_with = "since")]
    pub(crate) without_history: bool,

    /// Where to write down what cannot be read, as JSON lines [default: import-rejects.jsonl in the data folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// `import luthien-control`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ControlArgs {
    /// Its postgres:// URL, or an SQLite file
    #[arg(value_name = "PATH_OR_URL")]
    pub(crate) place: String,

    /// Set the policy of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) with_policy: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// A time, or the beginning of a day.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day: Date = text.parse().map_err(|_| "give a day such as 2025-06-01 or a time such as 2025-06-01T12:00:00Z")?;
    day.to_zoned(TimeZone::UTC).map(|at| at.timestamp()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        assert_eq!(time("2025-06-01").unwrap().to_string(), "2025-06-01T00:00:00Z");
        assert_eq!(time("2025-06-01T12:00:00+02:00").unwrap().to_string(), "2025-06-01T10:00:00Z");
        assert!(time("yesterday").unwrap_err().starts_with("give a day"));
    }
}
