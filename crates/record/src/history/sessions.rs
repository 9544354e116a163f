//! The list of sessions.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::{SessionFilter, Store, StoreError};

/// A page of sessions, latest first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Sessions {
    /// The sessions of this page.
    pub sessions: Vec<SessionSummary>,
    /// How many there are in all.
    pub total: u64,
    /// How many came before this page.
    pub offset: u64,
    /// There are more after this page.
    pub has_more: bool,
}

/// One session in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SessionSummary {
    /// The id that the detail takes.
    pub session_id: String,
    /// The id of the key that it came with.
    pub key: Option<String>,
    /// Its first transaction.
    pub first_timestamp: Timestamp,
    /// Its last transaction.
    pub last_timestamp: Timestamp,
    /// Turns; preflight calls do not count.
    pub turn_count: u64,
    /// Events of all its transactions.
    pub total_events: u64,
    /// Turns in which a policy intervened.
    pub policy_interventions: u64,
    /// The models asked for, sorted.
    pub models_used: Vec<String>,
    /// What the user asked first.
    pub preview_message: Option<String>,
    /// The users, sorted.
    pub user_ids: Vec<String>,
}

/// The sessions that `filter` names.
pub async fn sessions(store: &Store, filter: &SessionFilter) -> Result<Sessions, StoreError> {
    let page = store.sessions(filter).await?;
    let offset = u64::from(filter.offset);
    let has_more = offset + (page.sessions.len() as u64) < page.total;
    let sessions = page
        .sessions
        .into_iter()
        .map(|row| SessionSummary {
            session_id: row.session_id,
            key: Some(row.key).filter(|key| !key.is_empty()),
            first_timestamp: row.first,
            last_timestamp: row.last,
            turn_count: row.turns,
            total_events: row.events,
            policy_interventions: row.interventions,
            models_used: row.models,
            preview_message: row.preview,
            user_ids: row.users,
        })
        .collect();
    Ok(Sessions { sessions, total: page.total, offset, has_more })
}
