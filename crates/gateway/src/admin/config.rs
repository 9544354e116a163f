//! Settings: what counts and why, and changing those that can be changed while running.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::error::ApiError;
use super::form::Form;
use super::params::{self, Params};
use super::{AdminState, Who};
use crate::live_settings::ChangeError;
use crate::settings::{DEFINITIONS, Definition, Kind, Settings};

/// `GET /api/admin/config`
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<Value>, ApiError> {
    params.finish()?;
    let settings = state.settings.current();
    let listed: Vec<Value> = DEFINITIONS.iter().map(|definition| shown(definition, &settings)).collect();
    Ok(Json(json!({ "config": listed })))
}

/// `PUT /api/admin/config/{key}`
pub(super) async fn set(
    State(state): State<AdminState>,
    who: Who,
    Path(key): Path<String>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let value = match form.get("value") {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        Some(_) => {
            form.refuse("value", "value_error", "must be a text, a number, `true` or `false`");
            String::new()
        }
        None => {
            form.refuse("value", "missing", "is required; DELETE takes back what was set");
            String::new()
        }
    };
    let by = form.by("set_by", &who);
    form.only(&["value", "set_by"]);
    form.finish()?;
    state.settings.set(&key, &value, &by).await?;
    state.changed();
    one(&state, &key)
}

/// `DELETE /api/admin/config/{key}`
pub(super) async fn forget(
    State(state): State<AdminState>,
    who: Who,
    Path(key): Path<String>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let by = who.signs(params.text("set_by"));
    params.finish()?;
    state.settings.forget(&key, &by).await?;
    state.changed();
    one(&state, &key)
}

fn one(state: &AdminState, key: &str) -> Result<Json<Value>, ApiError> {
    let definition = DEFINITIONS.iter().find(|definition| definition.name == key);
    let definition = definition.ok_or_else(|| ApiError::NotFound(format!("there is no setting `{key}`")))?;
    Ok(Json(shown(definition, &state.settings.current())))
}

fn shown(definition: &Definition, settings: &Settings) -> Value {
    let origin = settings.origins.of(definition.name);
    let sensitive = definition.secret();
    json!({
        "name": definition.name,
        "env_var": definition.environment.first(),
        "category": definition.section(),
        "description": definition.meaning(),
        "type": kind(definition.kind),
        // Of a secret only whether there is one.
        "value": match origin {
            Some(origin) if sensitive => json!((origin.source != crate::settings::Source::Default).then_some("***")),
            Some(origin) => origin.text.as_deref().map_or(Value::Null, |text| typed(definition.kind, text)),
            None => Value::Null,
        },
        "source": origin.map(|origin| origin.source),
        "default": (!sensitive).then(|| typed(definition.kind, definition.default)),
        "db_settable": definition.live,
        "restart_required": !definition.live,
        "sensitive": sensitive,
        "overrides": origin.map(|origin| origin.overrides.clone()).unwrap_or_default(),
    })
}

/// A number or a switch as JSON has it, nothing where there is none; what else there is as text.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number | Kind::Switch if text.is_empty() => Value::Null,
        Kind::Number | Kind::Switch => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "number",
        Kind::Switch => "switch",
        Kind::Duration => "duration",
        Kind::Size => "size",
        Kind::Path => "path",
        Kind::Url => "url",
        Kind::Secret => "secret",
        Kind::Choice(_) => "choice",
        Kind::List | Kind::Lines => "list",
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let text = error.to_string();
        match error {
            ChangeError::Unknown(_) => Self::NotFound(text),
            ChangeError::NotLive(..) => Self::BadRequest(text),
            ChangeError::Pinned(..) => Self::Conflict(text),
            ChangeError::Bad(_) => Self::Unprocessable(vec![super::error::Field::body("value", "value_error", text)]),
            ChangeError::Store(error) => Self::Record(error),
        }
    }
}
