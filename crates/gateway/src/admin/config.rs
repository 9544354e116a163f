//! Settings: what counts and why, and changing those that can be changed while running.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use super::form::Form;
use super::params::{self, NO_NUL, Params};
use super::{AdminState, Who};
use crate::live_settings::ChangeError;
use crate::settings::{DEFINITIONS, Definition, Kind, Settings, Source};

type Key = Result<Path<String>, PathRejection>;

/// All settings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SettingList {
    config: Vec<Setting>,
}

/// A setting: what counts and why.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setting {
    name: &'static str,
    /// The environment variable.
    env_var: Option<&'static str>,
    /// The part of the settings file.
    category: &'static str,
    /// What it is for.
    description: String,
    /// What sort of value: `text`, `number`, `switch`, `duration`, `size`, `path`, `url`, `secret`, `choice` or `list`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What counts: a number, `true` or `false`, else a text; null where there is none. Of a secret `***` or null.
    value: Value,
    /// Where it comes from.
    source: Option<Source>,
    /// What counts where nobody says anything.
    default: Option<Value>,
    /// It can be changed while the gateway runs.
    db_settable: bool,
    /// It cannot.
    restart_required: bool,
    /// It is a secret.
    sensitive: bool,
    /// Weaker places that say something too.
    overrides: Vec<Source>,
}

/// What a setting is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct NewSetting {
    /// A text, a number, `true` or `false`.
    value: Scalar,
    /// Who sets it, where the credential does not say it.
    set_by: Option<String>,
}

/// A value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SettingValue)]
#[expect(dead_code, reason = "for the document")]
enum Scalar {
    /// As in the settings file.
    Text(String),
    /// A number.
    Number(f64),
    /// A switch.
    Switch(bool),
}

/// All settings: what counts and why.
#[utoipa::path(get, path = "/api/admin/config", tag = "config", responses((status = 200, body = SettingList)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<SettingList>, ApiError> {
    params.finish()?;
    let settings = state.settings.current();
    Ok(Json(SettingList { config: DEFINITIONS.iter().map(|definition| shown(definition, &settings)).collect() }))
}

/// Changes a setting while the gateway runs, on all gateways that share the database.
#[utoipa::path(put, path = "/api/admin/config/{key}", tag = "config", request_body = NewSetting, params(("key" = String, Path, description = "The setting's name.")),
    responses((status = 200, body = Setting), (status = 400, body = ErrorBody, description = "It cannot be changed while the gateway runs."),
        (status = 404, body = ErrorBody, description = "There is no such setting."), (status = 409, body = ErrorBody, description = "A flag, the environment or the file sets it.")))]
pub(super) async fn set(
    State(state): State<AdminState>,
    who: Who,
    key: Key,
    body: Body,
) -> Result<Json<Setting>, ApiError> {
    let key = known(key)?;
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let value = match form.get("value") {
        Some(Value::String(text)) if text.contains('\0') => {
            form.refuse("value", "string_pattern", NO_NUL);
            String::new()
        }
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

/// Takes back what was set while the gateway ran.
#[utoipa::path(delete, path = "/api/admin/config/{key}", tag = "config", params(("key" = String, Path, description = "The setting's name."),
    ("set_by" = Option<String>, Query, description = "Who takes it back, where the credential does not say it.")),
    responses((status = 200, body = Setting), (status = 400, body = ErrorBody, description = "It cannot be changed while the gateway runs."),
        (status = 404, body = ErrorBody, description = "There is no such setting."), (status = 409, body = ErrorBody, description = "A flag, the environment or the file sets it.")))]
pub(super) async fn forget(
    State(state): State<AdminState>,
    who: Who,
    key: Key,
    params: Params,
) -> Result<Json<Setting>, ApiError> {
    let key = known(key)?;
    let by = who.signs(params.text("set_by"));
    params.finish()?;
    state.settings.forget(&key, &by).await?;
    state.changed();
    one(&state, &key)
}

/// A name that a setting can have.
fn known(key: Key) -> Result<String, ApiError> {
    key.map(|Path(key)| key).map_err(|_| ApiError::NotFound("there is no such setting".to_owned()))
}

fn one(state: &AdminState, key: &str) -> Result<Json<Setting>, ApiError> {
    let definition = DEFINITIONS.iter().find(|definition| definition.name == key);
    let definition = definition.ok_or_else(|| ApiError::NotFound(format!("there is no setting `{key}`")))?;
    Ok(Json(shown(definition, &state.settings.current())))
}

fn shown(definition: &Definition, settings: &Settings) -> Setting {
    let origin = settings.origins.of(definition.name);
    let sensitive = definition.secret();
    // Of a secret only whether there is one.
    let value = match origin {
        Some(origin) if sensitive => json!((origin.source != Source::Default).then_some("***")),
        Some(origin) => origin.text.as_deref().map_or(Value::Null, |text| typed(definition.kind, text)),
        None => Value::Null,
    };
    Setting {
        name: definition.name,
        env_var: definition.environment.first().copied(),
        category: definition.section(),
        description: definition.meaning(),
        kind: kind(definition.kind),
        value,
        source: origin.map(|origin| origin.source),
        default: (!sensitive).then(|| typed(definition.kind, definition.default)),
        db_settable: definition.live,
        restart_required: !definition.live,
        sensitive,
        overrides: origin.map(|origin| origin.overrides.clone()).unwrap_or_default(),
    }
}

/// A number or a switch as JSON has it, nothing where there is none; what else there is as text.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Number | Kind::Switch | Kind::Object if text.is_empty() => Value::Null,
        Kind::Number | Kind::Switch | Kind::Object => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
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
        Kind::Object => "object",
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
