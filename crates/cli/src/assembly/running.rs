//! A gateway in this process, from start to stop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use luthien_gateway::access::Access;
use luthien_gateway::activity::tell_of_drops;
use luthien_gateway::admin::{self, AdminState};
use luthien_gateway::admin_access::{AdminAccess, AdminAccessConfig};
use luthien_gateway::admin_runtime::AdminRuntime;
use luthien_gateway::audit::Audit;
use luthien_gateway::caps::CapsState;
use luthien_gateway::client_keys::ClientKeys;
use luthien_gateway::clock::Clock;
use luthien_gateway::config::{GatewayConfig, JudgeConfig, UpstreamConfig};
use luthien_gateway::data_dir::{self, DataDir, Kept, Keys, RunningFile, Started};
use luthien_gateway::judges;
use luthien_gateway::live::LiveState;
use luthien_gateway::live_settings::{Apply, LiveSettings};
use luthien_gateway::notify::{Notifier, Post};
use luthien_gateway::policy_servers::HttpPolicyServers;
use luthien_gateway::policy_state::{PolicyOptions, PolicyState};
use luthien_gateway::posture::{self, Note};
use luthien_gateway::rates::UsualQuota;
use luthien_gateway::replicas::Link;
use luthien_gateway::retention::Keeper;
use luthien_gateway::server_credentials::ServerCredentials;
use luthien_gateway::settings::RedisUrl;
use luthien_gateway::{Common, Gateway};
use luthien_policy::breakers::Breakers;
use luthien_policy::catalogue::{JudgeNames, Servers};
use luthien_policy::remote::PolicyServers;
use luthien_record::store::Topic;
use luthien_record::{Recorder, RecorderConfig};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Loaded;
use crate::failure::Failure;
use crate::{handles, logging, process};

/// A gateway that runs. Stop it: dropping it loses what has not been written.
pub(crate) struct Running {
    gateway: luthien_gateway::Running,
    admin: AdminRuntime,
    recorder: Recorder,
    live: Arc<LiveState>,
    redis: Option<Link>,
    servers: Arc<HttpPolicyServers>,
    keeper: Keeper,
    post: Option<Post>,
    /// What looks after policies that end by themselves.
    tending: TaskTracker,
    done: CancellationToken,
    keys: Keys,
    client_keys: ClientKeys,
    settings: Arc<LiveSettings>,
    /// The gateway that started before this one on the same database knows callers by another key.
    other_identity: bool,
    admin_access: AdminAccess,
    credentials: ServerCredentials,
    drain: Duration,
}

/// Why a gateway did not start.
#[derive(Debug)]
pub(crate) enum StartFailure {
    /// The address is not to be had; another one may be.
    Listen(Failure),
    /// Anything else.
    Other(Failure),
}

impl From<Failure> for StartFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<StartFailure> for Failure {
    fn from(failure: StartFailure) -> Self {
        match failure {
            StartFailure::Listen(failure) | StartFailure::Other(failure) => failure,
        }
    }
}

/// How long admin calls may go on after the rest has ended.
const ADMIN: Duration = Duration::from_secs(5);

/// How long the start waits for deletions that were asked for before it.
const ERASING: Duration = Duration::from_secs(5);

/// How long other gateways may take to be told the last events.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// How long the record may take to be written at the end. What is not written then is in the journal.
const FLUSH: Duration = Duration::from_secs(10);

impl Running {
    /// Starts the record, the policy and the gateway, in this order.
    pub(crate) async fn start(loaded: &Loaded, folder: &DataDir) -> Result<Self, StartFailure> {
        let keys = folder.keys(loaded.settings.admin_api_key.as_ref()).map_err(|e| Failure::new(e.to_string()))?;
        let config = recorder_config(loaded, folder)?;
        let recorder = Recorder::open(config).await.map_err(|e| Failure::new(e.to_string()))?;
        let started = Self::with_record(loaded, keys, &recorder).await;
        if started.is_err() {
            recorder.shutdown(FLUSH).await;
        }
        started
    }

