//! What the gateway depends on, looked at now, for its operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::AdminState;
use super::health::{Signs, VERSION};

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET /api/admin/system-status`
pub(super) async fn status(State(state): State<AdminState>) -> Json<Value> {
    let db = check(&database(&state).await);
    let redis = match &state.redis {
        None => json!({"status": "off", "latency_ms": null, "error": null}),
        Some(link) => {
            let mut found = check(&link.answers());
            let health = link.health();
            found["dropped"] = health.dropped.into();
            found["ignored"] = health.ignored.into();
            found
        }
    };
    let answering = [&db, &redis].iter().all(|check| check["status"] != "failing");
    let status = if answering { Signs::of(&state).status() } else { "degraded" };
    let replica = state.activity.replica();
    Json(json!({"status": status, "version": VERSION, "replica": replica, "checks": {"db": db, "redis": redis}}))
}

/// How long the database takes to answer, or why it does not.
async fn database(state: &AdminState) -> Result<Duration, String> {
    let began = Instant::now();
    match timeout(PATIENCE, state.recorder.store().revisions()).await {
        Ok(Ok(_)) => Ok(began.elapsed()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("it took more than {} seconds", PATIENCE.as_secs())),
    }
}

fn check(answer: &Result<Duration, String>) -> Value {
    match answer {
        Ok(took) => json!({"status": "ok", "latency_ms": took.as_secs_f64() * 1000.0, "error": null}),
        Err(why) => json!({"status": "failing", "latency_ms": null, "error": why}),
    }
}
