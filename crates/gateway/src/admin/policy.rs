//! The policy routes: what is active, what there is, and changing it.

use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use luthien_policy::catalogue::{self, Listing, LoadError, PolicySpec, ProblemKind};
use luthien_policy::contract::Mode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::AdminState;
use super::error::{ApiError, Field};
use super::params;
use crate::policy_state::SetError;

/// `GET /api/admin/policy/current`
pub(super) async fn current(State(state): State<AdminState>) -> Json<Value> {
    let live = state.policies.live().load();
    let active = &live.active;
    Json(json!({
        "policy": active.policy,
        "class_ref": active.class_ref,
        "enabled_at": active.enabled_at,
        "enabled_by": active.enabled_by,
        "config": active.config,
        "mode": active.mode,
        "version": live.version,
    }))
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
pub(super) async fn set(State(state): State<AdminState>, body: Body) -> Result<Json<SetResult>, ApiError> {
    let (spec, by) = read(&params::object(body).await?)?;
    let began = Instant::now();
    let result = match state.policies.set(spec, &by).await {
        Ok(active) => SetResult {
            success: true,
            message: format!("the policy `{}` is active", active.policy),
            policy: Some(active.class_ref),
            restart_duration_ms: Some(began.elapsed().as_secs_f64() * 1000.0),
            ..SetResult::default()
        },
        Err(SetError::Busy) => return Err(ApiError::Busy(SetError::Busy.to_string())),
        Err(SetError::Refused(error)) => refused(&error),
        Err(error @ (SetError::NotKept(_) | SetError::TimedOut)) => {
            tracing::error!(%error, "the policy was not changed");
            SetResult {
                message: "the policy was not changed; the old one is still active".to_owned(),
                error: Some(error.to_string()),
                troubleshooting: vec!["GET /health says whether the database answers".to_owned()],
                ..SetResult::default()
            }
        }
    };
    Ok(Json(result))
}

/// The policy in a call, and who sets it.
fn read(members: &Map<String, Value>) -> Result<(PolicySpec, String), ApiError> {
    let mut wrong = Vec::new();
    let class = match members.get("policy_class_ref") {
        Some(Value::String(class)) => class.clone(),
        Some(_) => {
            wrong.push(Field::body("policy_class_ref", "string_type", "must be a text"));
            String::new()
        }
        None => {
            wrong.push(Field::body("policy_class_ref", "missing", "is required: the policy's class"));
            String::new()
        }
    };
    let config = match members.get("config") {
        Some(config @ Value::Object(_)) => config.clone(),
        None | Some(Value::Null) => json!({}),
        Some(_) => {
            wrong.push(Field::body("config", "dict_type", "must be an object"));
            Value::Null
        }
    };
    let by = match members.get("enabled_by") {
        Some(Value::String(by)) => by.clone(),
        None | Some(Value::Null) => "api".to_owned(),
        Some(_) => {
            wrong.push(Field::body("enabled_by", "string_type", "must be a text"));
            String::new()
        }
    };
    let mode = match members.get("mode").map(|mode| serde_json::from_value::<Mode>(mode.clone())) {
        None => Mode::Enforce,
        Some(Ok(mode)) => mode,
        Some(Err(_)) => {
            wrong.push(Field::body("mode", "enum", "must be `off`, `shadow` or `enforce`"));
            Mode::Enforce
        }
    };
    if wrong.is_empty() { Ok((PolicySpec { class, config, mode }, by)) } else { Err(ApiError::Unprocessable(wrong)) }
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
