//! Users, and the names that people give them.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminState;
use super::error::{ApiError, ErrorBody};
use super::form::Form;
use super::params::{Params, object};

/// The longest id of a user that gets a name, and the longest name, in characters.
const LONGEST: usize = 200;

type Id = Result<Path<String>, PathRejection>;

/// The users that sessions have.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    /// Their ids, sorted.
    users: Vec<String>,
    /// The names of those that have one.
    labels: BTreeMap<String, String>,
}

/// The names that users were given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Labels {
    /// By the users' ids.
    labels: BTreeMap<String, String>,
}

/// A user's name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserLabel)]
pub(super) struct Label {
    /// The user's id.
    user_id: String,
    /// The name.
    display_name: String,
}

/// The name that a user is to have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewLabel {
    /// One line.
    #[schema(min_length = 1, max_length = 200)]
    display_name: String,
}

/// A name was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LabelRemoved {
    /// `true`, whether there was one or not.
    deleted: bool,
}

/// The users that sessions have.
#[utoipa::path(get, path = "/api/history/users", tag = "users", responses((status = 200, body = Users)), params(
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 5000, description = "How many at most; 1000 where nothing is said."),
    ("offset" = Option<u32>, Query, minimum = 0, description = "How many to pass over.")))]
pub(super) async fn users(State(state): State<AdminState>, mut params: Params) -> Result<Json<Users>, ApiError> {
    let limit = params.number("limit", 1000, &(1..=5000));
    let offset = params.number("offset", 0, &(0..=u32::MAX));
    params.finish()?;
    let store = state.recorder.store();
    let users = store.users(limit, offset).await?;
    let labels = store.labels_of(&users).await?;
    Ok(Json(Users { users, labels }))
}

/// The names that users were given.
#[utoipa::path(get, path = "/api/history/user-labels", tag = "users", responses((status = 200, body = Labels)))]
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Labels>, ApiError> {
    Ok(Json(Labels { labels: state.recorder.store().labels().await? }))
}

/// A user's name.
#[utoipa::path(get, path = "/api/history/user-labels/{user_id}", tag = "users", params(("user_id" = String, Path, description = "The user's id.")),
    responses((status = 200, body = Label), (status = 404, body = ErrorBody, description = "The user has no name.")))]
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<Label>, ApiError> {
    let user_id = known(id)?;
    let mut labels = state.recorder.store().labels_of(std::slice::from_ref(&user_id)).await?;
    match labels.remove(&user_id) {
        Some(display_name) => Ok(Json(Label { user_id, display_name })),
        None => Err(ApiError::NotFound("this user has no name".to_owned())),
    }
}

/// Gives a user a name.
#[utoipa::path(put, path = "/api/history/user-labels/{user_id}", tag = "users", request_body = NewLabel,
    params(("user_id" = String, Path, description = "The user's id.")),
    responses((status = 200, body = Label), (status = 404, body = ErrorBody, description = "No user can have this id.")))]
pub(super) async fn set(State(state): State<AdminState>, id: Id, body: Body) -> Result<Json<Label>, ApiError> {
    let user_id = known(id)?;
    let members = object(body).await?;
    let mut form = Form::new(&members);
    form.only(&["display_name"]);
    let name = form.text("display_name").unwrap_or_default();
    let name = name.trim();
    if form.get("display_name").is_none() {
        form.refuse("display_name", "missing", "is required: the user's name");
    } else if name.is_empty() || name.chars().count() > LONGEST {
        form.refuse("display_name", "string_length", format!("must have 1 to {LONGEST} characters"));
    } else if name.chars().any(char::is_control) {
        form.refuse("display_name", "string_pattern", "must be one line");
    }
    form.finish()?;
    state.recorder.store().set_label(&user_id, name, state.policies.now()).await?;
    Ok(Json(Label { user_id, display_name: name.to_owned() }))
}

/// Takes a user's name back. It has none then, whether it had one or not.
#[utoipa::path(delete, path = "/api/history/user-labels/{user_id}", tag = "users", params(("user_id" = String, Path, description = "The user's id.")),
    responses((status = 200, body = LabelRemoved), (status = 404, body = ErrorBody, description = "No user can have this id.")))]
pub(super) async fn remove(State(state): State<AdminState>, id: Id) -> Result<Json<LabelRemoved>, ApiError> {
    state.recorder.store().remove_label(&known(id)?).await?;
    Ok(Json(LabelRemoved { deleted: true }))
}

/// An id that a user can have.
fn known(id: Id) -> Result<String, ApiError> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let possible = !id.is_empty() && id.chars().count() <= LONGEST && !id.contains('\0');
    if possible { Ok(id) } else { Err(ApiError::NotFound("no user can have this id".to_owned())) }
}
