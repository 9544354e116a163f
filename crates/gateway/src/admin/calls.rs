//! Calls for debugging: the list, one with its events, and what the gateway changed in it.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use luthien_record::history::{self, CallDetail, Calls, Diff};
use luthien_record::model::TransactionId;
use uuid::Uuid;

use super::AdminState;
use super::error::{ApiError, ErrorBody};
use super::params::Params;

type Id = Result<Path<String>, PathRejection>;

/// The latest calls, latest first.
#[utoipa::path(get, path = "/api/debug/calls", tag = "calls", responses((status = 200, body = Calls)),
    params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 50 where nothing is said.")))]
pub(super) async fn calls(State(state): State<AdminState>, mut params: Params) -> Result<Json<Calls>, ApiError> {
    let limit = params.number("limit", 50, &(1..=1000));
    params.finish()?;
    Ok(Json(history::calls(state.recorder.store(), limit).await?))
}

/// A call with its events.
#[utoipa::path(get, path = "/api/debug/calls/{id}", tag = "calls", params(("id" = String, Path, description = "The call's id.")),
    responses((status = 200, body = CallDetail), (status = 404, body = ErrorBody, description = "There is no such call.")))]
pub(super) async fn call(State(state): State<AdminState>, id: Id) -> Result<Json<CallDetail>, ApiError> {
    let call = history::call(state.recorder.store(), known(id)?).await?;
    call.map(Json).ok_or_else(unknown)
}

/// What policies changed in a call: original beside final.
#[utoipa::path(get, path = "/api/debug/calls/{id}/diff", tag = "calls", params(("id" = String, Path, description = "The call's id.")),
    responses((status = 200, body = Diff), (status = 404, body = ErrorBody, description = "There is no such call.")))]
pub(super) async fn diff(State(state): State<AdminState>, id: Id) -> Result<Json<Diff>, ApiError> {
    let diff = history::diff(state.recorder.store(), known(id)?).await?;
    diff.map(Json).ok_or_else(unknown)
}

/// An id that a call can have.
fn known(id: Id) -> Result<TransactionId, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    Uuid::try_parse(&id).map(TransactionId).map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no such call".to_owned())
}
