//! How retention stands, as the API and the command line tell it.

use jiff::Timestamp;
use luthien_record::retention::{Retention, Standing};
use luthien_record::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// What is kept how long, how much there is, and what the next run will remove.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Kept {
    /// Older transactions go, in seconds; none: age does not count.
    pub max_age_seconds: Option<u64>,
    /// The oldest transactions go while the record takes more, in bytes; none: size does not count.
    pub max_bytes: Option<u64>,
    /// Where they go first; none: nowhere.
    pub archive: Option<String>,
    /// How many transactions there are.
    pub transactions: u64,
    /// When the oldest began.
    pub oldest: Option<Timestamp>,
    /// What they take, in bytes; none where it was not measured.
    pub bytes: Option<u64>,
    /// How many are too old now.
    pub transactions_too_old: u64,
    /// How many bytes are too many now.
    pub bytes_too_many: u64,
    /// A run is under way.
    pub running: bool,
    /// The last run.
    pub last_run: Option<LastRun>,
}

/// How a run went.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LastRun {
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it did, in words.
    pub outcome: String,
}

impl Kept {
    /// How it stands now.
    pub async fn now(retention: &Retention) -> Result<Self, StoreError> {
        Ok(Self::new(retention, retention.standing().await?))
    }

    fn new(retention: &Retention, standing: Standing) -> Self {
        Self {
            max_age_seconds: retention.rule.max_age.map(|age| age.as_secs()),
            max_bytes: retention.rule.max_bytes,
            archive: retention.archive.as_ref().map(|archive| archive.place()),
            transactions: standing.transactions,
            oldest: standing.oldest,
            bytes: standing.bytes,
            transactions_too_old: standing.too_old,
            bytes_too_many: standing.too_many,
            running: standing.running,
            last_run: standing.last.map(|(ended_at, outcome)| LastRun { ended_at, outcome }),
        }
    }
}
