//! Raw HTTP as it was logged: the list, and both sides of one transaction.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use bytes::Bytes;
use luthien_record::model::{Headers, TransactionId};
use luthien_record::store::{RequestLog, RequestLogDetail, RequestLogFilter};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::AdminState;
use super::error::{ApiError, Field};
use super::params::Params;

type Id = Result<Path<String>, PathRejection>;

/// `GET /api/request-logs`
pub(super) async fn list(State(state): State<AdminState>, mut params: Params) -> Result<Json<Value>, ApiError> {
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
    let logs: Vec<Value> = page.logs.iter().map(|log| Value::Object(shown(log, None))).collect();
    Ok(Json(json!({"logs": logs, "total": page.total, "limit": filter.limit, "offset": filter.offset})))
}

/// `GET /api/request-logs/{transaction_id}`
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::NotFound("nothing was logged of such a transaction".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    let id = Uuid::try_parse(&id).map(TransactionId).map_err(|_| unknown())?;
    let logs = state.recorder.store().request_log(id).await?;
    let first = logs.first().ok_or_else(unknown)?;
    let side =
        |direction: &str| logs.iter().find(|log| log.log.direction == direction).map(|log| shown(&log.log, Some(log)));
    Ok(Json(json!({
        "transaction_id": id, "session_id": first.log.session_id, "user_id": first.log.user_id,
        "inbound": side("inbound"), "outbound": side("outbound"),
    })))
}

/// A log as callers see it; bodies only where it is looked at alone.
fn shown(log: &RequestLog, bodies: Option<&RequestLogDetail>) -> Map<String, Value> {
    let duration = log.completed.map(|completed| completed.duration_since(log.started).as_secs_f64().max(0.0) * 1000.0);
    let shown = json!({
        "transaction_id": log.transaction,
        "session_id": log.session_id,
        "user_id": log.user_id,
        "direction": log.direction,
        "http_method": log.method,
        "url": log.url,
        "request_headers": headers(&log.request_headers),
        "request_body": bodies.map(|bodies| body(&bodies.request)),
        "response_status": log.response_status,
        "response_headers": headers(&log.response_headers),
        "response_body": bodies.map(|bodies| body(&bodies.response)),
        "started_at": log.started,
        "completed_at": log.completed,
        "duration_ms": duration,
        "model": log.model,
        "is_streaming": log.streamed,
        "endpoint": log.endpoint,
        "error": log.error,
    });
    if let Value::Object(members) = shown { members } else { Map::new() }
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
