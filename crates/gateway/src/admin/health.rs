//! Health for machines, without authentication and without data.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use luthien_record::recorder::RecorderHealth;
use serde_json::{Value, json};

use super::AdminState;
use crate::live::Live;
use crate::notify::NotifierHealth;
use crate::panic_switch::PanicMode;
use crate::replicas::{Link, LinkHealth};
use crate::scopes::Rejection;
use crate::settings::PolicyFailMode;

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `healthy`, or `degraded` when something that the gateway can do without for a while is missing.
pub(super) fn status(
    recorder: &RecorderHealth,
    live: &Live,
    told: Option<NotifierHealth>,
    redis: Option<&LinkHealth>,
) -> &'static str {
    let stopped = live.panic.order.mode != PanicMode::Off;
    let linked = redis.is_none_or(|redis| redis.connected);
    let recorded = recorder.database.is_ok() && recorder.journal.is_ok() && recorder.dropped == 0;
    let whole = recorded && rejected(live).is_empty() && linked;
    let told = told.is_none_or(|told| told.dropped == 0 && told.failed == 0);
    if whole && !stopped && told { "healthy" } else { "degraded" }
}

/// The policies that did not load, each with where its fields are wrong. What stands in them may be a secret, and is in the log.
fn rejected(live: &Live) -> Vec<Value> {
    let places = |rejection: &Rejection| -> Vec<String> {
        let problems = rejection.error.iter().flat_map(|error| &error.problems);
        problems
            .map(|problem| format!("{}: {}", problem.loc.join("."), json!(problem.kind).as_str().unwrap_or_default()))
            .collect()
    };
    let entry = |of: Value, rejection: &Rejection| json!({"of": of, "fields": places(rejection)});
    let standing = live.standing.rejected().map(|rejection| entry(json!("global"), rejection));
    let assigned = live.assignments.all().filter_map(|assigned| {
        assigned.loaded.as_ref().err().map(|rejection| entry(json!(format!("assignment {}", assigned.id)), rejection))
    });
    standing.into_iter().chain(assigned).collect()
}

/// What health says of Redis.
fn redis_check(redis: Option<&LinkHealth>) -> Value {
    let Some(LinkHealth { connected, dropped, ignored }) = redis else { return json!({"status": "off"}) };
    let status = if *connected { "ok" } else { "failing; events of other gateways are missing" };
    json!({"status": status, "dropped": dropped, "ignored": ignored})
}

/// `GET /health`
pub(super) async fn health(State(state): State<AdminState>) -> Json<Value> {
    let recorder = state.recorder.health();
    // Why the database does not answer may name hosts and paths; that is in the log.
    let database = if recorder.database.is_ok() { "ok" } else { "failing; the journal keeps the records" };
    let journal = if recorder.journal.is_ok() { "ok" } else { "failing; a kill would lose what is in flight" };
    let live = state.policies.live().load();
    let rejected = rejected(&live);
    let policy = match (rejected.is_empty(), live.fail_mode()) {
        (true, _) => "ok",
        (false, PolicyFailMode::Closed) => "rejected; what it should check is refused",
        (false, PolicyFailMode::Open) => "rejected; what it should check passes unchecked",
    };
    let told = state.notifier.health();
    let webhook = told.map(|told| {
        json!({"pending": told.pending, "delivered": told.delivered, "dropped": told.dropped, "failed": told.failed})
    });
    let redis = state.redis.as_ref().map(Link::health);
    Json(json!({
        "status": status(&recorder, &live, told, redis.as_ref()),
        "version": VERSION,
        "checks": {
            "database": database,
            "journal": journal,
            "policy": { "status": policy, "rejected": rejected },
            "panic": live.panic.order.mode,
            "redis": redis_check(redis.as_ref()),
            "activity": state.activity.health(),
            "recorder": { "queued": recorder.queued, "journal_bytes": recorder.journal_bytes, "dropped": recorder.dropped },
            "webhook": webhook,
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
        None => {
            let panic = state.policies.live().load().panic.order.mode;
            Json(json!({ "status": "ready", "panic": panic })).into_response()
        }
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "reason": reason }))).into_response()
        }
    }
}

/// Why no traffic should come here. What the operator has stopped by choice is no reason: another replica would answer alike, and
/// clients should hear why. Nor is a rejected policy, which the admin routes here can mend. A database that is away is no reason as long as the journal takes its place.
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
    use jiff::Timestamp;
    use luthien_policy::contract::Mode;
    use luthien_policy::plan::Plan;
    use rstest::rstest;

    use super::*;
    use crate::live::{ActivePolicy, LiveState};
    use crate::panic_switch::PanicOrder;

    fn recorder(database: bool, dropped: u64, accepting: bool) -> RecorderHealth {
        let database = if database { Ok(()) } else { Err("away".to_owned()) };
        RecorderHealth { queued: 0, journal_bytes: 0, dropped, database, journal: Ok(()), accepting }
    }

    fn full_disk() -> RecorderHealth {
        RecorderHealth { journal: Err("no space".to_owned()), ..recorder(true, 0, true) }
    }

    fn live(panic: PanicMode) -> std::sync::Arc<Live> {
        let active = ActivePolicy {
            policy: String::new(),
            class_ref: String::new(),
            config: json!({}),
            mode: Mode::Enforce,
            enabled_at: Timestamp::UNIX_EPOCH,
            enabled_by: String::new(),
        };
        let state = LiveState::new(Plan::default(), active, 0);
        state.halt(&PanicOrder { mode: panic, ..PanicOrder::default() }, Timestamp::UNIX_EPOCH);
        state.load()
    }

    #[rstest]
    #[case(recorder(true, 0, true), "healthy")]
    #[case(recorder(false, 0, true), "degraded")]
    #[case(recorder(true, 1, true), "degraded")]
    #[case(full_disk(), "degraded")]
    fn what_is_missing_degrades(#[case] recorder: RecorderHealth, #[case] expected: &str) {
        let linked = |connected| LinkHealth { connected, dropped: 9, ignored: 9 };
        let off = live(PanicMode::Off);
        assert_eq!(status(&recorder, &off, None, None), expected);
        assert_eq!(status(&recorder, &off, None, Some(&linked(true))), expected);
        assert_eq!(status(&recorder, &off, None, Some(&linked(false))), "degraded");
        assert_eq!(status(&recorder, &live(PanicMode::Traffic), None, None), "degraded");
    }

    #[rstest]
    #[case(0, 0, "healthy")]
    #[case(1, 0, "degraded")]
    #[case(0, 1, "degraded")]
    fn what_nobody_was_told_degrades(#[case] dropped: u64, #[case] failed: u64, #[case] expected: &str) {
        let told = NotifierHealth { dropped, failed, pending: 3, delivered: 9 };
        assert_eq!(status(&recorder(true, 0, true), &live(PanicMode::Off), Some(told), None), expected);
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
