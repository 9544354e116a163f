//! Health for machines, without authentication and without data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use luthien_record::recorder::RecorderHealth;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::AdminState;
use crate::activity::ActivityHealth;
use crate::live;
use crate::notify::NotifierHealth;
use crate::panic_switch::PanicMode;
use crate::replicas::{Link, LinkHealth};
use crate::scopes::Rejection;
use crate::server_credentials::CredentialsHealth;
use crate::settings::PolicyFailMode;

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the gateway fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `healthy`, or `degraded` when something that the gateway can do without for a while is missing.
    status: &'static str,
    /// The gateway's version.
    version: &'static str,
    /// What it depends on.
    checks: HealthChecks,
}

/// What the gateway depends on, as it was seen last.
#[derive(Debug, Serialize, ToSchema)]
struct HealthChecks {
    /// The database: `ok`, or what is wrong.
    database: &'static str,
    /// The journal: `ok`, or what is wrong.
    journal: &'static str,
    policy: PolicyCheck,
    /// What the panic switch stops.
    panic: PanicMode,
    redis: RedisLink,
    /// The stored credentials.
    credentials: CredentialsCheck,
    activity: ActivityHealth,
    recorder: RecorderCheck,
    /// The webhook; null where none is set.
    webhook: Option<WebhookCheck>,
}

/// Whether all policies loaded.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyCheck {
    /// `ok`, or what becomes of what they should check.
    status: &'static str,
    /// Those that did not load.
    rejected: Vec<RejectedPolicy>,
}

/// A policy that did not load.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct RejectedPolicy {
    /// `global`, or the assignment.
    of: String,
    /// Its wrong fields, each with the sort of problem.
    fields: Vec<String>,
}

/// The link to Redis.
#[derive(Debug, Serialize, ToSchema)]
struct RedisLink {
    /// `ok`, `off`, or what is wrong.
    status: &'static str,
    /// Events of this gateway that no other one was told; absent without Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// Messages of others that could not be taken; absent without Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<u64>,
}

/// How the stored credentials stand.
#[derive(Debug, Serialize, ToSchema)]
struct CredentialsCheck {
    /// `ok`, or what is wrong.
    status: &'static str,
    /// How many cannot be opened.
    unreadable: usize,
    /// How many are named by an upstream or an inference provider and are not stored.
    missing: usize,
}

/// How recording fares.
#[derive(Debug, Serialize, ToSchema)]
struct RecorderCheck {
    /// Finished transactions that wait in memory.
    queued: usize,
    /// Bytes of the journal on disk.
    journal_bytes: u64,
    /// Records that were lost since the start.
    dropped: u64,
}

/// How telling a webhook fares.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookCheck {
    /// Notifications that wait or are under way.
    pending: usize,
    /// Delivered since the start.
    delivered: u64,
    /// Not taken because too many were waiting.
    dropped: u64,
    /// Given up after all tries.
    failed: u64,
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// `ok`
    status: &'static str,
}

/// Traffic may come here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready`
    status: &'static str,
    /// What the panic switch stops.
    panic: PanicMode,
}

/// No traffic should come here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unready {
    /// `unready`
    status: &'static str,
    /// Why.
    reason: &'static str,
}

/// How everything fares that the health tells of.
#[derive(Debug)]
pub(super) struct Signs {
    recorder: RecorderHealth,
    live: Arc<live::Live>,
    told: Option<NotifierHealth>,
    redis: Option<LinkHealth>,
    /// What other processes set is seen.
    follows: bool,
    credentials: CredentialsHealth,
}

impl Signs {
    pub(super) fn of(state: &AdminState) -> Self {
        Self {
            recorder: state.recorder.health(),
            live: state.policies.live().load(),
            told: state.notifier.health(),
            redis: state.redis.as_ref().map(Link::health),
            follows: state.policies.watched().sees(),
            credentials: credentials(state),
        }
    }

    /// `healthy`, or `degraded` when something that the gateway can do without for a while is missing.
    pub(super) fn status(&self) -> &'static str {
        let Self { recorder, live, told, redis, follows, credentials } = self;
        let opened = *credentials == CredentialsHealth::default();
        let stopped = live.panic.order.mode != PanicMode::Off;
        let recorded = recorder.database.is_ok() && recorder.journal.is_ok() && recorder.dropped == 0 && *follows;
        let told = told.is_none_or(|told| told.dropped == 0 && told.failed == 0);
        let linked = redis.as_ref().is_none_or(|redis| redis.connected);
        if recorded && rejected(live).is_empty() && !stopped && told && linked && opened {
            "healthy"
        } else {
            "degraded"
        }
    }
}

/// The policies that did not load, each with where its fields are wrong. What stands in them may be a secret, and is in the log.
fn rejected(live: &live::Live) -> Vec<RejectedPolicy> {
    let places = |rejection: &Rejection| -> Vec<String> {
        let problems = rejection.error.iter().flat_map(|error| &error.problems);
        problems
            .map(|problem| format!("{}: {}", problem.loc.join("."), json!(problem.kind).as_str().unwrap_or_default()))
            .collect()
    };
    let entry = |of: String, rejection: &Rejection| RejectedPolicy { of, fields: places(rejection) };
    let standing = live.standing.rejected().map(|rejection| entry("global".to_owned(), rejection));
    let assigned = live.assignments.all().filter_map(|assigned| {
        assigned.loaded.as_ref().err().map(|rejection| entry(format!("assignment {}", assigned.id), rejection))
    });
    standing.into_iter().chain(assigned).collect()
}

