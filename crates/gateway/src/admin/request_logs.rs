//! Raw HTTP as it was logged: the list, and both sides of one transaction.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use bytes::Bytes;
use jiff::Timestamp;
use luthien_record::model::{Headers, TransactionId};
use luthien_record::store::{RequestLog, RequestLogDetail, RequestLogFilter};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::AdminState;
use super::error::{ApiError, ErrorBody, Field};
use super::params::Params;

/// A side of a transaction.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the record names it; this is for the document")]
enum Direction {
    /// The client's.
    Inbound,
    /// The upstream's.
    Outbound,
}

type Id = Result<Path<String>, PathRejection>;

/// A page of logs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestLogs {
    /// Latest first, without bodies.
    logs: Vec<Log>,
    /// How many there are in all.
    total: u64,
    /// How many were asked for.
    limit: u32,
    /// How many came before this page.
    offset: u32,
}

/// Both sides of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestLogPair {
    /// The transaction.
    #[schema(value_type = String, format = Uuid)]
    transaction_id: TransactionId,
    /// Its session.
    session_id: String,
    /// Its user.
    user_id: Option<String>,
    /// The client's side; null where it was not logged.
    inbound: Option<Log>,
    /// The upstream's side; null where it was not logged.
    outbound: Option<Log>,
}

/// One side of a transaction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RequestLog)]
pub(super) struct Log {
    /// The transaction.
    #[schema(value_type = String, format = Uuid)]
    transaction_id: TransactionId,
    /// Its session.
    session_id: String,
    /// Its user.
    user_id: Option<String>,
    /// `inbound` or `outbound`.
    direction: String,
    /// The request's method.
    http_method: String,
    /// Where it went, without credentials.
    url: String,
    /// The request's headers by name, credentials masked.
    #[schema(value_type = Object)]
    request_headers: Map<String, Value>,
    /// The request's body, JSON or a text; null in lists.
    request_body: Option<Value>,
    /// The answer's status.
    response_status: Option<u16>,
    /// The answer's headers by name, credentials masked.
    #[schema(value_type = Object)]
    response_headers: Map<String, Value>,
    /// The answer's body, JSON or a text; null in lists.
    response_body: Option<Value>,
    /// When it began.
    started_at: Timestamp,
    /// When it was over.
    completed_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    duration_ms: Option<f64>,
    /// The model that the client asked for.
    model: String,
    /// The client asked for a stream.
    is_streaming: bool,
    /// The path, without its query.
    endpoint: String,
    /// What went wrong.
    error: Option<String>,
}

/// Raw HTTP as it was logged, latest first.
#[utoipa::path(get, path = "/api/request-logs", tag = "request logs", responses((status = 200, body = RequestLogs)), params(
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many at most; 50 where nothing is said."),
    ("offset" = Option<u32>, Query, minimum = 0, description = "How many to pass over."),
    ("direction" = inline(Option<Direction>), Query, description = "Only the client's side, or only the upstream's."),
    ("endpoint" = Option<String>, Query, description = "Only this path."),
    ("session_id" = Option<String>, Query, description = "Only this session."),
    ("user_id" = Option<String>, Query, description = "Only this user."),
    ("status" = Option<u16>, Query, minimum = 100, maximum = 999, description = "Only answers with this status."),
    ("model" = Option<String>, Query, description = "Only what asked for this model."),
    ("after" = Option<String>, Query, description = "Only what began at this time or later: a time, or a date."),
    ("before" = Option<String>, Query, description = "Only what began before this time: a time, or a date."),
    ("search" = Option<String>, Query, description = "A part of the URL, model, error, user or session; or words that were said.")))]
pub(super) async fn list(State(state): State<AdminState>, mut params: Params) -> Result<Json<RequestLogs>, ApiError> {
    let filter = RequestLogFilter {
        limit: params.number("limit", 50, &(1..=200)),
        offset: params.number("offset", 0, &(0..=u32::MAX)),
        direction: params.text("direction"),
        endpoint: params.text("endpoint"),
        session_id: params.text("session_id"),
        user_id: params.text("user_id"),
        status: params.text("status").map(|_| params.number("status", 0, &(100..=999))).and_then(|n| n.try_into().ok()),
        model: params.text("model"),
        after: params.time("after"),
        before: params.time("before"),
        search: params.text("search"),
    };
    params.finish()?;
    if filter.direction.as_deref().is_some_and(|direction| !matches!(direction, "inbound" | "outbound")) {
        let message = "must be `inbound` or `outbound`";
        return Err(ApiError::Unprocessable(vec![Field::query("direction", "literal_error", message)]));
    }
    let page = state.recorder.store().request_logs(&filter).await?;
    let logs = page.logs.iter().map(|log| shown(log, None)).collect();
    Ok(Json(RequestLogs { logs, total: page.total, limit: filter.limit, offset: filter.offset }))
}

/// Both sides of a transaction as they were logged, with their bodies.
#[utoipa::path(get, path = "/api/request-logs/{id}", tag = "request logs", params(("id" = String, Path, description = "The transaction's id.")),
    responses((status = 200, body = RequestLogPair), (status = 404, body = ErrorBody, description = "Nothing was logged of such a transaction.")))]
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<RequestLogPair>, ApiError> {
    let unknown = || ApiError::NotFound("nothing was logged of such a transaction".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    let id = Uuid::try_parse(&id).map(TransactionId).map_err(|_| unknown())?;
    let logs = state.recorder.store().request_log(id).await?;
    let first = logs.first().ok_or_else(unknown)?;
    let side =
        |direction: &str| logs.iter().find(|log| log.log.direction == direction).map(|log| shown(&log.log, Some(log)));
    let (session_id, user_id) = (first.log.session_id.clone(), first.log.user_id.clone());
    let (inbound, outbound) = (side("inbound"), side("outbound"));
    Ok(Json(RequestLogPair { transaction_id: id, session_id, user_id, inbound, outbound }))
}

/// A log as callers see it; bodies only where it is looked at alone.
fn shown(log: &RequestLog, bodies: Option<&RequestLogDetail>) -> Log {
    let duration = log.completed.map(|completed| completed.duration_since(log.started).as_secs_f64().max(0.0) * 1000.0);
    Log {
        transaction_id: log.transaction,
        session_id: log.session_id.clone(),
        user_id: log.user_id.clone(),
        direction: log.direction.clone(),
        http_method: log.method.clone(),
        url: log.url.clone(),
        request_headers: headers(&log.request_headers),
        request_body: bodies.map(|bodies| body(&bodies.request)),
        response_status: log.response_status,
        response_headers: headers(&log.response_headers),
        response_body: bodies.map(|bodies| body(&bodies.response)),
        started_at: log.started,
        completed_at: log.completed,
        duration_ms: duration,
        model: log.model.clone(),
        is_streaming: log.streamed,
        endpoint: log.endpoint.clone(),
        error: log.error.clone(),
    }
}

/// Headers by their names; the values of one that comes more than once with commas between them.
fn headers(headers: &Headers) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in headers {
        match out.get_mut(name) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => drop(out.insert(name.clone(), Value::String(value.clone()))),
        }
    }
    out
}

/// JSON as JSON, any other body as a text, none as null.
fn body(bytes: &Bytes) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}
