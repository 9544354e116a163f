//! The admin and record routes, health, and the front page: everything that is no model traffic.
//!
//! Every route under `/api` asks who calls, from wherever, and for the role that its group names. Errors are JSON, `{"detail": …}`.

mod activity;
mod approvals;
mod assignments;
mod audit;
mod auth;
mod auth_config;
mod calls;
mod caps;
mod chat;
mod client_keys;
mod config;
mod credentials;
mod docs;
mod erasure;
mod error;
mod form;
#[cfg(any(test, fuzzing))]
mod fuzzed;
mod halt;
mod health;
mod history;
mod labels;
mod login;
mod models;
mod openapi;
mod page;
mod params;
mod people;
mod policy;
mod providers;
mod request_logs;
mod retention;
mod system;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use luthien_policy::judge::JudgeClient;
use luthien_record::Recorder;
use luthien_record::retention::Retention;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Access;
use crate::activity::Activity;
use crate::admin_access::AdminAccess;
use crate::approvals::Approvals;
use crate::audit::Audit;
use crate::caps::CapsState;
use crate::client_keys::ClientKeys;
use crate::live_settings::LiveSettings;
use crate::notify::Notifier;
use crate::policy_state::PolicyState;
use crate::replicas::Link;
use crate::server_credentials::ServerCredentials;

pub use error::{ApiError, Detail, ErrorBody};
#[cfg(any(test, fuzzing))]
pub use fuzzed::fuzzed;
pub use who::{Proof, Role, Who};

/// What the routes work with. Cloning shares it.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The record.
    pub recorder: Recorder,
    /// What happens, for whoever watches.
    pub activity: Activity,
    /// What policies leave to persons.
    pub approvals: Approvals,
    /// The way to models with the upstreams' own keys.
    pub models: Arc<dyn JudgeClient>,
    /// The way of policies' own questions, where nobody's request is behind them.
    pub judges: Arc<dyn JudgeClient>,
    /// Who is told what happens.
    pub notifier: Notifier,
    /// The link to Redis, where one is set.
    pub redis: Option<Link>,
    /// The active policy.
    pub policies: Arc<PolicyState>,
    /// The settings in force.
    pub settings: Arc<LiveSettings>,
    /// How clients get in.
    pub access: Access,
    /// The shared gateway key is set.
    pub has_client_key: bool,
    /// The keys that clients were given.
    pub client_keys: ClientKeys,
    /// What keys, sessions and users may use.
    pub caps: CapsState,
    /// The gateway's own credentials, and the providers that judges are asked at.
    pub credentials: ServerCredentials,
    /// The key of the hash by which callers are known.
    pub identity_key: [u8; 32],
    /// What becomes of old transactions.
    pub retention: Retention,
    /// Who gets in here.
    pub admin_access: AdminAccess,
    /// Takes down what is done.
    pub audit: Audit,
    /// Cancelled when the gateway has been told to stop: from then on it is not ready.
    pub stopping: CancellationToken,
}

impl AdminState {
    /// Puts in force what the database says of client keys now.
    async fn changed_client_keys(&self) -> Result<(), ApiError> {
        // Others are told also where this gateway cannot read them itself now.
        self.changed();
        Ok(self.client_keys.take(self.recorder.store()).await?)
    }

    /// Puts in force what the database says of caps now.
    async fn changed_caps(&self) -> Result<(), ApiError> {
        self.changed();
        Ok(self.caps.take(self.recorder.store()).await?)
    }

    /// Puts in force what the database says of credentials and inference providers now.
    async fn changed_credentials(&self) -> Result<(), ApiError> {
        self.changed();
        Ok(self.credentials.take(self.recorder.store()).await?)
    }

    /// Tells other gateways to look for a change.
    fn changed(&self) {
        self.policies.hints().give();
    }
}

/// All routes that are no model traffic. What it does not know is answered 404.
pub fn router(state: AdminState) -> Router {
    let (open, guarded, document) = described();
    let older = Router::new()
        .route("/request-logs", get(request_logs::list))
        .route("/request-logs/{id}", get(request_logs::one))
        .route_layer(middleware::from_fn_with_state(Role::Viewer, who::at_least));
    let guarded = guarded
        .merge(older)
        .route("/api", axum::routing::any(not_found))
        .route("/api/{*rest}", axum::routing::any(not_found))
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn(sound))
        .layer(middleware::from_fn_with_state(state.clone(), auth::note))
        .layer(middleware::from_fn_with_state(state.clone(), auth::identify))
        .layer(middleware::from_fn(keep_private));
    let documents = Router::new()
        .route("/docs/{file}", get(docs::file))
        .route("/api/docs", get(docs::page))
        .route("/api/docs/{file}", get(docs::file))
        .route("/api/openapi.json", get(docs::document));
    let login = Router::new()
        .route("/login", get(login::login))
        .route("/auth/login.css", get(login::style))
        .route("/auth/login", post(login::enter))
        .route("/auth/logout", post(login::leave));
    open.merge(documents)
        .merge(login)
        .route("/healthz", get(health::live))
        .route("/ready", get(health::ready))
        .layer(middleware::from_fn(sound))
        .layer(Extension(docs::Document::new(&openapi::finish(&document))))
        .merge(guarded)
        .route("/admin", axum::routing::any(moved))
        .route("/admin/{*rest}", axum::routing::any(moved))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state)
}

