//! The keys that clients are given: made, listed, revoked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use luthien_policy::catalogue::{PolicySpec, Problem, ProblemKind};
use luthien_record::store::StoredClientKey;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::{ApiError, Field};
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who, assignments};
use crate::client_keys::{KeyLimits, NewKey};
use crate::policy_state::{NewAssignment, SetError};
use crate::scopes::{Assigned, How, Scope, key_text};

/// Longer names are none, in characters.
const LONGEST: usize = 200;

/// `GET /api/admin/client-keys`
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<Value>, ApiError> {
    params.finish()?;
    let now = state.policies.now();
    let keys = state.recorder.store().client_keys().await?;
    let listed: Vec<Value> = keys.iter().map(|key| shown(key, now)).collect();
    Ok(Json(json!({"client_keys": listed, "count": listed.len()})))
}

/// `GET /api/admin/client-keys/{id}`
pub(super) async fn one(
    State(state): State<AdminState>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let key = found(&state, id).await?;
    Ok(Json(shown(&key, state.policies.now())))
}

/// `POST /api/admin/client-keys`: the only answer that holds the key itself.
pub(super) async fn create(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let name = form.text("name").unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        form.refuse("name", "missing", "is required: what the key is called, such as whose it is");
    } else if name.chars().count() > LONGEST {
        form.refuse("name", "string_too_long", format!("must have at most {LONGEST} characters"));
    }
    let limits = match form.get("limits").cloned().map(serde_json::from_value::<KeyLimits>) {
        None => KeyLimits::default(),
        Some(Ok(limits)) => limits,
        Some(Err(error)) => {
            form.refuse("limits", "value_error", error.to_string());
            KeyLimits::default()
        }
    };
    let now = state.policies.now();
    let (expires_at, by, policy) = (form.end(now), form.by("created_by", &who), form.spec_in("policy"));
    form.only(&["name", "limits", "expires_at", "for", "created_by", "policy"]);
    form.finish()?;
    let new = NewKey { name, limits, expires_at, by };
    let id = state.policies.clock().transaction_id().0;
    let (secret, stored) = new.make(id, now, &state.identity_key).map_err(|error| {
        tracing::error!(%error, "no key can be made: the system gives no random numbers");
        ApiError::Busy("the system gives no random numbers now".to_owned())
    })?;
    // The policy first: no key is ever without the one that it was made with.
    let assigned = match policy {
        Some(spec) => Some(assign(&state, &stored, spec).await?),
        None => None,
    };
    if let Err(error) = state.recorder.store().add_client_key(&stored).await {
        take_back(&state, assigned.as_deref()).await;
        return Err(error.into());
    }
    // It is kept: whoever made it must see it, and what follows the database takes it over.
    if let Err(error) = state.changed_client_keys().await {
        tracing::warn!(%error, id = %stored.id, "a new client key is not in force at once");
    }
    tracing::info!(id = %stored.id, name = %stored.name, by = %stored.created_by, "a client key was made");
    let mut answer = shown(&stored, now);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("api_key".to_owned(), secret.expose_secret().into());
        if let Some(assigned) = assigned {
            answer.insert("assignment".to_owned(), assignments::shown(&assigned, now));
        }
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Puts a policy in force for a key, for as long as the key holds.
async fn assign(state: &AdminState, key: &StoredClientKey, spec: PolicySpec) -> Result<Arc<Assigned>, ApiError> {
    let (scope, by) = (Scope::Key(key.caller), key.created_by.clone());
    let new = NewAssignment { scope, spec, how: How::Replace, expires_at: key.expires_at, by };
    state.policies.assign(new).await.map_err(|error| match error {
        SetError::Refused(error) => ApiError::Unprocessable(error.problems.iter().map(in_policy).collect()),
        SetError::NotKept(error) => ApiError::Record(error),
        error @ (SetError::Busy | SetError::TimedOut) => ApiError::Busy(error.to_string()),
        error @ (SetError::Unusable(_) | SetError::TooMany(_)) => ApiError::Conflict(error.to_string()),
    })
}

/// What is wrong with a policy, as a field of the body.
fn in_policy(problem: &Problem) -> Field {
    let mut field = Field::body("policy", "value_error", problem.msg.clone());
    // The class of the policy itself; that of one inside it is a part of the configuration.
    if problem.kind == ProblemKind::UnknownClass && problem.loc.len() == 1 {
        field.loc.push("policy_class_ref".to_owned());
    } else {
        field.loc.push("config".to_owned());
        field.loc.extend(problem.loc.iter().cloned());
    }
    field
}

/// Ends the assignment of a key that was not kept.
async fn take_back(state: &AdminState, assigned: Option<&Assigned>) {
    let Some(assigned) = assigned else { return };
    if let Err(error) = state.policies.end_assignment(assigned.id, &assigned.set_by).await {
        tracing::warn!(%error, assignment = assigned.id, "the policy of a key that was not kept stays assigned; nobody has the key");
    }
}

/// `DELETE /api/admin/client-keys/{id}`
pub(super) async fn revoke(
    State(state): State<AdminState>,
    who: Who,
    id: Result<Path<Uuid>, PathRejection>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let by = who.signs(params.text("revoked_by"));
    params.finish()?;
    let key = found(&state, id).await?;
    let store = state.recorder.store();
    if !store.revoke_client_key(key.id, state.policies.now(), &by).await? {
        return Err(ApiError::Conflict("this key has been revoked already".to_owned()));
    }
    state.changed_client_keys().await?;
    tracing::info!(id = %key.id, name = %key.name, %by, "a client key was revoked");
    let key = store.client_keys().await?.into_iter().find(|other| other.id == key.id).unwrap_or(key);
    Ok(Json(json!({"success": true, "client_key": shown(&key, state.policies.now())})))
}

async fn found(state: &AdminState, id: Result<Path<Uuid>, PathRejection>) -> Result<StoredClientKey, ApiError> {
    let unknown = || ApiError::NotFound("there is no client key of this id".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    state.recorder.store().client_keys().await?.into_iter().find(|key| key.id == id).ok_or_else(unknown)
}

fn shown(key: &StoredClientKey, now: Timestamp) -> Value {
    let status = match (&key.revoked, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        _ => "active",
    };
    let (revoked_at, revoked_by) = key.revoked.clone().unzip();
    json!({
        "id": key.id,
        "name": key.name,
        "start": key.start,
        "key": key_text(key.caller),
        "status": status,
        "limits": key.limits,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "revoked_at": revoked_at,
        "revoked_by": revoked_by,
    })
}