    async fn with_record(loaded: &Loaded, keys: Keys, recorder: &Recorder) -> Result<Self, StartFailure> {
        let settings = &loaded.settings;
        let clear = |e: &dyn std::fmt::Display| Failure::new(e.to_string());
        let servers = Arc::new(loaded.policy_servers());
        let (post, notifier) = match settings.post_config() {
            Some(mut config) => {
                config.redactor = recorder.redactor().clone();
                let (post, notifier) = Post::start(config, Clock::system()).map_err(|e| clear(&e))?;
                (Some(post), notifier)
            }
            None => (None, Notifier::default()),
        };
        let mut options = PolicyOptions::new(settings, &loaded.sources);
        options.env.breakers = Breakers::watched_by(notifier.breakers(Clock::system()));
        options.env.servers = Servers::new(Arc::clone(&servers) as Arc<dyn PolicyServers>);
        let credentials = ServerCredentials::stored(recorder.store(), loaded.key_source());
        let credentials = credentials.await.map_err(|e| clear(&e))?;
        let providers = credentials.clone();
        options.env.judges = JudgeNames::new(move || providers.provider_names());
        let policies =
            PolicyState::start(options, recorder.store().clone(), Clock::system()).await.map_err(|e| clear(&e))?;
        let (policies, tending, done) = (Arc::new(policies), TaskTracker::new(), CancellationToken::new());
        let live = Arc::clone(policies.live());
        let stopping = CancellationToken::new();
        let mut common = Common::telling(recorder.clone(), Arc::clone(&live), notifier.clone());
        let client_keys = ClientKeys::stored(recorder.store()).await.map_err(|e| clear(&e))?;
        common.client_keys = client_keys.clone();
        // Once more, now that changes are seen.
        credentials.take(recorder.store()).await.map_err(|e| clear(&e))?;
        common.credentials = credentials.clone();
        let link = |url: &RedisUrl| Link::new(&url.0, common.activity.clone(), policies.hints().clone());
        let redis = settings.redis_url.as_ref().map(link).transpose().map_err(|e| clear(&e))?;
        let usual = settings.usual_quota();
        let fingerprint = settings.identity_fingerprint(&keys);
        let other_identity = recorder.store().note_identity(&fingerprint).await.map_err(|e| clear(&e))?;
        if other_identity {
            tracing::warn!("{}", posture::OTHER_IDENTITY);
        }
        let access = Access::from(settings);
        let caps = CapsState::new(settings.prices().map_err(|e| clear(&e))?);
        caps.start(recorder.store(), Clock::system().now()).await.map_err(|e| clear(&e))?;
        common.caps = caps.clone();
        let apply = applying(Arc::clone(&live), usual.clone(), access.clone(), caps.clone());
        let changed = LiveSettings::start(recorder.store().clone(), settings.clone(), Clock::system(), apply);
        let changed = Arc::new(changed.await.map_err(|e| clear(&e))?);
        let keeper = Keeper::new(settings, recorder.store().clone(), Clock::system()).map_err(|e| clear(&e))?;
        // What takes longer goes on beside the traffic.
        let _ = tokio::time::timeout(ERASING, keeper.erase_again()).await;
        let admin_access = AdminAccessConfig {
            admin: keys.admin.clone(),
            bypass: posture::bypassed(settings),
            store: recorder.store().clone(),
            hints: policies.hints().clone(),
            clock: Clock::system(),
        };
        let people_changed = policies.watched().watch(Topic::People);
        let logins_changed = policies.watched().watch(Topic::Logins);
        let admin_access = AdminAccess::stored(admin_access).await.map_err(|e| clear(&e))?;
        let (audit, audit_writer) = Audit::new(common.activity.replica(), Clock::system(), recorder.redactor().clone());
        let mut config = settings.gateway_config(&keys);
        let asking = TaskTracker::new();
        let judges = judges::without_caller(&config, credentials.clone(), &asking).map_err(|e| clear(&e))?;
        // What people try goes to the model that they name, whatever judges are told.
        let plain = GatewayConfig { judge: JudgeConfig::default(), ..config.clone() };
        let models = judges::without_caller(&plain, credentials.clone(), &asking).map_err(|e| clear(&e))?;
        let admin = admin::router(AdminState {
            retention: keeper.retention().clone(),
            recorder: recorder.clone(),
            activity: common.activity.clone(),
            approvals: common.approvals.clone(),
            models,
            judges,
            notifier: notifier.clone(),
            redis: redis.clone(),
            policies: Arc::clone(&policies),
            settings: Arc::clone(&changed),
            access: access.clone(),
            has_client_key: settings.client_api_key.is_some(),
            client_keys: client_keys.clone(),
            caps: caps.clone(),
            credentials: credentials.clone(),
            identity_key: settings.identity_key(&keys),
            admin_access: admin_access.clone(),
            audit,
            stopping: stopping.clone(),
        });
        let admin = AdminRuntime::start(admin).map_err(|e| clear(&format!("cannot start threads: {e}")))?;
        config.judge.token = servers.token();
        config.rates.usual = usual;
        config.access = access;
        config.limits.connections = handles::connections(config.limits.connections);
        let settings_changed = policies.watched().watch(Topic::Settings);
        let following_settings = Arc::clone(&changed).follow(settings_changed, done.clone());
        let keys_changed = policies.watched().watch(Topic::ClientKeys);
        let following_keys = client_keys.clone().follow(keys_changed, recorder.store().clone(), done.clone());
        let caps_changed = policies.watched().watch(Topic::Caps);
        let following_caps = caps.clone().follow(caps_changed, recorder.store().clone(), done.clone());
        let keeping = caps.keep(recorder.store().clone(), Clock::system(), done.clone());
        let credentials_changed = policies.watched().watch(Topic::Credentials);
        let following_credentials =
            credentials.clone().follow(credentials_changed, recorder.store().clone(), done.clone());
        let drops = tell_of_drops(recorder.clone(), common.activity.clone(), Clock::system(), done.clone());
        let started = Gateway::start(config, common, admin.service(), stopping).await;
        let gateway = started.map_err(|e| match e {
            luthien_gateway::StartError::Listen { .. } => StartFailure::Listen(clear(&e)),
            luthien_gateway::StartError::Upstream(_) => StartFailure::Other(clear(&e)),
        })?;
        if let Some(redis) = &redis {
            redis.start(admin.service().threads());
        }
        let drain = settings.drain_timeout;
        tending.spawn(drops);
        tending.spawn(following_keys);
        tending.spawn(following_settings);
        tending.spawn(following_caps);
        tending.spawn(keeping);
        tending.spawn(admin_access.clone().follow(people_changed, logins_changed, done.clone()));
        tending.spawn(audit_writer.run(recorder.store().clone(), done.clone()));
        tending.spawn(following_credentials);
        tending.spawn(Arc::clone(&policies).follow(done.clone()));
        tending.spawn(policies.tend(done.clone()));
        keeper.start(settings.retention_interval, admin.service().threads());
        tending.close();
        if let Some(post) = &post {
            post.watch(recorder.clone(), Arc::clone(&live), Clock::system());
        }
        let recorder = recorder.clone();
        let running = Self {
            gateway,
            admin,
            recorder,
            live,
            redis,
            servers,
            keeper,
            post,
            tending,
            done,
            keys,
            client_keys,
            settings: changed,
            other_identity,
            admin_access,
            credentials,
            drain,
        };
        notifier.found_at(&running.base());
        running.unless_itself(&settings.upstreams).await
    }

