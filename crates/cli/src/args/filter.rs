//! Which sessions are meant: what the commands that list and export them have in common.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use luthien_record::history::Format;
use luthien_record::store::{Search, SessionFilter};
use std::path::PathBuf;

use super::RecordArgs;

/// Which sessions.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FilterArgs {
    /// With a turn in which this was said, by anybody: words, "a phrase", -without, begin*
    #[arg(long, value_name = "TEXT", value_parser = search, allow_hyphen_values = true)]
    pub(crate) search: Option<Search>,

    /// With a turn of this user, by the user's id
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,

    /// With a turn that asked for this model
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// With a turn at or after this time: 2026-01-31, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) from: Option<Timestamp>,

    /// With a turn before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) to: Option<Timestamp>,

    /// With a turn in which a policy intervened
    #[arg(long)]
    pub(crate) changed: bool,
}

impl FilterArgs {
    /// Nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { search, user, model, from, to, changed } = self;
        search.is_none() && user.is_none() && model.is_none() && from.is_none() && to.is_none() && !changed
    }

    /// As a query for so many sessions after so many.
    pub(crate) fn page(&self, limit: u32, offset: u32) -> SessionFilter {
        SessionFilter {
            limit,
            offset,
            user_id: self.user.clone(),
            model: self.model.clone(),
            from: self.from,
            to: self.to,
            q: self.search.clone(),
            policy_intervention: self.changed.then_some(true),
        }
    }
}

/// `export`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArgs {
    /// A session id or the start of one. None: every session that the options below name
    #[arg(value_name = "SESSION", conflicts_with_all = ["search", "user", "model", "from", "to", "changed", "all"])]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Every session of the record
    #[arg(long, conflicts_with_all = ["search", "user", "model", "from", "to", "changed"])]
    pub(crate) all: bool,

    /// The form of the file [default: markdown for one session, jsonl for several]
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatWord>,

    /// Write to this file, which others cannot read [default: the standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatWord {
    /// For reading; one session
    Markdown,
    /// One JSON document; one session
    Json,
    /// A line for each turn
    Jsonl,
}

impl From<FormatWord> for Format {
    fn from(word: FormatWord) -> Self {
        match word {
            FormatWord::Markdown => Self::Markdown,
            FormatWord::Json => Self::Json,
            FormatWord::Jsonl => Self::Jsonl,
        }
    }
}

fn search(text: &str) -> Result<Search, String> {
    Search::parse(text).map_err(|error| error.to_string())
}

/// A time with its offset, or a date, which stands for its beginning where the command runs.
fn time(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::system()).ok();
    let time = text.parse().ok().or_else(|| date().map(|day| day.timestamp()));
    time.ok_or_else(|| "write a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z".to_owned())
}
