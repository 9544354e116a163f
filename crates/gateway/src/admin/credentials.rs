//! Credentials of the gateway's own: stored, listed without their values, removed.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use jiff::Timestamp;
use luthien_record::store::SealedCredential;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminState;
use super::error::{ApiError, Field};
use super::form::Form;
use super::params::{self, Params};
use super::who::Who;
use crate::server_credentials::{CredentialType, KeepError, NewCredential, acceptable_name, acceptable_value};
use crate::upstream::Base;

/// Longer names of platforms are none, in characters.
const LONGEST: usize = 128;

/// A credential to store.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field so that every problem is told")]
pub(super) struct CredentialBody {
    /// What it is called: letters, digits and `. _ - : @`. One of this name is replaced.
    name: String,
    /// The secret itself. It is never shown again.
    value: String,
    /// `api_key` if nothing is said.
    credential_type: Option<CredentialType>,
    /// Whose API it opens, such as `anthropic` (if nothing is said) or `openai`.
    platform: Option<String>,
    /// Where that is. A credential that says so is sent nowhere else: scheme, host and port have to be the same.
    platform_url: Option<String>,
    /// Who stores it, where the admin key does not say.
    created_by: Option<String>,
}

/// A credential as it is shown: without its value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialEntry {
    /// What it is called.
    name: String,
    /// Whose API it opens.
    platform: String,
    /// Where it goes, if it goes nowhere else.
    platform_url: Option<String>,
    /// `api_key` or `auth_token`.
    credential_type: String,
    /// When it was stored first.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// By whom.
    created_by: String,
    /// When it was stored last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// By whom.
    updated_by: String,
    /// The fingerprint of the key that sealed it.
    key_id: String,
    /// Whether it can be used.
    status: KeyStatus,
    /// Why not, and what to do.
    problem: Option<String>,
    /// The upstreams and inference providers that name it.
    used_by: Vec<String>,
}

/// Whether a credential can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyStatus {
    Ok,
    /// No key that the gateway has opens it, or it is damaged.
    Unreadable,
}

/// All credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialList {
    /// By name.
    credentials: Vec<CredentialEntry>,
    /// How many there are.
    count: usize,
}

/// That something was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    pub(super) success: bool,
    /// With what.
    pub(super) name: String,
    /// It was there before, and has been replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaced: Option<bool>,
}

/// All stored credentials, without their values.
#[utoipa::path(get, path = "/api/admin/credentials", tag = "credentials", responses((status = 200, body = CredentialList)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<CredentialList>, ApiError> {
    params.finish()?;
    let (stored, _) = state.recorder.store().credentials().await?;
    let credentials: Vec<CredentialEntry> = stored.into_iter().map(|one| shown(&state, one)).collect();
    Ok(Json(CredentialList { count: credentials.len(), credentials }))
}

/// One stored credential, without its value.
#[utoipa::path(get, path = "/api/admin/credentials/{name}", tag = "credentials",
    params(("name" = String, Path, description = "What it is called")),
    responses((status = 200, body = CredentialEntry), (status = 404, body = super::ErrorBody, description = "There is none of this name.")))]
pub(super) async fn one(
    State(state): State<AdminState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<CredentialEntry>, ApiError> {
    let name = name.map_err(|_| unknown(""))?.0;
    let (stored, _) = state.recorder.store().credentials().await?;
    let found = stored.into_iter().find(|one| one.name == name).ok_or_else(|| unknown(&name))?;
    Ok(Json(shown(&state, found)))
}

/// Stores a credential, in place of one of its name. Whoever names it uses the new value from the next request on.
#[utoipa::path(post, path = "/api/admin/credentials", tag = "credentials", request_body = CredentialBody,
    responses((status = 200, body = Done)))]
