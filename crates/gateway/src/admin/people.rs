//! The people who may use the admin side: added, changed, given another token, removed.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use luthien_record::store::{Added, StoredPerson};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::{ApiError, ErrorBody};
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Role, Who};
use crate::admin_access::{AccessError, tokens};

/// Longer names are none, in characters.
const LONGEST: usize = 100;

/// How many people there may be.
const MOST: usize = 1000;

/// What the log calls those who are no person.
const RESERVED: [&str; 5] = ["admin", "api", "localhost", "luthien", "system"];

/// A person who may use the admin side.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PersonShown {
    id: Uuid,
    /// What they are called, and what their changes are signed with.
    name: String,
    role: Role,
    /// The first characters of their token.
    start: String,
    status: PersonStatus,
    created_at: Timestamp,
    created_by: String,
    /// When their token was made.
    token_at: Timestamp,
    /// From when on it is not accepted any more.
    expires_at: Option<Timestamp>,
}

/// Whether a person gets in.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PersonStatus {
    Active,
    Expired,
}

/// The people who may use the admin side.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct People {
    /// By name.
    people: Vec<PersonShown>,
    count: usize,
}

/// A person with a token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonWithToken {
    #[serde(flatten)]
    person: PersonShown,
    /// The token. It is told this once.
    token: String,
}

/// A person who is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PersonRemoved {
    success: bool,
    person: PersonShown,
}

/// Somebody who is to get in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read field by field, so that every problem is named")]
pub(super) struct NewPerson {
    /// What they are called.
    name: String,
    role: Role,
    /// From when on their token is not accepted any more; not together with `for`.
    expires_at: Option<Timestamp>,
    /// The same as a time from now on, such as `90d` or `12h`.
    r#for: Option<String>,
}

/// What is to change.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read field by field, so that every problem is named")]
pub(super) struct PersonChange {
    role: Option<Role>,
    /// From when on their token is not accepted any more; null: never. Not together with `for`.
    expires_at: Option<Timestamp>,
    /// The same as a time from now on, such as `90d` or `12h`.
    r#for: Option<String>,
}

type Id = Result<Path<Uuid>, PathRejection>;

/// The people who may use the admin side, without their tokens.
#[utoipa::path(get, path = "/api/admin/people", tag = "access", responses((status = 200, body = People)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<People>, ApiError> {
    params.finish()?;
    let now = state.policies.now();
    let people: Vec<_> = state.recorder.store().people().await?.into_iter().map(|one| shown(one, now)).collect();
    Ok(Json(People { count: people.len(), people }))
}

/// One of them.
#[utoipa::path(
    get, path = "/api/admin/people/{id}", tag = "access", params(("id" = Uuid, Path, description = "The person's id")),
    responses((status = 200, body = PersonShown), (status = 404, body = ErrorBody, description = "There is nobody of this id.")),
)]
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<PersonShown>, ApiError> {
    Ok(Json(shown(found(&state, id).await?, state.policies.now())))
}

/// Lets somebody in. The answer is the only one that holds their token.
#[utoipa::path(
    post, path = "/api/admin/people", tag = "access", request_body = NewPerson,
    responses((status = 201, body = PersonWithToken), (status = 409, body = ErrorBody, description = "The name is taken, or there are too many people.")),
)]
pub(super) async fn add(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<(StatusCode, Json<PersonWithToken>), ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let name = form.text("name").unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        form.refuse("name", "missing", "is required: what the person is called");
    } else if name.chars().count() > LONGEST || name.chars().any(char::is_control) {
        form.refuse("name", "string_pattern", format!("must be one line of at most {LONGEST} characters"));
    } else if RESERVED.contains(&name.to_lowercase().as_str()) {
        form.refuse("name", "value_error", "stands for others in the audit log; take another");
    }
    let role = role(&mut form);
    if role.is_none() && form.get("role").is_none() {
        form.refuse("role", "missing", "is required: `viewer`, `approver` or `admin`");
    }
    let now = state.policies.now();
    let expires_at = form.end(now);
    form.only(&["name", "role", "expires_at", "for"]);
    form.finish()?;
    let (token, hash) = tokens::make(tokens::PERSON).map_err(AccessError::from)?;
    let person = StoredPerson {
        id: state.policies.clock().transaction_id().0,
        name,
        role: role.unwrap_or(Role::Viewer).name().to_owned(),
        hash,
        start: tokens::start(token.expose_secret()),
        created_at: now,
        created_by: who.name().to_owned(),
        token_at: now,
        expires_at,
    };
    match state.recorder.store().add_person(&person, MOST).await? {
        Added::Yes => {}
        Added::NameTaken => return Err(ApiError::Conflict("somebody is called so already".to_owned())),
        Added::TooMany => return Err(ApiError::Conflict(format!("there are {MOST} people already"))),
    }
    state.admin_access.changed().await;
    let token = token.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(PersonWithToken { person: shown(person, now), token })))
}

