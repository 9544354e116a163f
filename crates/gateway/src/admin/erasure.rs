//! Deletion on request: a session, or all of a user.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use luthien_record::retention::Erasure;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::params::Params;
use super::{AdminState, Who};

/// How long what has just ended may take to be stored, so that it goes with the rest.
const SETTLING: Duration = Duration::from_secs(5);

/// How long the caller is kept waiting. What is not done then is done in the background.
const WITHIN: Duration = Duration::from_secs(15);

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Erased {
    /// `session` or `user`.
    kind: &'static str,
    /// Which.
    id: String,
    /// How many transactions are gone.
    transactions: u64,
    /// How many sessions are gone.
    sessions: u64,
    /// All is gone; else the rest goes in the background.
    complete: bool,
    /// Who asked for it.
    deleted_by: String,
}

type Answer = Result<(StatusCode, Json<Erased>), ApiError>;

/// Deletes a session from the record.
#[utoipa::path(delete, path = "/api/history/sessions/{id}", tag = "history", params(
    ("id" = String, Path, description = "The session's id, as the list has it."),
    ("deleted_by" = Option<String>, Query, description = "Who deletes it; `api` where nothing is said.")),
    responses((status = 200, body = Erased, description = "It is gone."), (status = 202, body = Erased, description = "The rest goes in the background."),
        (status = 404, body = ErrorBody, description = "There is no such session.")))]
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

/// Deletes all that is recorded of a user.
#[utoipa::path(delete, path = "/api/history/users/{user_id}", tag = "users", params(
    ("user_id" = String, Path, description = "The user's id."),
    ("deleted_by" = Option<String>, Query, description = "Who deletes it; `api` where nothing is said.")),
    responses((status = 200, body = Erased, description = "It is gone."), (status = 202, body = Erased, description = "The rest goes in the background."),
        (status = 404, body = ErrorBody, description = "Nothing is recorded of this user.")))]
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
) -> Result<Option<(StatusCode, Json<Erased>)>, ApiError> {
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
    let told = Erased { kind, id: id.to_owned(), transactions, sessions, complete, deleted_by: by };
    Ok(Some((status, Json(told))))
}
