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
    let journal_max = state.recording_required.then_some(state.journal_max_bytes);
    match unready(state.stopping.is_cancelled(), &state.recorder.health(), journal_max) {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "reason": reason }))).into_response()
        }
    }
}

/// Why no traffic should come here. A database that is away is no reason as long as the journal takes its place; `journal_max`
/// is its limit in bytes where recording is required.
fn unready(stopping: bool, recorder: &RecorderHealth, journal_max: Option<u64>) -> Option<&'static str> {
    if stopping {
        return Some("the gateway is stopping");
    }
    let full = journal_max.is_some_and(|max| recorder.journal_bytes >= max);
    (full && recorder.database.is_err())
        .then_some("recording is required, the database does not answer and the journal is full")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn recorder(database: bool, journal_bytes: u64, dropped: u64) -> RecorderHealth {
        let database = if database { Ok(()) } else { Err("away".to_owned()) };
        RecorderHealth { queued: 0, journal_bytes, dropped, database }
    }

    #[rstest]
    #[case(recorder(true, 0, 0), "healthy")]
    #[case(recorder(true, 100, 0), "healthy")]
    #[case(recorder(false, 0, 0), "degraded")]
    #[case(recorder(true, 0, 1), "degraded")]
    fn what_is_missing_degrades(#[case] recorder: RecorderHealth, #[case] expected: &str) {
        assert_eq!(status(&recorder), expected);
    }

    #[rstest]
    #[case(false, recorder(false, 99, 9), Some(100), true)]
    #[case(false, recorder(false, 100, 0), Some(100), false)]
    #[case(false, recorder(false, 100, 9), None, true)]
    #[case(false, recorder(true, 100, 0), Some(100), true)]
    #[case(true, recorder(true, 0, 0), None, false)]
    fn only_what_keeps_it_from_serving_makes_it_unready(
        #[case] stopping: bool,
        #[case] recorder: RecorderHealth,
        #[case] journal_max: Option<u64>,
        #[case] ready: bool,
    ) {
        assert_eq!(unready(stopping, &recorder, journal_max).is_none(), ready);
    }
}
