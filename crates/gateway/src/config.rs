//! What the gateway has to know to run, as plain types. The settings layer fills it in once, at the start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use luthien_wire::Dialect;
use secrecy::SecretString;

use crate::access::Access;
use crate::rates::{MOST_ACCOUNTS, UsualQuota};
use crate::redaction::SecretNames;

mod models;

pub use models::{ModelPattern, ModelRoute, RouteTarget};

/// Everything that the way of a request depends on and that does not change while the gateway runs.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// `host:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// Where requests go. The first upstream that speaks a dialect is that dialect's default.
    pub upstreams: Vec<UpstreamConfig>,
    /// Which models go elsewhere. The first rule that matches counts.
    pub models: Vec<ModelRoute>,
    /// Sizes and counts.
    pub limits: Limits,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// The operator's proxies.
    pub network: Network,
    /// How clients may authenticate; it can be changed while running.
    pub access: Access,
    /// The shared gateway key. A client that brings it uses the upstream's server key.
    pub client_key: Option<SecretString>,
    /// The admin key, here only so that it never leaves with a request.
    pub admin_key: Option<SecretString>,
    /// The key of the hash by which the record tells credentials apart. It must stay the same over restarts.
    pub identity_key: [u8; 32],
    /// `X-Luthien-User-Id` is believed.
    pub trust_user_id_header: bool,
    /// Other paths under `/v1/` that are passed on unseen by response policies (`ALLOWED_PATHS`); a `*` at the end
    /// stands for anything. The rest is refused.
    pub allowed_paths: Vec<String>,
    /// How many requests callers may make.
    pub rates: RateConfig,
    /// Overrides for all judges.
    pub judge: JudgeConfig,
    /// Which headers and parameters hold secrets.
    pub secret_names: Arc<SecretNames>,
    /// The heads of raw HTTP go on the record (`ENABLE_REQUEST_LOGGING`).
    pub log_raw_http: bool,
}

/// How many requests callers may make.
#[derive(Clone, Debug)]
pub struct RateConfig {
    /// For callers whose key says nothing else.
    pub usual: UsualQuota,
    /// How many callers are counted at once.
    pub most_accounts: usize,
    /// Where several gateways count together.
    pub redis: Option<redis::Client>,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self { usual: UsualQuota::default(), most_accounts: MOST_ACCOUNTS, redis: None }
    }
}

/// What [`GatewayConfig::allowed_paths`] is unless the operator says otherwise: their answers are not a model's words.
pub const DEFAULT_ALLOWED_PATHS: [&str; 2] = ["/v1/embeddings", "/v1/moderations"];

/// How clients may authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// With the gateway key only.
    ClientKey,
    /// With a credential of the upstream's only, which is passed on.
    Passthrough,
    /// With either.
    #[default]
    Both,
}

impl AuthMode {
    /// Its word, as in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientKey => "client_key",
            Self::Passthrough => "passthrough",
            Self::Both => "both",
        }
    }
}

/// A server that speaks one dialect or more.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// The name in messages, the record and judges' settings.
    pub name: String,
    /// What it speaks.
    pub dialects: Vec<Dialect>,
    /// `http` or `https`, as the vendors' SDKs take it: `/v1` is added for Messages where it does not end in it, and for
    /// Chat where it has no path at all.
    pub base_url: String,
    /// The server key: for clients that come with the gateway key, for judges, and for whatever a rule or a conversion sends
    /// there, since a caller's own credential goes only to the default upstream of its dialect.
    pub key: Option<SecretString>,
    /// The stored credential that is used as such, by name, in place of a key.
    pub credential: Option<String>,
    /// It asks for no credential, and none is ever sent to it.
    pub keyless: bool,
    /// Talks HTTP/2, over several connections. Without it HTTP/1.1.
    pub http2: bool,
    /// A PEM file with certificate authorities trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate that the gateway shows.
    pub client_certificate: Option<ClientCertificate>,
    /// In place of the general ones, for this upstream.
    pub timeouts: UpstreamTimeouts,
}

impl UpstreamConfig {
    /// The gateway has a key of its own for it, or names a stored credential.
    pub fn has_key(&self) -> bool {
        self.key.is_some() || self.credential.is_some()
    }
}

/// PEM files with a client certificate's chain and its private key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Timeouts that one upstream sets for itself; `None` takes the general one.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpstreamTimeouts {
    /// See [`Timeouts::connect`].
    pub connect: Option<Duration>,
    /// See [`Timeouts::first_byte`].
    pub first_byte: Option<Duration>,
    /// See [`Timeouts::idle`].
    pub idle: Option<Duration>,
}

/// Sizes and counts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest request body, decoded, in bytes.
    pub request_bytes: usize,
    /// The most messages in a request.
    pub messages: usize,
    /// The largest answer that is not streamed, decoded, in bytes.
    pub response_bytes: usize,
    /// The largest event of a stream, in bytes.
    pub event_bytes: usize,
    /// The most that is held back of one turn, in bytes.
    pub held_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 32 << 20,
            messages: 10_000,
            response_bytes: 64 << 20,
            event_bytes: 16 << 20,
            held_bytes: 64 << 20,
            connections: 10_000,
        }
    }
}

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To reach an upstream: name, connection, proxy and TLS. Nothing healthy takes longer.
    pub connect: Duration,
    /// From a sent request to the head of its answer. Models may think for minutes before they begin.
    pub first_byte: Duration,
    /// Between two pieces of an answer, which agents wait for as long, and for a client to take some of it.
    pub idle: Duration,
    /// One policy's answer, judges and their retries included.
    pub policy: Duration,
    /// A person's answer, where the client waits for a whole answer or for the request to be sent.
    pub person: Duration,
    /// The same where the client reads a stream.
    pub person_streamed: Duration,
    /// For a client to send a request's head, and how long an idle connection is kept.
    pub header_read: Duration,
    /// For a client to send a request's body, anew with every piece.
    pub body_read: Duration,
    /// After how much silence a waiting client gets a sign of life on a stream.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(10),
            idle: Duration::from_mins(5),
            policy: Duration::from_mins(1),
            person: Duration::from_mins(4),
            person_streamed: Duration::from_mins(10),
            header_read: Duration::from_mins(1),
            body_read: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// The operator's proxies, as the usual environment variables give them.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// `HTTPS_PROXY`: for upstreams by `https`.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`: names, domains and networks that are reached directly, separated by commas.
    pub no_proxy: Option<String>,
}

/// Overrides for all judges.
#[derive(Clone, Debug, Default)]
pub struct JudgeConfig {
    /// The model, whatever the policy says.
    pub model: Option<String>,
    /// Where the judges are, whatever the policy says.
    pub api_base: Option<String>,
    /// The judges' credential, in place of the caller's or the upstream's.
    pub api_key: Option<SecretString>,
    /// What policy servers bring with their own questions to models, which are not reviewed.
    pub token: Option<SecretString>,
}
