//! What is kept how long, and what the next run will remove.

use axum::Json;
use axum::extract::State;

use super::AdminState;
use super::error::ApiError;
use crate::retention::Kept;

/// What is kept how long, how much there is, and what the next run will remove.
#[utoipa::path(get, path = "/api/admin/retention", tag = "record", responses((status = 200, body = Kept)))]
pub(super) async fn standing(State(state): State<AdminState>) -> Result<Json<Kept>, ApiError> {
    Ok(Json(Kept::now(&state.retention).await?))
}