pub(super) async fn store(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<Done>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let name = name_in(&mut form);
    let value = form.text("value").unwrap_or_default();
    let value = SecretString::from(value.trim());
    if let Err(why) = acceptable_value(&value) {
        form.refuse("value", "value_error", why);
    }
    let kind = form.text("credential_type").map(|text| CredentialType::named(&text));
    if kind == Some(None) {
        form.refuse("credential_type", "enum", "must be `api_key` or `auth_token`");
    }
    let platform = form.text("platform").unwrap_or_else(|| "anthropic".to_owned());
    if platform.is_empty() || platform.len() > LONGEST || platform.chars().any(char::is_control) {
        form.refuse("platform", "value_error", "must be a short name, such as `anthropic` or `openai`");
    }
    let platform_url = form.text("platform_url").filter(|url| !url.is_empty());
    if let Some(Err(error)) = platform_url.as_deref().map(|url| Base::parse(&name, url)) {
        form.refuse("platform_url", "url_parsing", error.to_string());
    }
    let by = who.signs(form.text("created_by"));
    form.only(&["name", "value", "credential_type", "platform", "platform_url", "created_by"]);
    form.finish()?;
    let now = state.policies.now();
    let shell = SealedCredential {
        name: name.clone(),
        platform,
        platform_url,
        credential_type: kind.flatten().unwrap_or_default().name().to_owned(),
        key_id: String::new(),
        sealed: Vec::new(),
        created_at: now,
        created_by: by.clone(),
        updated_at: now,
        updated_by: by.clone(),
    };
    let kept = state.credentials.keep(state.recorder.store(), NewCredential { shell, value }).await;
    let replaced = kept.map_err(|error| match error {
        KeepError::Store(error) => ApiError::Record(error),
        KeepError::Key(error) => {
            tracing::error!(%error, "a credential was not stored: there is no key to seal it with");
            ApiError::Busy(format!("the credential was not stored: {error}"))
        }
    })?;
    state.changed_credentials().await?;
    tracing::info!(credential = %name, %by, replaced, "a credential was stored");
    Ok(Json(Done { success: true, name, replaced: Some(replaced) }))
}

/// Removes a credential. One that an upstream or an inference provider names is kept, unless `force` says otherwise: what is asked
/// there is refused then.
#[utoipa::path(delete, path = "/api/admin/credentials/{name}", tag = "credentials",
    params(("name" = String, Path, description = "What it is called"),
        ("force" = Option<bool>, Query, description = "Also where something uses it"),
        ("removed_by" = Option<String>, Query, description = "Who removes it, where the admin key does not say")),
    responses((status = 200, body = Done),
        (status = 404, body = super::ErrorBody, description = "There is none of this name."),
        (status = 409, body = super::ErrorBody, description = "Something uses it, which is named.")))]
pub(super) async fn remove(
    State(state): State<AdminState>,
    who: Who,
    name: Result<Path<String>, PathRejection>,
    mut params: Params,
) -> Result<Json<Done>, ApiError> {
    let name = name.map_err(|_| unknown(""))?.0;
    let (force, by) = (params.switch("force").unwrap_or_default(), who.signs(params.text("removed_by")));
    params.finish()?;
    let (stored, _) = state.recorder.store().credentials().await?;
    if !stored.iter().any(|one| one.name == name) {
        return Err(unknown(&name));
    }
    let users = used_by(&state, &name);
    if !users.is_empty() && !force {
        let users = users.join(", ");
        return Err(ApiError::Conflict(format!(
            "`{name}` is in use ({users}): take it out there first, or remove it with `?force=true`, after which they cannot be asked"
        )));
    }
    if !state.recorder.store().remove_credential(&name).await? {
        return Err(unknown(&name));
    }
    state.changed_credentials().await?;
    tracing::info!(credential = %name, %by, "a credential was removed");
    Ok(Json(Done { success: true, name, replaced: None }))
}

/// A name for a credential or a provider.
pub(super) fn name_in(form: &mut Form<'_>) -> String {
    let name = form.text("name").unwrap_or_default();
    if let Err(why) = acceptable_name(&name) {
        form.refuse("name", if name.is_empty() { "missing" } else { "value_error" }, why);
    }
    name
}

/// Who names this credential.
fn used_by(state: &AdminState, name: &str) -> Vec<String> {
    let settings = state.settings.current();
    let upstreams = settings.upstreams.iter().filter(|upstream| upstream.credential.as_deref() == Some(name));
    let upstreams = upstreams.map(|upstream| format!("upstream {}", upstream.name));
    let providers = state.credentials.providers_with(name).into_iter();
    upstreams.chain(providers.map(|provider| format!("inference provider {provider}"))).collect()
}

fn shown(state: &AdminState, stored: SealedCredential) -> CredentialEntry {
    let problem = state.credentials.unreadable(&stored.name);
    CredentialEntry {
        status: if problem.is_some() { KeyStatus::Unreadable } else { KeyStatus::Ok },
        problem,
        used_by: used_by(state, &stored.name),
        name: stored.name,
        platform: stored.platform,
        platform_url: stored.platform_url,
        credential_type: stored.credential_type,
        created_at: stored.created_at,
        created_by: stored.created_by,
        updated_at: stored.updated_at,
        updated_by: stored.updated_by,
        key_id: stored.key_id,
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::NotFound(format!("there is no credential `{name}`"))
}

impl Field {
    /// A field of the body with a problem that a check has found.
    pub(super) fn of_check((name, msg): (&'static str, String)) -> Self {
        Self::body(name, "value_error", msg)
    }
}
