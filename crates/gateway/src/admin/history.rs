//! Sessions: the list, one in full, and its exports.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use luthien_record::history::{self, Conversation, Sessions};
use luthien_record::store::SessionFilter;

use super::AdminState;
use super::error::ApiError;
use super::params::Params;

type Id = Result<Path<String>, PathRejection>;

/// `GET /api/history/sessions`
pub(super) async fn sessions(State(state): State<AdminState>, mut params: Params) -> Result<Json<Sessions>, ApiError> {
    let filter = SessionFilter {
        limit: params.number("limit", 50, &(1..=1000)),
        offset: params.number("offset", 0, &(0..=u32::MAX)),
        user_id: params.text("user_id"),
        model: params.text("model"),
        from: params.time("from"),
        to: params.time("to"),
        q: params.text("q"),
        policy_intervention: params.switch("policy_intervention"),
    };
    params.finish()?;
    Ok(Json(history::sessions(state.recorder.store(), &filter).await?))
}

/// `GET /api/history/sessions/{id}`
pub(super) async fn session(State(state): State<AdminState>, id: Id) -> Result<Json<Conversation>, ApiError> {
    find(&state, id).await.map(Json)
}

/// `GET /api/history/sessions/{id}/export`
pub(super) async fn export_markdown(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    let conversation = find(&state, id).await?;
    Ok(attachment(&conversation, "md", "text/markdown; charset=utf-8", history::markdown(&conversation)))
}

/// `GET /api/history/sessions/{id}/export/jsonl`
pub(super) async fn export_jsonl(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    let conversation = find(&state, id).await?;
    Ok(attachment(&conversation, "jsonl", "application/x-ndjson", history::jsonl(&conversation)))
}

/// `GET /api/history/sessions/{id}/export/json`
pub(super) async fn export_json(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    let conversation = find(&state, id).await?;
    Ok(attachment(&conversation, "json", "application/json", history::json(&conversation)))
}

async fn find(state: &AdminState, id: Id) -> Result<Conversation, ApiError> {
    let unknown = || ApiError::NotFound("there is no such session".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    history::session(state.recorder.store(), &id).await?.ok_or_else(unknown)
}

fn attachment(conversation: &Conversation, ending: &str, kind: &'static str, text: String) -> Response {
    let name = file_name(&conversation.session_id);
    let disposition = format!("attachment; filename=\"session-{name}.{ending}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], text).into_response()
}

/// A session's id as part of a file name. Clients choose their ids.
fn file_name(id: &str) -> String {
    id.chars().take(80).map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}
