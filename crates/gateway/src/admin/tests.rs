//! Every route with no key, a wrong key and the right one, and the shapes of what it answers.

mod admin_access;
mod auth_config;
mod caps;
mod chat;
mod client_keys;
mod config;
mod credentials;
mod documents;
mod erasure;
mod hostile;
mod policy;
mod recorded;
mod round_trip;
mod routes;
mod scopes;
mod stream;

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use luthien_policy::catalogue::Variables;
use luthien_policy::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use luthien_record::RecorderConfig;
use luthien_record::redact::Redactor;
use secrecy::SecretString;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::access::Access;
use crate::activity::Activity;
use crate::admin_access::{AdminAccess, AdminAccessConfig};
use crate::approvals::Approvals;
use crate::audit::{Audit, AuditWriter};
use crate::caps::CapsState;
use crate::client_keys::ClientKeys;
use crate::clock::Clock;
use crate::live_settings::LiveSettings;
use crate::policy_state::PolicyOptions;
use crate::server_credentials::KeySource;
use crate::settings::{PolicySource, Settings, Sources};

const KEY: &str = "the-right-key";

/// The routes on a record in a folder that lives as long as this.
struct Fixture {
    router: Router,
    state: AdminState,
    audit: AuditWriter,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self::with(folder.path(), false).await;
        Self { _folder: Some(folder), ..fixture }
    }

    /// On the record in this folder, which may hold one already.
    async fn on(folder: &Path) -> Self {
        Self::with(folder, false).await
    }

    async fn with(folder: &Path, bypass: bool) -> Self {
        let (state, audit) = state(folder, bypass).await;
        Self { router: router(state.clone()), state, audit, _folder: None }
    }

    async fn call(&self, method: Method, path: &str, key: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Some(KEY), "").await
    }

    async fn set(&self, body: &str) -> Answer {
        self.call(Method::POST, "/api/admin/policy/set", Some(KEY), body).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

/// What a call got.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A model that repeats what it is asked, but for `fail`.
#[derive(Debug)]
struct Echo;

impl JudgeClient for Echo {
    fn ask(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(async move {
            if request.prompt == "fail" {
                return Err(JudgeError::Unavailable("nobody is there".to_owned()));
            }
            let text = format!("{} says {}", request.model, request.prompt);
            Ok(JudgeAnswer { text, input_tokens: Some(7), output_tokens: Some(5), ..JudgeAnswer::default() })
        })
    }
}

async fn state(folder: &Path, bypass: bool) -> (AdminState, AuditWriter) {
    state_with(folder, bypass, RecorderConfig::in_dir(folder)).await
}

async fn state_with(folder: &Path, bypass: bool, record: RecorderConfig) -> (AdminState, AuditWriter) {
    let sources = Sources { folder: folder.to_owned(), ..Sources::default() };
    let settings = Settings::load(&sources).unwrap();
    let recorder = Recorder::open(record).await.unwrap();
    let mut options = PolicyOptions::new(&settings, &sources);
    // What the examples of some policies need of the environment.
    let variables = [("OPENAI_API_KEY", "sk-of-the-environment"), ("LUTHIEN_DEMO", "1")];
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    options.env.variables = Variables::Given(owned.into());
    let policies = PolicyState::start(options, recorder.store().clone(), Clock::system()).await.unwrap();
    let activity = Activity::default();
    let retention = crate::retention::from_settings(
        &settings,
        recorder.store().clone(),
        Clock::system(),
        &tokio_util::task::TaskTracker::new(),
    );
    let admin_access = AdminAccessConfig {
        admin: SecretString::from(KEY),
        bypass,
        store: recorder.store().clone(),
        hints: policies.hints().clone(),
        clock: Clock::system(),
    };
    let admin_access = AdminAccess::stored(admin_access).await.unwrap();
    let (audit, writer) = Audit::new("this one", Clock::system(), Redactor::default());
    let apply = Box::new(|_: &Settings| {});
    let settings = LiveSettings::start(recorder.store().clone(), settings, Clock::system(), apply).await.unwrap();
    let state = AdminState {
        retention: retention.unwrap(),
        recorder,
        approvals: Approvals::new(activity.clone(), Clock::system()),
        models: Arc::new(Echo),
        judges: Arc::new(Echo),
        activity,
        notifier: Notifier::default(),
        redis: None,
        settings: Arc::new(settings),
        access: Access::default(),
        has_client_key: false,
        client_keys: ClientKeys::default(),
        caps: CapsState::default(),
        credentials: ServerCredentials::with(KeySource::new(None, folder)),
        identity_key: [7; 32],
        policies: Arc::new(policies),
        admin_access,
        audit,
        stopping: CancellationToken::new(),
    };
    (state, writer)
}
