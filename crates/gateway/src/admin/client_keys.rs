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
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::assignments::Assignment;
use super::error::{ApiError, ErrorBody, Field};
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who, policy};
use crate::client_keys::{KeyLimits, NewKey};
use crate::policy_state::{NewAssignment, SetError};
use crate::scopes::{Assigned, How, Scope, key_text};

/// Longer names are none, in characters.
const LONGEST: usize = 200;

/// The keys that clients were given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientKeyList {
    /// The newest first.
    client_keys: Vec<ClientKey>,
    /// How many.
    count: usize,
}

/// A key that a client was given, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientKey {
    id: Uuid,
    /// What it is called.
    name: String,
    /// How it begins.
    start: String,
    /// By which sessions and assignments know it.
    key: String,
    /// `active`, `expired` or `revoked`.
    status: &'static str,
    /// What its holder may use; where nothing is said the gateway's own limits hold.
    #[schema(value_type = Object)]
    limits: Value,
    created_at: Timestamp,
    created_by: String,
    /// From when on it is not accepted any more.
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    revoked_by: Option<String>,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeClientKey {
    #[serde(flatten)]
    shown: ClientKey,
    /// The key itself. No other answer holds it.
    api_key: String,
    /// The policy that it was given; absent where it was given none.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignment: Option<Assignment>,
}

/// A key that was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedClientKey {
    /// `true`
    success: bool,
    client_key: ClientKey,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewClientKey {
    /// What it is called, such as whose it is.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What its holder may use; the gateway's own limits where nothing is said.
    limits: Option<KeyLimits>,
    /// From when on it is not accepted any more: a time.
    expires_at: Option<String>,
    /// The same as a span from now on, such as `2h`.
    #[serde(rename = "for")]
    span: Option<String>,
    /// Who makes it, where the credential does not say it.
    created_by: Option<String>,
    /// The policy for what comes with it, in place of the one for everything.
    policy: Option<policy::Spec>,
}

/// The keys that clients were given, the newest first.
#[utoipa::path(get, path = "/api/admin/client-keys", tag = "client keys", responses((status = 200, body = ClientKeyList)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<ClientKeyList>, ApiError> {
    params.finish()?;
    let now = state.policies.now();
    let keys = state.recorder.store().client_keys().await?;
    let client_keys: Vec<ClientKey> = keys.iter().map(|key| shown(key, now)).collect();
    Ok(Json(ClientKeyList { count: client_keys.len(), client_keys }))
}

/// A key that a client was given.
#[utoipa::path(get, path = "/api/admin/client-keys/{id}", tag = "client keys", params(("id" = String, Path, description = "The key's id.")),
    responses((status = 200, body = ClientKey), (status = 404, body = ErrorBody, description = "There is no such key.")))]
pub(super) async fn one(
    State(state): State<AdminState>,
    id: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<ClientKey>, ApiError> {
    let key = found(&state, id).await?;
    Ok(Json(shown(&key, state.policies.now())))
}

/// Makes a key. This is the only answer that holds the key itself.
#[utoipa::path(post, path = "/api/admin/client-keys", tag = "client keys", request_body = NewClientKey,
    responses((status = 201, body = MadeClientKey, description = "It is made."), (status = 409, body = ErrorBody, description = "Its policy cannot be assigned.")))]
pub(super) async fn create(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<(StatusCode, Json<MadeClientKey>), ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let name = form.text("name").unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        form.refuse("name", "missing", "is required: what the key is called, such as whose it is");
    } else if name.chars().count() > LONGEST {
        form.refuse("name", "string_too_long", format!("must have at most {LONGEST} characters"));
    }
    let limits = match form.get("limits").cloned().map(KeyLimits::read) {
        None => KeyLimits::default(),
        Some(Ok(limits)) => limits,
        Some(Err(error)) => {
            form.refuse("limits", "value_error", error);
            KeyLimits::default()
        }
    };
    let now = state.policies.now();
    let (expires_at, by, policy) = (form.end(now), form.by("created_by", &who), form.spec_in("policy"));
    form.only(&["name", "limits", "expires_at", "for", "created_by", "policy"]);
    form.finish()?;
    policy.as_ref().map_or(Ok(()), |spec| who.may_use(spec))?;
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
    let assignment = assigned.map(|assigned| Assignment::new(&assigned, now));
    let api_key = secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(MadeClientKey { shown: shown(&stored, now), api_key, assignment })))
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

/// Revokes a key.
#[utoipa::path(delete, path = "/api/admin/client-keys/{id}", tag = "client keys", params(("id" = String, Path, description = "The key's id."),
    ("revoked_by" = Option<String>, Query, description = "Who revokes it, where the credential does not say it.")),
    responses((status = 200, body = RevokedClientKey), (status = 404, body = ErrorBody, description = "There is no such key."),
        (status = 409, body = ErrorBody, description = "It has been revoked already.")))]
pub(super) async fn revoke(
    State(state): State<AdminState>,
    who: Who,
    id: Result<Path<Uuid>, PathRejection>,
    params: Params,
) -> Result<Json<RevokedClientKey>, ApiError> {
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
    Ok(Json(RevokedClientKey { success: true, client_key: shown(&key, state.policies.now()) }))
}

async fn found(state: &AdminState, id: Result<Path<Uuid>, PathRejection>) -> Result<StoredClientKey, ApiError> {
    let unknown = || ApiError::NotFound("there is no client key of this id".to_owned());
    let Path(id) = id.map_err(|_| unknown())?;
    state.recorder.store().client_keys().await?.into_iter().find(|key| key.id == id).ok_or_else(unknown)
}

fn shown(key: &StoredClientKey, now: Timestamp) -> ClientKey {
    let status = match (&key.revoked, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        _ => "active",
    };
    let (revoked_at, revoked_by) = key.revoked.clone().unzip();
    ClientKey {
        id: key.id,
        name: key.name.clone(),
        start: key.start.clone(),
        key: key_text(key.caller),
        status,
        limits: key.limits.clone(),
        created_at: key.created_at,
        created_by: key.created_by.clone(),
        expires_at: key.expires_at,
        revoked_at,
        revoked_by,
    }
}
