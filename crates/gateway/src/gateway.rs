//! Puts the gateway together, starts it and stops it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use luthien_record::recorder::Recorder;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::admin_runtime::AdminService;
use crate::approvals::Approvals;
use crate::caps::CapsState;
use crate::client_keys::ClientKeys;
use crate::clock::Clock;
use crate::config::GatewayConfig;
use crate::credentials::Keys;
use crate::fates::Fates;
use crate::live::LiveState;
use crate::notify::Notifier;
use crate::open_calls::OpenCalls;
use crate::rates::Rates;
use crate::server::{Stopping, serve};
use crate::server_credentials::ServerCredentials;
use crate::transaction::Keeping;
use crate::upstream::{UpstreamError, Upstreams};
use crate::way::Core;

/// How long streams have to say that they end, once time is up.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An upstream is not usable.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The address is not to be had.
    #[error("cannot listen on {address}: {why}; choose another address or port, or stop what uses it")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        why: std::io::Error,
    },
}

/// What the traffic and the admin routes share.
#[derive(Clone, Debug)]
pub struct Common {
    /// The record.
    pub recorder: Recorder,
    /// Which policies are active.
    pub live: Arc<LiveState>,
    /// What happens, for whoever watches.
    pub activity: Activity,
    /// What policies leave to persons.
    pub approvals: Approvals,
    /// Who is told what happens.
    pub notifier: Notifier,
    /// The keys that were given to clients.
    pub client_keys: ClientKeys,
    /// What keys, sessions and users may use.
    pub caps: CapsState,
    /// The gateway's own credentials.
    pub credentials: ServerCredentials,
}

impl Common {
    /// With nothing to watch, nothing to answer yet, and nobody who is told.
    pub fn new(recorder: Recorder, live: Arc<LiveState>) -> Self {
        Self::telling(recorder, live, Notifier::default())
    }

    /// The same with somebody who is told.
    pub fn telling(recorder: Recorder, live: Arc<LiveState>, notifier: Notifier) -> Self {
        let (clock, redactor) = (Clock::system(), recorder.redactor().clone());
        let activity = Activity::redacting(&replica(&clock), redactor.clone());
        let approvals = Approvals::telling(activity.clone(), clock, notifier.clone(), redactor);
        Self {
            recorder,
            live,
            activity,
            approvals,
            notifier,
            client_keys: ClientKeys::default(),
            caps: CapsState::default(),
            credentials: ServerCredentials::default(),
        }
    }
}

/// A name that no other gateway has: the random end of an id.
fn replica(clock: &Clock) -> String {
    let id = clock.transaction_id().0.simple().to_string();
    id.get(20..).unwrap_or_default().to_owned()
}

/// Starts gateways.
#[derive(Clone, Copy, Debug)]
pub struct Gateway;

/// A gateway that runs. Dropped, it goes on; stop it with [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    stopping: Stopping,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Connections to upstreams.
    outgoing: TaskTracker,
}

impl Gateway {
    /// Starts on the current runtime. Model traffic is answered here, everything else by `admin`, which stays the caller's to
    /// shut down, as does the recorder. `stopping` is cancelled when the gateway is told to stop, by whoever tells it: from
    /// then on no connection is accepted.
    pub async fn start(
        config: GatewayConfig,
        common: Common,
        admin: AdminService,
        stopping: CancellationToken,
    ) -> Result<Running, StartError> {
        let (tasks, outgoing, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let stopping = Stopping { drain: stopping, ..Stopping::default() };
        let upstreams = Arc::new(Upstreams::with(&config, common.credentials, &outgoing)?);
        let listen = |why| StartError::Listen { address: config.listen.clone(), why };
        let listener = TcpListener::bind(&config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let core = Arc::new(Core {
            limits: config.limits,
            timeouts: config.timeouts,
            keys: Arc::new(Keys::new(&config, common.client_keys)),
            access: config.access,
            rates: Arc::new(Rates::new(config.rates.usual, config.rates.most_accounts, config.rates.redis)),
            caps: common.caps,
            allowed_paths: config.allowed_paths,
            trust_user_id_header: config.trust_user_id_header,
            judge: Arc::new(config.judge),
            upstreams,
            open_calls: OpenCalls::new(),
            fates: Fates::new(),
            recorder: common.recorder,
            activity: common.activity,
            live: common.live,
            keeping: Keeping { notifier: common.notifier, secrets: config.secret_names, raw_http: config.log_raw_http },
            people: Arc::new(common.approvals),
            clock: Clock::system(),
            admin,
            tasks: tasks.clone(),
            stop: stop.clone(),
        });
        let serving = serve(listener, core, config.limits.connections, config.timeouts.header_read, stopping.clone());
        stopping.connections.spawn(serving);
        Ok(Running { addr, stopping, stop, tasks, outgoing })
    }
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no new requests and lets those under way end. After `within` the rest end with an error; a second later whatever
    /// still runs is dropped. Shadow verdicts get the same time, and a second at least. Who cannot wait any longer calls it
    /// again with less.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = Instant::now() + within;
        self.stopping.drain.cancel();
        self.stopping.connections.close();
        if timeout_at(deadline, self.stopping.connections.wait()).await.is_err() {
            self.stop.cancel();
            if timeout(LAST_WORDS, self.stopping.connections.wait()).await.is_err() {
                self.stopping.kill.cancel();
                self.stopping.connections.wait().await;
            }
        }
        self.tasks.close();
        let last = deadline.max(Instant::now() + LAST_WORDS);
        let shadows = timeout_at(last, self.tasks.wait()).await;
        self.outgoing.close();
        let upstreams = timeout(LAST_WORDS, self.outgoing.wait()).await;
        if shadows.is_err() || upstreams.is_err() {
            tracing::warn!(
                "some work was given up at the end: verdicts of shadowed policies may be missing from the record"
            );
        }
    }
}
