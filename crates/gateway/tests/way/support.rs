//! A gateway on a free port in front of a scripted upstream, with a record of its own.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use luthien_gateway::activity::Activity;
use luthien_gateway::admin_runtime::AdminRuntime;
use luthien_gateway::approvals::Approvals;
use luthien_gateway::caps::{CapsState, Prices};
use luthien_gateway::client_keys::ClientKeys;
use luthien_gateway::clock::Clock;
use luthien_gateway::config::{GatewayConfig, Limits, Network, RateConfig, Timeouts, UpstreamConfig, UpstreamTimeouts};
use luthien_gateway::live::{ActivePolicy, LiveState};
use luthien_gateway::notify::Notifier;
use luthien_gateway::policy_state::{PolicyOptions, PolicyState};
use luthien_gateway::server_credentials::{KeySource, ServerCredentials};
use luthien_gateway::settings::{PolicyFailMode, PolicySource};
use luthien_gateway::{Common, Gateway, Running};
use luthien_policy::catalogue::LoadEnv;
use luthien_policy::contract::{Mode, Policy};
use luthien_policy::plan::Plan;
use luthien_policy::tree::Tree;
use luthien_record::model::TransactionId;
use luthien_record::store::TransactionDetail;
use luthien_record::{Recorder, RecorderConfig};
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Script, Upstream};
use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: (&str, &str) = ("x-api-key", "sk-callers-own");
pub(crate) const GATEWAY_KEY: &str = "lk-shared-gateway-key";
pub(crate) const SERVER_KEY: &str = "sk-server-key";
pub(crate) const ADMIN_KEY: &str = "lk-admin-key-of-the-test";

pub(crate) struct Rig {
    pub(crate) upstream: Upstream,
    pub(crate) recorder: Recorder,
    pub(crate) approvals: Approvals,
    pub(crate) activity: Activity,
    pub(crate) gateway: Running,
    pub(crate) live: Arc<LiveState>,
    pub(crate) client_keys: ClientKeys,
    pub(crate) caps: CapsState,
    pub(crate) credentials: ServerCredentials,
    admin: AdminRuntime,
    pub(crate) folder: TempDir,
}