/// How the stored credentials stand, those included that upstreams name.
fn credentials(state: &AdminState) -> CredentialsHealth {
    let settings = state.settings.current();
    state.credentials.health(settings.upstreams.iter().filter_map(|upstream| upstream.credential.as_deref()))
}

/// What health says of credentials: not which, since everybody may ask.
fn credentials_check(health: CredentialsHealth) -> CredentialsCheck {
    let CredentialsHealth { unreadable, missing } = health;
    let status = if health == CredentialsHealth::default() {
        "ok"
    } else {
        "some cannot be used, and what needs them is refused; the log and `luthien credentials list` say which and what to do"
    };
    CredentialsCheck { status, unreadable, missing }
}

/// What health says of Redis.
fn redis_check(redis: Option<&LinkHealth>) -> RedisLink {
    let Some(LinkHealth { connected, dropped, ignored }) = redis else {
        return RedisLink { status: "off", dropped: None, ignored: None };
    };
    let status = if *connected { "ok" } else { "failing; events of other gateways are missing" };
    RedisLink { status, dropped: Some(*dropped), ignored: Some(*ignored) }
}

/// How the gateway fares, without data. 200 also where it is degraded.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
pub(super) async fn health(State(state): State<AdminState>) -> Json<Health> {
    let signs = Signs::of(&state);
    let status = signs.status();
    let Signs { recorder, live, told, redis, follows, credentials } = signs;
    // Why the database does not answer may name hosts and paths; that is in the log.
    let database = match (recorder.database.is_ok(), follows) {
        (true, true) => "ok",
        (true, false) => "failing; what other gateways set comes into force once it is back",
        (false, _) => "failing; the journal keeps the records",
    };
    let journal = if recorder.journal.is_ok() { "ok" } else { "failing; a kill would lose what is in flight" };
    let rejected = rejected(&live);
    let policy = match (rejected.is_empty(), live.fail_mode()) {
        (true, _) => "ok",
        (false, PolicyFailMode::Closed) => "rejected; what it should check is refused",
        (false, PolicyFailMode::Open) => "rejected; what it should check passes unchecked",
    };
    let webhook = told.map(|told| WebhookCheck {
        pending: told.pending,
        delivered: told.delivered,
        dropped: told.dropped,
        failed: told.failed,
    });
    let RecorderHealth { queued, journal_bytes, dropped, .. } = recorder;
    let checks = HealthChecks {
        database,
        journal,
        policy: PolicyCheck { status: policy, rejected },
        panic: live.panic.order.mode,
        redis: redis_check(redis.as_ref()),
        credentials: credentials_check(credentials),
        activity: state.activity.health(),
        recorder: RecorderCheck { queued, journal_bytes, dropped },
        webhook,
    };
    Json(Health { status, version: VERSION, checks })
}

/// The process answers. `/healthz` is the same.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Live)))]
pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// Whether traffic should come here. `/ready` is the same.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Ready), (status = 503, body = Unready)))]
pub(super) async fn ready(State(state): State<AdminState>) -> Response {
    match unready(state.stopping.is_cancelled(), &state.recorder.health()) {
        None => {
            let panic = state.policies.live().load().panic.order.mode;
            Json(Ready { status: "ready", panic }).into_response()
        }
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(Unready { status: "unready", reason })).into_response(),
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
    use crate::live::{ActivePolicy, Live, LiveState};
    use crate::panic_switch::PanicOrder;

    fn recorder(database: bool, dropped: u64, accepting: bool) -> RecorderHealth {
        let database = if database { Ok(()) } else { Err("away".to_owned()) };
        RecorderHealth { in_flight: 0, queued: 0, journal_bytes: 0, dropped, database, journal: Ok(()), accepting }
    }

    fn full_disk() -> RecorderHealth {
        RecorderHealth { journal: Err("no space".to_owned()), ..recorder(true, 0, true) }
    }

    /// Nothing is missing.
    fn whole() -> Signs {
        let live = live(PanicMode::Off);
        Signs {
            recorder: recorder(true, 0, true),
            live,
            told: None,
            redis: None,
            follows: true,
            credentials: CredentialsHealth::default(),
        }
    }

    fn live(panic: PanicMode) -> Arc<Live> {
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
        let signs = || Signs { recorder: recorder.clone(), ..whole() };
        let linked = |connected| Some(LinkHealth { connected, dropped: 9, ignored: 9 });
        assert_eq!(signs().status(), expected);
        assert_eq!(Signs { redis: linked(true), ..signs() }.status(), expected);
        assert_eq!(Signs { redis: linked(false), ..signs() }.status(), "degraded");
        assert_eq!(Signs { follows: false, ..signs() }.status(), "degraded");
        assert_eq!(Signs { live: live(PanicMode::Traffic), ..signs() }.status(), "degraded");
    }

    #[rstest]
    #[case(0, 0, "healthy")]
    #[case(1, 0, "degraded")]
    #[case(0, 1, "degraded")]
    fn what_nobody_was_told_degrades(#[case] dropped: u64, #[case] failed: u64, #[case] expected: &str) {
        let told = NotifierHealth { dropped, failed, pending: 3, delivered: 9 };
        assert_eq!(Signs { told: Some(told), ..whole() }.status(), expected);
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
