//! The policy routes: what is active, what there is, and changing it.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use jiff::Timestamp;
use luthien_policy::catalogue::{self, Listing, LoadError, Problem, ProblemKind};
use luthien_policy::contract::Mode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who};
use crate::live::Standing;
use crate::policy_state::SetError;
use crate::scopes;

/// The policy that is set for everything.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CurrentPolicy {
    /// The name that people see.
    policy: String,
    /// The class as it was named when it was set.
    class_ref: String,
    /// Since when.
    enabled_at: Timestamp,
    /// Set by whom.
    enabled_by: String,
    /// Exactly what was set.
    config: Value,
    mode: Mode,
    /// Counts the changes.
    version: u64,
    /// Where it comes from: the database, a file, or the default.
    source: String,
    /// Why it is not in force; null where it is.
    rejected: Option<Rejection>,
    /// What happens where a policy did not load: `closed` or `open`.
    fail_mode: &'static str,
}

/// Why a policy is not in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Rejection {
    /// What is wrong.
    reason: String,
    /// Field by field, where it could be read.
    validation_errors: Vec<Problem>,
}

impl From<&scopes::Rejection> for Rejection {
    fn from(rejection: &scopes::Rejection) -> Self {
        let validation_errors = rejection.error.as_ref().map(|error| error.problems.clone()).unwrap_or_default();
        Self { reason: rejection.reason.clone(), validation_errors }
    }
}

/// The policy that is set for everything.
#[utoipa::path(get, path = "/api/admin/policy/current", tag = "policy", responses((status = 200, body = CurrentPolicy)))]
pub(super) async fn current(State(state): State<AdminState>) -> Json<CurrentPolicy> {
    let live = state.policies.live().load();
    let Standing { active, origin, version, .. } = &*live.standing;
    let active = active.clone();
    Json(CurrentPolicy {
        policy: active.policy,
        class_ref: active.class_ref,
        enabled_at: active.enabled_at,
        enabled_by: active.enabled_by,
        config: active.config,
        mode: active.mode,
        version: *version,
        source: origin.clone(),
        rejected: live.standing.rejected().map(Rejection::from),
        fail_mode: live.fail_mode().as_str(),
    })
}

/// What there is to choose from.
#[derive(Serialize, ToSchema)]
pub(super) struct Policies {
    policies: Vec<Listing>,
}

/// All policies, each with a schema and an example of its configuration.
#[utoipa::path(get, path = "/api/admin/policy/list", tag = "policy", responses((status = 200, body = Policies)))]
pub(super) async fn list() -> Json<Policies> {
    Json(Policies { policies: catalogue::list() })
}

/// How a change went. It is 200 also when it failed; then the old policy is still active.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct SetResult {
    /// It is done.
    success: bool,
    /// What was done, in words.
    message: String,
    /// The policy's class.
    policy: Option<String>,
    /// How long it took, in milliseconds.
    restart_duration_ms: Option<f64>,
    /// Why it was not done.
    error: Option<String>,
    /// What may help.
    troubleshooting: Vec<String>,
    /// What is wrong with the policy, field by field.
    validation_errors: Vec<Problem>,
}

/// A policy.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct Spec {
    /// A policy's name, or the class path that an older proxy used.
    policy_class_ref: String,
    /// Its configuration; empty where there is none.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
    /// Whether it acts; `enforce` where nothing is said.
    #[schema(value_type = Mode, required = false)]
    mode: Option<Mode>,
}

/// The policy to set for everything.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(super) struct NewPolicy {
    #[serde(flatten)]
    spec: Spec,
    /// Who sets it, where the credential does not say it.
    enabled_by: Option<String>,
}

/// The version of the policy to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the document")]
pub(super) struct Rollback {
    /// As the history has it.
    version: u64,
    /// Who sets it, where the credential does not say it.
    enabled_by: Option<String>,
}

/// What was set, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyHistory {
    history: Vec<PastPolicy>,
    /// How many there are in all.
    total: u64,
    /// How many came before this page.
    offset: u32,
}

/// A policy that was set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PastPolicy {
    /// Its number.
    version: u64,
    /// The class as it was named.
    class_ref: String,
    /// Exactly what was set.
    config: Value,
    /// `off`, `shadow` or `enforce`.
    mode: String,
    /// When.
    enabled_at: Timestamp,
    /// By whom.
    enabled_by: String,
}

/// Sets the policy for everything. 200 with `success: false` where it does not load; then the old one stays.
#[utoipa::path(post, path = "/api/admin/policy/set", tag = "policy", request_body = NewPolicy, responses((status = 200, body = SetResult)))]
pub(super) async fn set(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<SetResult>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let (spec, by) = (form.spec(), form.by("enabled_by", &who));
    form.finish()?;
    who.may_use(&spec)?;
    let began = Instant::now();
    let set = state.policies.set(spec, &by).await;
    result(began, set.map(|active| (format!("the policy `{}` is active", active.policy), active.class_ref)))
}

/// Says whether a policy would load. Changes nothing.
#[utoipa::path(post, path = "/api/admin/policy/validate", tag = "policy", request_body = NewPolicy, responses((status = 200, body = SetResult)))]
pub(super) async fn validate(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<Json<SetResult>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let spec = form.spec();
    form.finish()?;
    // To try a policy may run its program.
    who.may_use(&spec)?;
    let began = Instant::now();
    let checked = state.policies.check(&spec).await.map_err(SetError::Refused);
    result(began, checked.map(|name| (format!("the policy `{name}` would load"), spec.class)))
}

/// What was set, by whom and when, latest first.
#[utoipa::path(get, path = "/api/admin/policy/history", tag = "policy", params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many at most; 50 where nothing is said."), ("offset" = Option<u32>, Query, minimum = 0, description = "How many to pass over.")), responses((status = 200, body = PolicyHistory)))]
pub(super) async fn history(
    State(state): State<AdminState>,
    mut params: Params,
) -> Result<Json<PolicyHistory>, ApiError> {
    let (limit, offset) = (params.number("limit", 50, &(1..=1000)), params.number("offset", 0, &(0..=u32::MAX)));
    params.finish()?;
    let store = state.recorder.store();
    let (total, policies) = (store.policy_count().await?, store.policies(limit, offset).await?);
    let history = policies
        .into_iter()
        .map(|(version, policy)| PastPolicy {
            version,
            class_ref: policy.class_ref,
            config: policy.config,
            mode: policy.mode.unwrap_or_else(|| "enforce".to_owned()),
            enabled_at: policy.enabled_at,
            enabled_by: policy.enabled_by,
        })
        .collect();
    Ok(Json(PolicyHistory { history, total, offset }))
}

/// Sets again what was set as a version before; answers like `set`.
#[utoipa::path(post, path = "/api/admin/policy/rollback", tag = "policy", request_body = Rollback,
    responses((status = 200, body = SetResult), (status = 404, body = ErrorBody, description = "There was no such version.")))]
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
        validation_errors: error.problems.clone(),
        ..SetResult::default()
    }
}
