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
    match unready(state.stopping.is_cancelled(), &state.recorder.health()) {
        None => Json(json!({ "status": "ready" })).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "reason": reason }))).into_response()
        }
    }
}

/// Why no traffic should come here. A database that is away is no reason as long as the journal takes its place.
fn unready(stopping: bool, recorder: &RecorderHealth) -> Option<&'static str> {
    if stopping {
        Some("the gateway is stopping")
    } else if recorder.accepting {
        None
    } else {
        Some("recording is required and not possible now")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn recorder(database: bool, dropped: u64, accepting: bool) -> RecorderHealth {
        let database = if database { Ok(()) } else { Err("away".to_owned()) };
        RecorderHealth { queued: 0, journal_bytes: 0, dropped, database, accepting }
    }

    #[rstest]
    #[case(recorder(true, 0, true), "healthy")]
    #[case(recorder(false, 0, true), "degraded")]
    #[case(recorder(true, 1, true), "degraded")]
    fn what_is_missing_degrades(#[case] recorder: RecorderHealth, #[case] expected: &str) {
        assert_eq!(status(&recorder), expected);
    }

    #[rstest]
    #[case(false, recorder(true, 0, true), true)]
    #[case(false, recorder(false, 9, true), true)]
    #[case(false, recorder(false, 0, false), false)]
    #[case(true, recorder(true, 0, true), false)]
    fn only_what_keeps_it_from_serving_makes_it_unready(
        #[case] stopping: bool,
        #[case] recorder: RecorderHealth,
        #[case] ready: bool,
    ) {
        assert_eq!(unready(stopping, &recorder).is_none(), ready);
    }
}
