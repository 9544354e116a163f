//! Users, and the names that people give them.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::form::Form;
use super::params::{Params, object};

/// The longest id of a user that gets a name, and the longest name, in characters.
const LONGEST: usize = 200;

type Id = Result<Path<String>, PathRejection>;

/// The users that sessions have.
#[derive(Serialize)]
pub(super) struct Users {
    /// Their ids, sorted.
    users: Vec<String>,
    /// The names of those that have one.
    labels: BTreeMap<String, String>,
}

/// `GET /api/history/users`
pub(super) async fn users(State(state): State<AdminState>, mut params: Params) -> Result<Json<Users>, ApiError> {
    let limit = params.number("limit", 1000, &(1..=5000));
    let offset = params.number("offset", 0, &(0..=u32::MAX));
    params.finish()?;
    let store = state.recorder.store();
    let users = store.users(limit, offset).await?;
    let labels = store.labels_of(&users).await?;
    Ok(Json(Users { users, labels }))
}

/// `GET /api/history/user-labels`
pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "labels": state.recorder.store().labels().await? })))
}

/// `GET /api/history/user-labels/{user_id}`
pub(super) async fn one(State(state): State<AdminState>, id: Id) -> Result<Json<Value>, ApiError> {
    let user = [known(id)?];
    let mut labels = state.recorder.store().labels_of(&user).await?;
    match labels.remove(&user[0]) {
        Some(name) => Ok(Json(json!({ "user_id": user[0], "display_name": name }))),
        None => Err(ApiError::NotFound("this user has no name".to_owned())),
    }
}

/// `PUT /api/history/user-labels/{user_id}`
pub(super) async fn set(State(state): State<AdminState>, id: Id, body: Body) -> Result<Json<Value>, ApiError> {
    let user = known(id)?;
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
    state.recorder.store().set_label(&user, name, state.policies.now()).await?;
    Ok(Json(json!({ "user_id": user, "display_name": name })))
}

/// `DELETE /api/history/user-labels/{user_id}`: it has no name then, whether it had one or not.
pub(super) async fn remove(State(state): State<AdminState>, id: Id) -> Result<Json<Value>, ApiError> {
    state.recorder.store().remove_label(&known(id)?).await?;
    Ok(Json(json!({ "deleted": true })))
}

/// An id that a user can have.
fn known(id: Id) -> Result<String, ApiError> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    let possible = !id.is_empty() && id.chars().count() <= LONGEST && !id.contains('\0');
    if possible { Ok(id) } else { Err(ApiError::NotFound("no user can have this id".to_owned())) }
}
