//! Inference providers: where policies ask judges by name.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use jiff::Timestamp;
use luthien_record::store::StoredProvider;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::AdminState;
use super::credentials::{Done, name_in};
use super::error::{ApiError, Field};
use super::form::Form;
use super::params::{self, Params};
use super::who::Who;
use crate::server_credentials::providers::{self, Backend, Provider, ProviderConfig};

/// A provider to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field so that every problem is told")]
pub(super) struct ProviderBody {
    /// What policies call it: letters, digits and `. _ - : @`. One of this name is replaced.
    name: String,
    /// How it is asked.
    backend_type: Backend,
    /// The stored credential that it is asked with. It may be stored later; until then judges there fail.
    credential_name: Option<String>,
    /// The model where a policy names none.
    default_model: Option<String>,
    /// Where it is.
    config: Option<ProviderConfig>,
    /// Who sets it up, where the admin key does not say.
    created_by: Option<String>,
}

/// A provider as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderEntry {
    /// What policies call it.
    name: String,
    /// How it is asked.
    backend_type: String,
    /// The stored credential that it is asked with.
    credential_name: Option<String>,
    /// The model where a policy names none.
    default_model: Option<String>,
    /// Where it is.
    config: Value,
    /// When it was set up first.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// By whom.
    created_by: String,
    /// When it was set up last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// By whom.
    updated_by: String,
    /// Why judges there fail now; null where nothing is known to be wrong.
    problem: Option<String>,
}

/// All providers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderList {
    /// By name.
    providers: Vec<ProviderEntry>,
    /// How many there are.
    count: usize,
    /// What `backend_type` may be.
    known_backend_types: Vec<&'static str>,
}

/// All inference providers.
#[utoipa::path(get, path = "/api/admin/inference-providers", tag = "credentials", responses((status = 200, body = ProviderList)))]
pub(super) async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<ProviderList>, ApiError> {
    params.finish()?;
    let (_, stored) = state.recorder.store().credentials().await?;
    let providers: Vec<ProviderEntry> = stored.into_iter().map(|one| shown(&state, one)).collect();
    let known_backend_types = Backend::ALL.map(Backend::name).to_vec();
    Ok(Json(ProviderList { count: providers.len(), providers, known_backend_types }))
}

/// One inference provider.
#[utoipa::path(get, path = "/api/admin/inference-providers/{name}", tag = "credentials",
    params(("name" = String, Path, description = "What it is called")),
    responses((status = 200, body = ProviderEntry), (status = 404, body = super::ErrorBody, description = "There is none of this name.")))]
pub(super) async fn one(
    State(state): State<AdminState>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ProviderEntry>, ApiError> {
    let name = name.map_err(|_| unknown(""))?.0;
    let (_, stored) = state.recorder.store().credentials().await?;
    let found = stored.into_iter().find(|one| one.name == name).ok_or_else(|| unknown(&name))?;
    Ok(Json(shown(&state, found)))
}

/// Keeps an inference provider, in place of one of its name. Judges are asked there from the next question on.
#[utoipa::path(post, path = "/api/admin/inference-providers", tag = "credentials", request_body = ProviderBody,
    responses((status = 200, body = Done)))]
pub(super) async fn keep(State(state): State<AdminState>, who: Who, body: Body) -> Result<Json<Done>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let name = name_in(&mut form);
    let backend = form.text("backend_type");
    if backend.is_none() {
        form.refuse("backend_type", "missing", "is required");
    }
    let text = |form: &mut Form<'_>, name| form.text(name).filter(|text| !text.is_empty());
    let (credential, model) = (text(&mut form, "credential_name"), text(&mut form, "default_model"));
    let config = providers::config(form.get("config").cloned().unwrap_or_default()).unwrap_or_else(|why| {
        form.refuse("config", "value_error", why);
        ProviderConfig::default()
    });
    let by = who.signs(form.text("created_by"));
    form.only(&["name", "backend_type", "credential_name", "default_model", "config", "created_by"]);
    form.finish()?;
    let backend = backend.unwrap_or_default();
    let backend = Backend::named(&backend).ok_or_else(|| {
        let known = Backend::ALL.map(Backend::name).join(", ");
        ApiError::BadRequest(format!("there is no backend `{backend}`; known are {known}"))
    })?;
    let provider = Provider { name, backend, credential, model, config };
    check(&state, &provider).map_err(|wrong| ApiError::Unprocessable(vec![Field::of_check(wrong)]))?;
    let now = state.policies.now();
    let stored = StoredProvider {
        name: provider.name.clone(),
        backend_type: backend.name().to_owned(),
        credential_name: provider.credential,
        default_model: provider.model,
        config: json!(provider.config),
        created_at: now,
        created_by: by.clone(),
        updated_at: now,
        updated_by: by.clone(),
    };
    state.recorder.store().set_provider(&stored).await?;
    state.changed_credentials().await?;
    tracing::info!(provider = %stored.name, backend = backend.name(), %by, "an inference provider was set up");
    Ok(Json(Done { success: true, name: stored.name, replaced: None }))
}

/// Removes an inference provider. Policies that name it go on: their judges fail, and `on_error` decides.
#[utoipa::path(delete, path = "/api/admin/inference-providers/{name}", tag = "credentials",
    params(("name" = String, Path, description = "What it is called"),
        ("removed_by" = Option<String>, Query, description = "Who removes it, where the admin key does not say")),
    responses((status = 200, body = Done), (status = 404, body = super::ErrorBody, description = "There is none of this name.")))]
pub(super) async fn remove(
    State(state): State<AdminState>,
    who: Who,
    name: Result<Path<String>, PathRejection>,
    params: Params,
) -> Result<Json<Done>, ApiError> {
    let name = name.map_err(|_| unknown(""))?.0;
    let by = who.signs(params.text("removed_by"));
    params.finish()?;
    if !state.recorder.store().remove_provider(&name).await? {
        return Err(unknown(&name));
    }
    state.changed_credentials().await?;
    tracing::info!(provider = %name, %by, "an inference provider was removed");
    Ok(Json(Done { success: true, name, replaced: None }))
}

/// What can be found wrong with a provider now. A credential that is not stored yet is no problem.
fn check(state: &AdminState, provider: &Provider) -> Result<(), providers::Wrong> {
    provider.check()?;
    let Some(Ok(credential)) = provider.credential.as_deref().map(|name| state.credentials.find(name)) else {
        return Ok(());
    };
    let (_, base) = provider.place(Some(&credential))?;
    credential.goes_to(&provider.name, &base).map_err(|why| ("config", why))
}

fn shown(state: &AdminState, stored: StoredProvider) -> ProviderEntry {
    let missing = |provider: &Provider| {
        let name = provider.credential.as_deref()?;
        state.credentials.find(name).err().map(|why| why.to_string())
    };
    let problem = match state.credentials.provider(&stored.name) {
        None => None,
        Some(Err(why)) => Some(why.to_string()),
        Some(Ok(provider)) => missing(&provider)
            .or_else(|| check(state, &provider).err().map(|(field, why)| format!("its `{field}` {why}"))),
    };
    ProviderEntry {
        name: stored.name,
        backend_type: stored.backend_type,
        credential_name: stored.credential_name,
        default_model: stored.default_model,
        config: stored.config,
        created_at: stored.created_at,
        created_by: stored.created_by,
        updated_at: stored.updated_at,
        updated_by: stored.updated_by,
        problem,
    }
}

fn unknown(name: &str) -> ApiError {
    ApiError::NotFound(format!("there is no inference provider `{name}`"))
}
