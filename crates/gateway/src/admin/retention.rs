//! What is kept how long, and what the next run will remove.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;

/// `GET /api/admin/retention`
pub(super) async fn standing(State(state): State<AdminState>) -> Result<Json<Value>, ApiError> {
    let retention = &state.retention;
    let standing = retention.standing().await?;
    Ok(Json(json!({
        "max_age_seconds": retention.rule.max_age.map(|age| age.as_secs()),
        "max_bytes": retention.rule.max_bytes,
        "archive": retention.archive.as_ref().map(|archive| archive.place()),
        "transactions": standing.transactions,
        "oldest": standing.oldest,
        "bytes": standing.bytes,
        "transactions_too_old": standing.too_old,
        "bytes_too_many": standing.too_many,
        "running": standing.running,
        "last_run": standing.last.map(|(at, outcome)| json!({"ended_at": at, "outcome": outcome})),
    })))
}
