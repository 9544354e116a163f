//! What the gateway depends on, looked at now, for its operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use super::AdminState;
use super::health::{Signs, VERSION};

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the gateway and what it depends on fare.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SystemStatus {
    /// `healthy`, or `degraded` when something that the gateway can do without for a while is missing.
    status: &'static str,
    /// The gateway's version.
    version: &'static str,
    /// The name of this gateway among those that share a database.
    replica: String,
    /// How many requests are under way here.
    in_flight: usize,
    /// What it depends on, by name.
    checks: Checks,
}

/// What the gateway depends on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checks {
    /// The database.
    db: Check,
    /// Redis.
    redis: RedisCheck,
}

/// How something fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    status: CheckStatus,
    /// How long it took to answer, in milliseconds.
    latency_ms: Option<f64>,
    /// Why it does not answer.
    error: Option<String>,
}

/// How Redis fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedisCheck {
    #[serde(flatten)]
    check: Check,
    /// Events of this gateway that no other one was told; absent without Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// Messages of others that could not be taken; absent without Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<u64>,
}

/// Whether something answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckStatus {
    Ok,
    Failing,
    /// It is not set.
    Off,
}

/// How the gateway and what it depends on fare, looked at now.
#[utoipa::path(get, path = "/api/admin/system-status", tag = "system", responses((status = 200, body = SystemStatus)))]
pub(super) async fn status(State(state): State<AdminState>) -> Json<SystemStatus> {
    let db = Check::of(database(&state).await);
    let redis = state.redis.as_ref().map_or_else(RedisCheck::off, |link| {
        let health = link.health();
        RedisCheck { check: Check::of(link.answers()), dropped: Some(health.dropped), ignored: Some(health.ignored) }
    });
    let answering = [&db, &redis.check].iter().all(|check| check.status != CheckStatus::Failing);
    let status = if answering { Signs::of(&state).status() } else { "degraded" };
    let replica = state.activity.replica().to_owned();
    let in_flight = state.recorder.health().in_flight;
    Json(SystemStatus { status, version: VERSION, replica, in_flight, checks: Checks { db, redis } })
}

impl Check {
    fn of(answer: Result<Duration, String>) -> Self {
        match answer {
            Ok(took) => {
                let latency_ms = Some(took.as_secs_f64() * 1000.0);
                Self { status: CheckStatus::Ok, latency_ms, error: None }
            }
            Err(why) => Self { status: CheckStatus::Failing, latency_ms: None, error: Some(why) },
        }
    }
}

impl RedisCheck {
    fn off() -> Self {
        let check = Check { status: CheckStatus::Off, latency_ms: None, error: None };
        Self { check, dropped: None, ignored: None }
    }
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