/// The routes that ask for nothing, those that ask for a role, and what the document says of both.
fn described() -> (Router<AdminState>, Router<AdminState>, utoipa::openapi::OpenApi) {
    let (open, public) = OpenApiRouter::with_openapi(openapi::head()).merge(open()).split_for_parts();
    let (guarded, document) = OpenApiRouter::with_openapi(public)
        .merge(openapi::of_role(viewers(), Role::Viewer))
        .merge(openapi::of_role(approvers(), Role::Approver))
        .merge(openapi::of_role(admins(), Role::Admin))
        .merge(openapi::of_role(keepers(), Role::Admin))
        .merge(openapi::of_role(secrets(), Role::Admin))
        .split_for_parts();
    (open, guarded, document)
}

/// The OpenAPI document.
#[cfg(test)]
pub(crate) fn document() -> serde_json::Value {
    openapi::finish(&described().2)
}

/// What holds no data, for anybody.
fn open() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(page::front))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(docs::document))
        .routes(routes!(docs::page))
}

/// What shows and changes nothing.
fn viewers() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(policy::current))
        .routes(routes!(system::status))
        .routes(routes!(credentials::list))
        .routes(routes!(credentials::one))
        .routes(routes!(providers::list))
        .routes(routes!(providers::one))
        .routes(routes!(auth_config::show))
        .routes(routes!(auth_config::credentials))
        .routes(routes!(auth_config::billing))
        .routes(routes!(policy::list))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::one))
        .routes(routes!(activity::stream))
        .routes(routes!(policy::history))
        .routes(routes!(assignments::effective))
        .routes(routes!(assignments::list))
        .routes(routes!(assignments::ended))
        .routes(routes!(assignments::one))
        .routes(routes!(client_keys::list))
        .routes(routes!(client_keys::one))
        .routes(routes!(caps::list))
        .routes(routes!(caps::one))
        .routes(routes!(config::list))
        .routes(routes!(models::known))
        .routes(routes!(models::telemetry))
        .routes(routes!(halt::show))
        .routes(routes!(halt::history))
        .routes(routes!(history::sessions))
        .routes(routes!(history::session))
        .routes(routes!(retention::standing))
        .routes(routes!(history::export_markdown))
        .routes(routes!(history::export_jsonl))
        .routes(routes!(history::export_json))
        .routes(routes!(request_logs::list))
        .routes(routes!(request_logs::one))
        .routes(routes!(labels::users))
        .routes(routes!(labels::list))
        .routes(routes!(labels::one))
        .routes(routes!(calls::calls))
        .routes(routes!(calls::call))
        .routes(routes!(calls::diff))
}

/// What answers for a person.
fn approvers() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(approvals::answer)).route_layer(middleware::from_fn(who::proven))
}

/// What decides who may use the admin side, and shows what they did.
fn keepers() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(people::list, people::add))
        .routes(routes!(people::one, people::set, people::remove))
        .routes(routes!(people::renew))
        .routes(routes!(login::link))
        .routes(routes!(audit::list))
        .route_layer(middleware::from_fn(who::proven))
}

/// What keeps secrets, and says where they are sent.
fn secrets() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(credentials::store))
        .routes(routes!(credentials::remove))
        .routes(routes!(providers::keep))
        .routes(routes!(providers::remove))
        .route_layer(middleware::from_fn(who::proven))
}

/// What changes the gateway or the record.
fn admins() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(auth_config::change))
        .routes(routes!(auth_config::clear))
        .routes(routes!(auth_config::forget))
        .routes(routes!(policy::set))
        .routes(routes!(policy::validate))
        .routes(routes!(policy::rollback))
        .routes(routes!(chat::chat))
        .routes(routes!(models::set_telemetry))
        .routes(routes!(assignments::add))
        .routes(routes!(assignments::end))
        .routes(routes!(client_keys::create))
        .routes(routes!(client_keys::revoke))
        .routes(routes!(config::set, config::forget))
        .routes(routes!(caps::set, caps::forget))
        .routes(routes!(halt::turn))
        .routes(routes!(erasure::session))
        .routes(routes!(erasure::user))
        .routes(routes!(labels::set, labels::remove))
}

/// The older place of the admin routes: method and body go along with the caller.
async fn moved(request: Request) -> Response {
    let target = request.uri().path_and_query().map_or("/admin", http::uri::PathAndQuery::as_str);
    match HeaderValue::from_str(&format!("/api{target}")) {
        Ok(location) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Err(_) => not_found().await,
    }
}

async fn not_found() -> Response {
    ApiError::NotFound("there is no such route".to_owned()).into_response()
}

async fn not_allowed() -> Response {
    ApiError::MethodNotAllowed.into_response()
}

/// Refuses paths that no record can hold: what is not UTF-8, and a NUL, which PostgreSQL's texts cannot have.
async fn sound(request: Request, next: Next) -> Response {
    if params::is_text(request.uri().path()) {
        next.run(request).await
    } else {
        ApiError::NotFound("no id is like this one".to_owned()).into_response()
    }
}

/// What these routes answer is for this caller alone.
async fn keep_private(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
