//! Which models there are, as far as the settings say, and the switch for telemetry that older callers know.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ApiError;
use super::form::Form;
use super::{AdminState, params};

/// The models that the settings know of. What an upstream lists by itself is at `GET /v1/models`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KnownModels {
    /// The names that rules serve, without patterns.
    models: Vec<String>,
    /// The rules for models, in order; the first that matches counts.
    rules: Vec<ModelRule>,
    /// Where requests go.
    upstreams: Vec<KnownUpstream>,
}

/// A rule for models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelRule {
    /// Which models: a name, or one with a `*`.
    #[serde(rename = "match")]
    pattern: String,
    /// Who serves them: the first, and each other where the one before it cannot answer.
    upstreams: Vec<String>,
}

/// An upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KnownUpstream {
    name: String,
    /// What it speaks.
    dialects: Vec<&'static str>,
    /// The gateway has a key of its own for it, or it asks for none.
    has_key: bool,
}

/// Telemetry: there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Telemetry {
    /// `false`
    enabled: bool,
    /// Why.
    message: &'static str,
}

/// What an older caller wants.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "whatever it says, there is none")]
pub(super) struct NewTelemetry {
    enabled: Option<bool>,
}

/// The models that the settings know of.
#[utoipa::path(get, path = "/api/admin/models", tag = "config", responses((status = 200, body = KnownModels)))]
pub(super) async fn known(State(state): State<AdminState>) -> Json<KnownModels> {
    let settings = state.settings.current();
    let rules = settings.models.iter().map(|rule| ModelRule {
        pattern: rule.pattern.to_string(),
        upstreams: rule.targets.iter().map(|target| target.upstream.clone()).collect(),
    });
    let models = settings.models.iter().filter_map(|rule| rule.pattern.exact()).map(str::to_owned);
    let upstreams = settings.upstreams.iter().map(|upstream| KnownUpstream {
        name: upstream.name.clone(),
        dialects: upstream.dialects.iter().map(|dialect| dialect.name()).collect(),
        has_key: upstream.keyless || upstream.key.is_some(),
    });
    Json(KnownModels { models: models.collect(), rules: rules.collect(), upstreams: upstreams.collect() })
}

const NONE: Telemetry = Telemetry { enabled: false, message: "there is no telemetry: nothing is ever sent" };

/// For older callers: there is no telemetry.
#[utoipa::path(get, path = "/api/admin/telemetry", tag = "config", responses((status = 200, body = Telemetry)))]
pub(super) async fn telemetry() -> Json<Telemetry> {
    Json(NONE)
}

/// For older callers: whatever is asked for, there is no telemetry.
#[utoipa::path(put, path = "/api/admin/telemetry", tag = "config", request_body = NewTelemetry, responses((status = 200, body = Telemetry)))]
pub(super) async fn set_telemetry(body: Body) -> Result<Json<Telemetry>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    // It makes no difference, but must be what it should be.
    let _ = form.switch("enabled");
    form.finish()?;
    Ok(Json(NONE))
}
