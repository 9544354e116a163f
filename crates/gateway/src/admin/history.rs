//! Sessions: the list, one in full, and its exports.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use luthien_record::history::{self, Conversation, Export, Format, Sessions};
use luthien_record::store::{Search, SessionFilter, StoreError};

use super::AdminState;
use super::error::{ApiError, ErrorBody, Field};
use super::params::Params;

type Id = Result<Path<String>, PathRejection>;

/// The sessions, those with the latest call first.
#[utoipa::path(get, path = "/api/history/sessions", tag = "history", responses((status = 200, body = Sessions)), params(
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 50 where nothing is said."),
    ("offset" = Option<u32>, Query, minimum = 0, description = "How many to pass over."),
    ("user_id" = Option<String>, Query, description = "Only those of this user."),
    ("model" = Option<String>, Query, description = "Only those that asked for this model."),
    ("from" = Option<String>, Query, description = "Only what ended at this time or later: a time, or a date."),
    ("to" = Option<String>, Query, description = "Only what began before this time: a time, or a date."),
    ("q" = Option<String>, Query, description = "Words that were said."),
    ("policy_intervention" = Option<bool>, Query, description = "Only those in which a policy intervened, or only those in which none did.")))]
pub(super) async fn sessions(State(state): State<AdminState>, mut params: Params) -> Result<Json<Sessions>, ApiError> {
    let q = params.text("q").map(|text| Search::parse(&text));
    let q = q.transpose().unwrap_or_else(|error| {
        params.refuse(Field::query("q", "search_parsing", error.to_string()));
        None
    });
    let filter = SessionFilter {
        limit: params.number("limit", 50, &(1..=1000)),
        offset: params.number("offset", 0, &(0..=u32::MAX)),
        user_id: params.text("user_id"),
        model: params.text("model"),
        from: params.time("from"),
        to: params.time("to"),
        q,
        policy_intervention: params.switch("policy_intervention"),
    };
    params.finish()?;
    Ok(Json(history::sessions(state.recorder.store(), &filter).await?))
}

/// A session in full, turn by turn.
#[utoipa::path(get, path = "/api/history/sessions/{id}", tag = "history", params(("id" = String, Path, description = "The session's id, as the list has it.")), responses((status = 200, body = Conversation), (status = 404, body = ErrorBody, description = "There is no such session.")))]
pub(super) async fn session(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    let export = find(&state, id, Format::Json).await?;
    let kind = [(header::CONTENT_TYPE, Format::Json.media_type())];
    Ok((kind, body(export).await?).into_response())
}

/// A session as Markdown, for reading.
#[utoipa::path(get, path = "/api/history/sessions/{id}/export", tag = "history", params(("id" = String, Path, description = "The session's id, as the list has it.")), responses(
    (status = 200, body = String, content_type = "text/markdown; charset=utf-8", headers(("content-disposition" = String, description = "An attachment with a file's name."))), (status = 404, body = ErrorBody, description = "There is no such session.")))]
pub(super) async fn export_markdown(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    attachment(&state, id, Format::Markdown).await
}

/// A session as JSON lines: a turn a line, with `session_id` and `user_label`.
#[utoipa::path(get, path = "/api/history/sessions/{id}/export/jsonl", tag = "history", params(("id" = String, Path, description = "The session's id, as the list has it.")), responses(
    (status = 200, body = String, content_type = "application/x-ndjson", headers(("content-disposition" = String, description = "An attachment with a file's name."))), (status = 404, body = ErrorBody, description = "There is no such session.")))]
pub(super) async fn export_jsonl(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    attachment(&state, id, Format::Jsonl).await
}

/// A session in full, as a file.
#[utoipa::path(get, path = "/api/history/sessions/{id}/export/json", tag = "history", params(("id" = String, Path, description = "The session's id, as the list has it.")), responses(
    (status = 200, body = Conversation, content_type = "application/json", headers(("content-disposition" = String, description = "An attachment with a file's name."))), (status = 404, body = ErrorBody, description = "There is no such session.")))]
pub(super) async fn export_json(State(state): State<AdminState>, id: Id) -> Result<Response, ApiError> {
    attachment(&state, id, Format::Json).await
}

async fn find(state: &AdminState, id: Id, format: Format) -> Result<Export, ApiError> {
    let unknown = || ApiError::NotFound("there is no such session".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    Export::of(state.recorder.store(), &id, format).await?.ok_or_else(unknown)
}

async fn attachment(state: &AdminState, id: Id, format: Format) -> Result<Response, ApiError> {
    let export = find(state, id, format).await?;
    let name = file_name(&export.session().session_id);
    let disposition = format!("attachment; filename=\"session-{name}.{}\"", format.ending());
    let headers = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body(export).await?).into_response())
}

/// The pieces as they are read. The first turn is waited for, so that a record that cannot be read is a plain error; what fails
/// later breaks the body off, so that it is not taken for whole.
async fn body(mut export: Export) -> Result<Body, ApiError> {
    let mut begun = String::new();
    while export.turns() == 0 {
        let Some(piece) = export.next().await? else { break };
        begun.push_str(&piece);
    }
    let rest = stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(piece) => Ok(piece.map(|piece| (Bytes::from(piece), export))),
            Err(error) => {
                tracing::error!(%error, session = export.session().session_id, "a session could not be read to its end");
                Err(error)
            }
        }
    });
    let begun = stream::once(std::future::ready(Ok::<_, StoreError>(Bytes::from(begun))));
    Ok(Body::from_stream(futures_util::StreamExt::chain(begun, rest)))
}

/// A session's id as part of a file name. Clients choose their ids.
fn file_name(id: &str) -> String {
    id.chars().take(80).map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}
