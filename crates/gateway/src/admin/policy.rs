//! The policy routes: what is active, what there is, and changing it.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use luthien_policy::catalogue::{self, Listing, LoadError, ProblemKind};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who};
use crate::live::Standing;
use crate::policy_state::SetError;
use crate::scopes::Rejection;

/// `GET /api/admin/policy/current`
pub(super) async fn current(State(state): State<AdminState>) -> Json<Value> {
    let live = state.policies.live().load();
    let Standing { active, origin, version, .. } = &*live.standing;
    Json(json!({
        "policy": active.policy,
        "class_ref": active.class_ref,
        "enabled_at": active.enabled_at,
        "enabled_by": active.enabled_by,
        "config": active.config,
        "mode": active.mode,
        "version": version,
        "source": origin,
        "rejected": live.standing.rejected().map(rejection),
        "fail_mode": live.fail_mode().as_str(),
    }))
}

/// Why a policy is not in force, field by field where it could be read.
pub(super) fn rejection(rejection: &Rejection) -> Value {
    json!({
        "reason": rejection.reason,
        "validation_errors": rejection.error.as_ref().map_or_else(|| json!([]), |error| json!(error.problems)),
    })
}

/// What there is to choose from.
#[derive(Serialize)]
pub(super) struct Policies {
    policies: Vec<Listing>,
}

/// `GET /api/admin/policy/list`
pub(super) async fn list() -> Json<Policies> {
    Json(Policies { policies: catalogue::list() })
}

/// How a change went. It is 200 also when it failed; then the old policy is still active.
#[derive(Default, Serialize)]
pub(super) struct SetResult {
    success: bool,
    message: String,
    policy: Option<String>,
    restart_duration_ms: Option<f64>,
    error: Option<String>,
    troubleshooting: Vec<String>,
    validation_errors: Vec<Value>,
}

/// `POST /api/admin/policy/set`
pub(super) async fn set(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<SetResult>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let (spec, by) = (form.spec(), form.by("enabled_by", &who));
    form.finish()?;
    let began = Instant::now();
    let set = state.policies.set(spec, &by).await;
    result(began, set.map(|active| (format!("the policy `{}` is active", active.policy), active.class_ref)))
}

/// `POST /api/admin/policy/validate`
pub(super) async fn validate(State(state): State<AdminState>, body: Body) -> Result<Json<SetResult>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let spec = form.spec();
    form.finish()?;
    let began = Instant::now();
    let checked = state.policies.check(&spec).await.map_err(SetError::Refused);
    result(began, checked.map(|name| (format!("the policy `{name}` would load"), spec.class)))
}

/// `GET /api/admin/policy/history`
pub(super) async fn history(State(state): State<AdminState>, mut params: Params) -> Result<Json<Value>, ApiError> {
    let (limit, offset) = (params.number("limit", 50, &(1..=1000)), params.number("offset", 0, &(0..=u32::MAX)));
    params.finish()?;
    let store = state.recorder.store();
    let (total, policies) = (store.policy_count().await?, store.policies(limit, offset).await?);
    let listed: Vec<Value> = policies
        .into_iter()
        .map(|(version, policy)| {
            json!({
                "version": version,
                "class_ref": policy.class_ref,
                "config": policy.config,
                "mode": policy.mode.as_deref().unwrap_or("enforce"),
                "enabled_at": policy.enabled_at,
                "enabled_by": policy.enabled_by,
            })
        })
        .collect();
    Ok(Json(json!({"history": listed, "total": total, "offset": offset})))
}

/// `POST /api/admin/policy/rollback`
pub(super) async fn rollback(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<Json<SetResult>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let (version, by) = (form.number("version"), form.by("enabled_by", &who));
    form.finish()?;
    let began = Instant::now();
    let done = match state.policies.rollback(version, &by).await {
        Ok(None) => return Err(ApiError::NotFound(format!("there was no version {version} of the policy"))),
        Ok(Some(active)) => {
            Ok((format!("the policy `{}` of version {version} is active again", active.policy), active.class_ref))
        }
        Err(error) => Err(error),
    };
    result(began, done)
}

/// How a change went: its message and the policy's class, or what kept it from being made.
pub(super) fn result(began: Instant, done: Result<(String, String), SetError>) -> Result<Json<SetResult>, ApiError> {
    let unchanged = |error: SetError, hint: &str| SetResult {
        message: "nothing was changed; what was in force still is".to_owned(),
        error: Some(error.to_string()),
        troubleshooting: vec![hint.to_owned()],
        ..SetResult::default()
    };
    Ok(Json(match done {
        Ok((message, class)) => SetResult {
            success: true,
            message,
            policy: Some(class),
            restart_duration_ms: Some(began.elapsed().as_secs_f64() * 1000.0),
            ..SetResult::default()
        },
        Err(SetError::Busy) => return Err(ApiError::Busy(SetError::Busy.to_string())),
        Err(SetError::Refused(error)) => refused(&error),
        Err(error @ SetError::Unusable(_)) => unchanged(error, "GET /api/admin/policy/history lists the versions"),
        Err(error @ SetError::TooMany(_)) => unchanged(error, "GET /api/admin/policy/assignments lists them"),
        Err(error @ (SetError::NotKept(_) | SetError::TimedOut)) => {
            tracing::error!(%error, "the policy was not changed");
            unchanged(error, "GET /health says whether the database answers")
        }
    }))
}

/// A policy that does not load, field by field.
fn refused(error: &LoadError) -> SetResult {
    let unknown = error.problems.iter().any(|problem| problem.kind == ProblemKind::UnknownClass);
    let hint = if unknown {
        "GET /api/admin/policy/list names the policies"
    } else {
        "GET /api/admin/policy/list has each policy's config_schema and an example_config that loads"
    };
    SetResult {
        message: "the policy does not load; the old one is still active".to_owned(),
        error: Some(error.to_string()),
        troubleshooting: vec![hint.to_owned()],
        validation_errors: error.problems.iter().map(|problem| json!(problem)).collect(),
        ..SetResult::default()
    }
}