/// Changes what somebody may do, or until when. It counts from their next call on.
#[utoipa::path(
    put, path = "/api/admin/people/{id}", tag = "access", params(("id" = Uuid, Path, description = "The person's id")),
    request_body = PersonChange,
    responses((status = 200, body = PersonShown), (status = 404, body = ErrorBody, description = "There is nobody of this id.")),
)]
pub(super) async fn set(State(state): State<AdminState>, id: Id, body: Body) -> Result<Json<PersonShown>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let role = role(&mut form);
    let (never, end) = (members.get("expires_at").is_some_and(Value::is_null), form.end(state.policies.now()));
    if never && end.is_some() {
        form.refuse("for", "conflict", "give either `expires_at` or `for`");
    }
    form.only(&["role", "expires_at", "for"]);
    if members.is_empty() {
        form.refuse("", "missing", "says nothing that is to change: `role`, `expires_at` or `for`");
    }
    form.finish()?;
    let mut person = found(&state, id).await?;
    if let Some(role) = role {
        role.name().clone_into(&mut person.role);
    }
    if never || end.is_some() {
        person.expires_at = end;
    }
    if !state.recorder.store().set_person(person.id, &person.role, person.expires_at).await? {
        return Err(unknown());
    }
    state.admin_access.changed().await;
    Ok(Json(shown(person, state.policies.now())))
}

/// Removes somebody: their token and their browsers' sessions end.
#[utoipa::path(
    delete, path = "/api/admin/people/{id}", tag = "access",
    params(("id" = Uuid, Path, description = "The person's id")),
    responses((status = 200, body = PersonRemoved), (status = 404, body = ErrorBody, description = "There is nobody of this id.")),
)]
pub(super) async fn remove(State(state): State<AdminState>, id: Id) -> Result<Json<PersonRemoved>, ApiError> {
    let person = found(&state, id).await?;
    if !state.recorder.store().remove_person(person.id).await? {
        return Err(unknown());
    }
    state.admin_access.changed().await;
    Ok(Json(PersonRemoved { success: true, person: shown(person, state.policies.now()) }))
}

/// Gives somebody another token: the old one and their browsers' sessions end. The answer is the only one that holds it.
#[utoipa::path(
    post, path = "/api/admin/people/{id}/token", tag = "access",
    params(("id" = Uuid, Path, description = "The person's id")),
    responses((status = 201, body = PersonWithToken), (status = 404, body = ErrorBody, description = "There is nobody of this id.")),
)]
pub(super) async fn renew(
    State(state): State<AdminState>,
    id: Id,
) -> Result<(StatusCode, Json<PersonWithToken>), ApiError> {
    let person = found(&state, id).await?;
    let (token, hash) = tokens::make(tokens::PERSON).map_err(AccessError::from)?;
    let (start, now) = (tokens::start(token.expose_secret()), state.policies.now());
    if !state.recorder.store().renew_person(person.id, hash, &start, now).await? {
        return Err(unknown());
    }
    state.admin_access.changed().await;
    let person = shown(StoredPerson { hash, start, token_at: now, ..person }, now);
    Ok((StatusCode::CREATED, Json(PersonWithToken { person, token: token.expose_secret().to_owned() })))
}

fn role(form: &mut Form<'_>) -> Option<Role> {
    let word = form.text("role")?;
    let role = Role::from_name(&word);
    if role.is_none() {
        form.refuse("role", "enum", "must be `viewer`, `approver` or `admin`");
    }
    role
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is nobody of this id".to_owned())
}

async fn found(state: &AdminState, id: Id) -> Result<StoredPerson, ApiError> {
    let Path(id) = id.map_err(|_| unknown())?;
    state.recorder.store().people().await?.into_iter().find(|person| person.id == id).ok_or_else(unknown)
}

fn shown(person: StoredPerson, now: Timestamp) -> PersonShown {
    let StoredPerson { id, name, role, start, created_at, created_by, token_at, expires_at, .. } = person;
    let over = expires_at.is_some_and(|end| end <= now);
    let status = if over { PersonStatus::Expired } else { PersonStatus::Active };
    // One of a newer version gets in nowhere here; to be shown it is the least.
    let role = Role::from_name(&role).unwrap_or(Role::Viewer);
    PersonShown { id, name, role, start, status, created_at, created_by, token_at, expires_at }
}
