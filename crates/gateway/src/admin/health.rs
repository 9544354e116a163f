//! Health for machines, without authentication and without data.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use luthien_record::recorder::RecorderHealth;
use serde_json::{Value, json};

use super::AdminState;

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `healthy`, or `degraded` when something that the gateway can do without for a while is missing.
pub(super) fn status(recorder: &RecorderHealth) -> &'static str {
    if recorder.database.is_ok() && recorder.dropped == 0 { "healthy" } else { "degraded" }
}

/// `GET /health`
pub(super) async fn health(State(state): State<AdminState>) -> Json<Value> {
    let recorder = state.recorder.health();
    // Why the database does not answer may name hosts and paths; that is in the log.
    let database = if recorder.database.is_ok() { "ok" } else { "failing; the journal keeps the records" };
    Json(json!({
        "status": status(&recorder),
        "version": VERSION,
        "checks": {
            "database": database,
            "recorder": { "queued": recorder.queued, "journal_bytes": recorder.journal_bytes, "dropped": recorder.dropped },
        },
    }))
}

/// `GET /livez`, `/healthz`: the process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`, `/ready`: whether traffic should come here.
pub(super) async fn ready(State(state): State<AdminState>) -> Response {
    match unready(&state) {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "reason": reason }))).into_response()
        }
    }
}

/// Why no traffic should come here. A database that is away is no reason as long as the journal takes its place.
fn unready(state: &AdminState) -> Option<&'static str> {
    if state.stopping.is_cancelled() {
        return Some("the gateway is stopping");
    }
    let recorder = state.recorder.health();
    if state.recording_required && recorder.database.is_err() && recorder.journal_bytes >= state.journal_max_bytes {
        return Some("recording is required, the database does not answer and the journal is full");
    }
    None
}