/// The configuration that tests begin with: all dialects at `upstream`.
pub(crate) fn config(upstream: &str) -> GatewayConfig {
    let one = |name: &str, dialects: &[Dialect]| UpstreamConfig {
        name: name.to_owned(),
        dialects: dialects.to_vec(),
        base_url: upstream.to_owned(),
        key: None,
        credential: None,
        keyless: false,
        http2: false,
        ca_file: None,
        client_certificate: None,
        timeouts: UpstreamTimeouts::default(),
    };
    GatewayConfig {
        listen: "127.0.0.1:0".to_owned(),
        upstreams: vec![one("anthropic", &[Dialect::Messages]), one("openai", &[Dialect::Chat, Dialect::Responses])],
        models: Vec::new(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        network: Network::default(),
        access: luthien_gateway::config::AuthMode::Both.into(),
        client_key: None,
        admin_key: Some(ADMIN_KEY.into()),
        identity_key: [1; 32],
        trust_user_id_header: false,
        allowed_paths: vec!["/v1/embeddings".to_owned()],
        rates: RateConfig::default(),
        judge: luthien_gateway::config::JudgeConfig::default(),
        secret_names: Arc::default(),
        log_raw_http: false,
    }
}

/// No policy, and what does not load refuses traffic.
pub(crate) fn options() -> PolicyOptions {
    PolicyOptions {
        source: PolicySource::DbFallbackFile,
        file: None,
        inline: None,
        dogfood: false,
        tell_model: false,
        fail_mode: PolicyFailMode::Closed,
        choices: Vec::new(),
        env: LoadEnv::default(),
    }
}

/// The id of the key with which `KEY` comes.
pub(crate) fn key_id() -> [u8; 16] {
    blake3::keyed_hash(&[1; 32], KEY.1.as_bytes()).as_bytes()[..16].try_into().unwrap()
}

impl Rig {
    /// With no policy.
    pub(crate) async fn new(script: impl Into<Script>) -> Self {
        Self::with(script, Vec::new(), |_| {}).await
    }

    /// With these policies in force and a changed configuration.
    pub(crate) async fn with(
        script: impl Into<Script>,
        policies: Vec<Arc<dyn Policy>>,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let tree = Tree::Serial(policies.into_iter().map(Tree::Policy).collect());
        Self::with_plan(script, tree, change).await
    }

    /// With this policy in the shadow.
    pub(crate) async fn shadowed(script: impl Into<Script>, policy: Arc<dyn Policy>) -> Self {
        Self::with_plan(script, Tree::Policy(policy).at_most(Mode::Shadow), |_| {}).await
    }

    /// With no policy and these prices.
    pub(crate) async fn priced(script: impl Into<Script>, prices: Prices) -> Self {
        Self::with_caps(script, Tree::none(), CapsState::new(prices), |_| {}).await
    }

    async fn with_plan(script: impl Into<Script>, tree: Tree, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::with_caps(script, tree, CapsState::default(), change).await
    }

    async fn with_caps(
        script: impl Into<Script>,
        tree: Tree,
        caps: CapsState,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await.unwrap();
        upstream.default_script(script);
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        let active = ActivePolicy {
            policy: "test".to_owned(),
            class_ref: "test".to_owned(),
            config: json!({}),
            enabled_at: Timestamp::UNIX_EPOCH,
            enabled_by: "test".to_owned(),
            mode: Mode::Enforce,
        };
        let live = Arc::new(LiveState::new(Plan::new(tree), active, 3));
        let common = Common { caps, ..Common::new(recorder, live) };
        Self::on(folder, upstream, common, change).await
    }

    /// With the policies of this state; `options` say where it begins.
    pub(crate) async fn governed(
        script: impl Into<Script>,
        options: PolicyOptions,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> (Self, Arc<PolicyState>) {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await.unwrap();
        upstream.default_script(script);
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        let state = PolicyState::start(options, recorder.store().clone(), Clock::system()).await.unwrap();
        let common = Common::new(recorder, Arc::clone(state.live()));
        (Self::on(folder, upstream, common, change).await, Arc::new(state))
    }

    /// With a policy of these options, and somebody who is told.
    pub(crate) async fn told(script: impl Into<Script>, options: PolicyOptions, notifier: Notifier) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Upstream::start().await.unwrap();
        upstream.default_script(script);
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        let state = PolicyState::start(options, recorder.store().clone(), Clock::system()).await.unwrap();
        let common = Common::telling(recorder, Arc::clone(state.live()), notifier);
        Self::on(folder, upstream, common, |_| {}).await
    }

    async fn on(
        folder: TempDir,
        upstream: Upstream,
        mut common: Common,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let admin = AdminRuntime::start(axum::Router::new()).unwrap();
        common.credentials = ServerCredentials::with(KeySource::new(None, folder.path()));
        let mut config = config(&upstream.base_url());
        change(&mut config);
        let started = Gateway::start(config, common.clone(), admin.service(), CancellationToken::new()).await;
        let Common { recorder, live, approvals, activity, client_keys, caps, credentials, .. } = common;
        let gateway = started.unwrap();
        Self { upstream, recorder, approvals, activity, gateway, live, client_keys, caps, credentials, admin, folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.addr())
    }

    /// Posts a turn with the caller's own key.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Exchange {
        post(&self.url(path), &[KEY], body.to_string()).await.unwrap()
    }

    /// The record of the transaction that an answer names.
    pub(crate) async fn record(&self, id: &str) -> TransactionDetail {
        self.recorder.settled().await;
        let id = TransactionId(id.parse().unwrap());
        self.recorder.store().transaction(id).await.unwrap().expect("a record")
    }

    /// The only transaction there is, once it is recorded; for clients that went before they learnt its id.
    pub(crate) async fn only_record(&self) -> TransactionDetail {
        loop {
            self.recorder.settled().await;
            let calls = self.recorder.store().calls(10).await.unwrap().calls;
            if let [only] = &calls[..] {
                return self.recorder.store().transaction(only.id).await.unwrap().expect("a record");
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn stop(self) {
        self.gateway.shutdown(Duration::from_secs(10)).await;
        self.admin.shutdown(Duration::from_secs(10)).await;
        self.recorder.shutdown(Duration::from_secs(10)).await;
        self.upstream.stop().await;
    }
}

/// The transaction an answer names.
pub(crate) fn id(exchange: &Exchange) -> String {
    exchange.header("x-call-id").expect("an id").to_owned()
}

pub(crate) fn turn(stream: bool) -> Value {
    json!({"model": "m", "max_tokens": 10, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

/// The same in any dialect.
pub(crate) fn turn_in(dialect: Dialect, stream: bool) -> Value {
    match dialect {
        Dialect::Messages | Dialect::Chat => turn(stream),
        Dialect::Responses => json!({"model": "m", "stream": stream, "input": [{"role": "user", "content": "hi"}]}),
    }
}

/// The path of a dialect's turns.
pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    }
}
