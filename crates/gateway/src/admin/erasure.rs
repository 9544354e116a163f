//! Deletion on request: a session, or all of a user.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use luthien_record::retention::Erasure;
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::Params;
use super::{AdminState, Who};

/// How long what has just ended may take to be stored, so that it goes with the rest.
const SETTLING: Duration = Duration::from_secs(5);

/// How long the caller is kept waiting. What is not done then is done in the background.
const WITHIN: Duration = Duration::from_secs(15);

type Answer = Result<(StatusCode, Json<Value>), ApiError>;

/// `DELETE /api/history/sessions/{id}`
pub(super) async fn session(
    State(state): State<AdminState>,
    who: Who,
    id: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let unknown = || ApiError::NotFound("there is no such session".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    erase(&state, Erasure::Session(&id), &who, params).await?.ok_or_else(unknown)
}

/// `DELETE /api/history/users/{user_id}`
pub(super) async fn user(
    State(state): State<AdminState>,
    who: Who,
    id: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let unknown = || ApiError::NotFound("nothing is recorded of this user".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    erase(&state, Erasure::User(&id), &who, params).await?.ok_or_else(unknown)
}

async fn erase(
    state: &AdminState,
    whose: Erasure<'_>,
    who: &Who,
    params: Params,
) -> Result<Option<(StatusCode, Json<Value>)>, ApiError> {
    let by = who.signs(params.text("deleted_by"));
    params.finish()?;
    // What takes longer is deleted when it is stored.
    let _ = tokio::time::timeout(SETTLING, state.recorder.settled()).await;
    let Some(erased) = state.recorder.store().erase(whose, state.policies.now(), WITHIN).await? else {
        return Ok(None);
    };
    let (kind, id) = match whose {
        Erasure::Session(id) => ("session", id),
        Erasure::User(id) => ("user", id),
    };
    let (transactions, sessions, complete) = (erased.transactions, erased.sessions, erased.complete);
    tracing::info!(kind, id, by, transactions, sessions, complete, "deleted on request");
    let status = if complete { StatusCode::OK } else { StatusCode::ACCEPTED };
    let told = json!({
        "kind": kind, "id": id, "transactions": transactions, "sessions": sessions, "complete": complete, "deleted_by": by,
    });
    Ok(Some((status, Json(told))))
}
