//! The admin and record routes, health, and the front page: everything that is no model traffic.
//!
//! Every route under `/api` asks for the admin key, whoever calls from wherever. Errors are JSON, `{"detail": …}`.

mod activity;
mod approvals;
mod assignments;
mod auth;
mod calls;
mod client_keys;
mod config;
mod erasure;
mod error;
mod form;
mod halt;
mod health;
mod history;
mod labels;
mod page;
mod params;
mod policy;
mod request_logs;
mod retention;
mod system;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use luthien_record::Recorder;
use luthien_record::retention::Retention;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::approvals::Approvals;
use crate::client_keys::ClientKeys;
use crate::live_settings::LiveSettings;
use crate::notify::Notifier;
use crate::policy_state::PolicyState;
use crate::replicas::Link;

pub use auth::AdminKey;
pub use error::ApiError;

/// What the routes work with. Cloning shares it.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// The record.
    pub recorder: Recorder,
    /// What happens, for whoever watches.
    pub activity: Activity,
    /// What policies leave to persons.
    pub approvals: Approvals,
    /// Who is told what happens.
    pub notifier: Notifier,
    /// The link to Redis, where one is set.
    pub redis: Option<Link>,
    /// The active policy.
    pub policies: Arc<PolicyState>,
    /// The settings in force.
    pub settings: Arc<LiveSettings>,
    /// The keys that clients were given.
    pub client_keys: ClientKeys,
    /// The key of the hash by which callers are known.
    pub identity_key: [u8; 32],
    /// What becomes of old transactions.
    pub retention: Retention,
    /// The key that opens the routes under `/api`.
    pub key: AdminKey,
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

    /// Tells other gateways to look for a change.
    fn changed(&self) {
        self.policies.hints().give();
    }
}

/// All routes that are no model traffic. What it does not know is answered 404.
pub fn router(state: AdminState) -> Router {
    let admin = Router::new()
        .route("/admin/policy/current", get(policy::current))
        .route("/admin/policy/set", post(policy::set))
        .route("/admin/system-status", get(system::status))
        .route("/admin/policy/list", get(policy::list))
        .route("/admin/approvals", get(approvals::list))
        .route("/admin/approvals/{id}", get(approvals::one).post(approvals::answer))
        .route("/activity/stream", get(activity::stream))
        .route("/admin/policy/validate", post(policy::validate))
        .route("/admin/policy/history", get(policy::history))
        .route("/admin/policy/rollback", post(policy::rollback))
        .route("/admin/policy/effective", get(assignments::effective))
        .route("/admin/policy/assignments", get(assignments::list).post(assignments::add))
        .route("/admin/policy/assignments/ended", get(assignments::ended))
        .route("/admin/policy/assignments/{id}", get(assignments::one).delete(assignments::end))
        .route("/admin/client-keys", get(client_keys::list).post(client_keys::create))
        .route("/admin/client-keys/{id}", get(client_keys::one).delete(client_keys::revoke))
        .route("/admin/config", get(config::list))
        .route("/admin/config/{key}", axum::routing::put(config::set).delete(config::forget))
        .route("/admin/panic", get(halt::show).post(halt::turn))
        .route("/admin/panic/history", get(halt::history))
        .route("/history/sessions", get(history::sessions))
        .route("/history/sessions/{id}", get(history::session).delete(erasure::session))
        .route("/history/users/{user_id}", delete(erasure::user))
        .route("/admin/retention", get(retention::standing))
        .route("/history/sessions/{id}/export", get(history::export_markdown))
        .route("/history/sessions/{id}/export/jsonl", get(history::export_jsonl))
        .route("/history/sessions/{id}/export/json", get(history::export_json))
        .route("/request-logs", get(request_logs::list))
        .route("/request-logs/{id}", get(request_logs::one))
        .route("/history/users", get(labels::users))
        .route("/history/user-labels", get(labels::list))
        .route("/history/user-labels/{user_id}", get(labels::one).put(labels::set).delete(labels::remove))
        .route("/debug/calls", get(calls::calls))
        .route("/debug/calls/{id}", get(calls::call))
        .route("/debug/calls/{id}/diff", get(calls::diff))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(state.key.clone(), auth::require))
        .layer(middleware::from_fn(keep_private));
    let older = Router::new()
        .route("/request-logs", get(request_logs::list))
        .route("/request-logs/{id}", get(request_logs::one))
        .layer(middleware::from_fn_with_state(state.key.clone(), auth::require))
        .layer(middleware::from_fn(keep_private));
    Router::new()
        .route("/", get(page::front))
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/ready", get(health::ready))
        .nest("/api", admin)
        .merge(older)
        .route("/admin", axum::routing::any(moved))
        .route("/admin/{*rest}", axum::routing::any(moved))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state)
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