    /// The gateway, if none of its upstreams is itself: an agent's settings have found their way into the gateway's then.
    async fn unless_itself(self, upstreams: &[UpstreamConfig]) -> Result<Self, StartFailure> {
        let own = self.address();
        let Some(upstream) = upstreams.iter().find(|upstream| is_at(upstream, own)) else { return Ok(self) };
        self.done.cancel();
        self.gateway.shutdown(Duration::ZERO).await;
        if let Some(redis) = &self.redis {
            redis.shutdown(Duration::ZERO).await;
        }
        self.admin.shutdown(Duration::ZERO).await;
        Err(StartFailure::Other(Failure::new(format!(
            "the upstream `{}` is this gateway itself ({}); unset ANTHROPIC_BASE_URL and OPENAI_BASE_URL where the gateway \
             starts, they are for its clients",
            upstream.name, upstream.base_url
        ))))
    }

    /// The address it listens on.
    fn address(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// How this machine reaches it, without a slash at the end.
    pub(crate) fn base(&self) -> String {
        self.note().url()
    }

    /// The keys it runs with.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The active policy, its version, and who set it.
    pub(crate) fn policy(&self) -> String {
        let live = self.live.load();
        let standing = &live.standing;
        let (names, by) = (live.usual().plan.names(), &standing.active.enabled_by);
        let rejected = if standing.rejected().is_some() { "REJECTED, see below; " } else { "" };
        format!("{rejected}{names} (version {}, set by {by})", standing.version)
    }

    /// What the operator should know of the policies before anybody comes.
    pub(crate) fn policy_notes(&self) -> Vec<Note> {
        posture::policies(&self.live.load())
    }

    /// What the operator should know of who gets in.
    pub(crate) fn access_notes(&self) -> Vec<Note> {
        let settings = self.settings.current();
        let notes = posture::posture(&settings, &self.keys, &self.client_keys);
        let other = self.other_identity.then(|| Note { warning: true, text: posture::OTHER_IDENTITY.to_owned() });
        let credentials = posture::credentials(&settings, &self.credentials);
        other.into_iter().chain(credentials).chain(notes).collect()
    }

    /// A link that logs a browser in as admin, once and for ten minutes.
    pub(crate) async fn login_link(&self) -> Result<String, Failure> {
        let token = self.admin_access.admin_link().await.map_err(Failure::new)?;
        Ok(format!("{}/login?token={}", self.base(), token.expose_secret()))
    }

    /// The record.
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Leaves a note in the data folder by which other commands find this gateway, until it is dropped. `kept`: who keeps it running.
    pub(crate) fn announce(&self, folder: &DataDir, kept: Kept) -> Result<RunningFile, Failure> {
        let (at, process) = (Clock::system().now(), process::began(std::process::id()));
        let note = data_dir::Running { started: Some(Started { at, process, kept }), ..self.note() };
        folder.announce(note).map_err(|e| Failure::new(e.to_string()))
    }

    fn note(&self) -> data_dir::Running {
        data_dir::Running {
            address: self.address(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            admin_key_here: !self.keys.admin_is_set,
            started: None,
        }
    }

    /// Takes no more requests, lets running answers end for the time that the settings give or until `hurry` resolves, and
    /// writes the record.
    pub(crate) async fn stop(self, hurry: impl Future<Output = ()>) {
        tokio::select! {
            () = self.gateway.shutdown(self.drain) => {}
            () = hurry => self.gateway.shutdown(Duration::ZERO).await,
        }
        if let Some(redis) = &self.redis {
            redis.shutdown(LAST_EVENTS).await;
        }
        // It works on the admin's threads.
        self.keeper.shutdown(ADMIN).await;
        self.admin.shutdown(ADMIN).await;
        self.done.cancel();
        if tokio::time::timeout(ADMIN, self.tending.wait()).await.is_err() {
            tracing::warn!("a change of the policies was given up at the end");
        }
        self.servers.shutdown().await;
        if let Some(post) = self.post {
            post.shutdown().await;
        }
        self.recorder.shutdown(FLUSH).await;
    }
}

/// Puts in force what was changed while running.
fn applying(live: Arc<LiveState>, usual: UsualQuota, access: Access, caps: CapsState) -> Apply {
    Box::new(move |settings| {
        access.set(settings.into());
        usual.set(settings.quota());
        usual.set_tokens(settings.rate_limit_tpm);
        caps.set(settings.caps(), settings.max_concurrent_streams);
        live.set_rules(settings.inject_policy_context, settings.policy_fail_mode);
        logging::set_level(settings.log_level.as_str());
    })
}

/// How this process records.
pub(crate) fn recorder_config(loaded: &Loaded, folder: &DataDir) -> Result<RecorderConfig, Failure> {
    let redactor = loaded.redactor()?;
    Ok(RecorderConfig {
        redactor,
        database: loaded.database(),
        options: loaded.database_options(),
        journal_max_bytes: loaded.settings.journal_max_bytes.0,
        required: loaded.settings.recording_required,
        ..RecorderConfig::in_dir(folder.path())
    })
}

/// Whether requests to this upstream go to this address of ours.
fn is_at(upstream: &UpstreamConfig, own: SocketAddr) -> bool {
    let Ok(uri) = upstream.base_url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == own.ip());
    here && uri.port_u16() == Some(own.port())
}
