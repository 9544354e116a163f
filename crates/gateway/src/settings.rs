//! Every setting, defined once: from this table come the struct, flags, environment names, places in the file, and the
//! reference.
//!
//! A flag wins over the environment, that over `luthien.yaml`, that over what was set while running (kept in the database),
//! that over the default. An empty environment variable counts as not set. Where a setting says `first_boot`, what was set while
//! running wins over environment and file.

mod definition;
mod file;
mod fill;
mod models;
mod origins;
#[cfg(test)]
mod reference;
mod sources;
mod upstreams;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::config::AuthMode;
use crate::notify::Wanted;
use crate::redaction::{Detectors, Patterns};

pub use definition::{Definition, Kind};
pub(crate) use file::read_yaml;
pub use origins::{Origin, Origins, Source};
#[cfg(test)]
use reference::{env_example, settings_reference};
use sources::user_data_dir;
pub use sources::{Problem, SettingsError, Sources};
pub(crate) use value::parse_duration;
pub use value::{
    BaseUrl, ByteSize, Days, KeyCaps, LogFormat, LogLevel, Names, Paths, PolicyFailMode, PolicySource, RedisUrl,
    S3Encryption, SecretUrl, SessionCaps, UserCaps,
};

definition::settings! {
    /// The address to listen on. Loopback by default, since whoever reaches the gateway can use its upstreams.
    host: String = "127.0.0.1", at "server.host", env ["GATEWAY_HOST"];
    /// The port to listen on; 0 takes any free one.
    port: u16 = "8000", at "server.port", env ["GATEWAY_PORT", "PORT"];
    /// The data folder: database, journal, key files. Without it, `luthien` in the user's data folder.
    data_dir: Option<PathBuf> = "", at "server.data_dir", env ["LUTHIEN_DATA_DIR"];
    /// Threads that carry traffic. Without it, one per core.
    worker_threads: Option<usize> = "", at "server.worker_threads", env ["WORKER_THREADS"], from "1" to "1024";
    /// Open client connections; more wait to be accepted. Bounds memory and file handles; each may need two, and where the system allows fewer, this is lowered.
    max_connections: usize = "10000", at "server.max_connections", env ["MAX_CONNECTIONS"], from "1" to "1000000";

    /// Believe the `X-Luthien-User-Id` header. Only behind a proxy that sets it, since any client can claim to be anyone.
    trust_user_id_header: bool = "false", at "server.trust_user_id_header", env ["TRUST_USER_ID_HEADER"];

    /// Other paths under `/v1/` to pass on although no policy looks at their answers; a `*` at the end stands for anything. By
    /// default those whose answers are not a model's words; `[]` in the file for none. The rest is refused.
    allowed_paths: Paths = "/v1/embeddings,/v1/moderations", at "server.allowed_paths", env ["ALLOWED_PATHS"];

    /// A shared key for clients, of 8 characters or more. Who brings it, or a key that the gateway gave out
    /// (`POST /api/admin/client-keys`), uses the server's own upstream keys; with the mode `client_key` nobody else gets in.
    client_api_key: Option<SecretString> = "", at "auth.client_api_key", env ["CLIENT_API_KEY", "PROXY_API_KEY"];
    /// How clients authenticate: with a gateway key (the shared one, or one that was given out), with their own upstream credential
    /// (which is passed on), or either.
    auth_mode: AuthMode = "both", at "auth.mode", env ["AUTH_MODE"] + first_boot;
    /// Ask the vendor whether a caller's own credential is valid before anything else is done with its request, and remember the answer; see
    /// docs/security.md. Without it, the upstream's answer to the request says so.
    validate_credentials: bool = "false", at "auth.validate_credentials", env ["VALIDATE_CREDENTIALS"] + live;
    /// For how many seconds a credential that was found valid counts as that; 0: it is asked about each time.
    valid_cache_ttl_seconds: u32 = "3600", at "auth.valid_cache_ttl_seconds", env ["VALID_CACHE_TTL_SECONDS"], from "0" to "604800" + live;
    /// For how many seconds one that was found invalid counts as that.
    invalid_cache_ttl_seconds: u32 = "300", at "auth.invalid_cache_ttl_seconds", env ["INVALID_CACHE_TTL_SECONDS"], from "0" to "604800" + live;
    /// The key of the admin and history routes, of 8 characters or more. Without it, one is made at the first start and kept in the data folder.
    admin_api_key: Option<SecretString> = "", at "auth.admin_api_key", env ["ADMIN_API_KEY"];
    /// The key with which stored credentials are sealed: 32 bytes as 64 hexadecimal digits or in base64. Several are separated by commas: the first
    /// seals, all open. Several gateways on one database need the same. Without it, one is made when the first credential is stored, and kept in the data folder; see docs/credentials.md.
    credential_encryption_key: Option<SecretString> = "", at "auth.credential_encryption_key", env ["CREDENTIAL_ENCRYPTION_KEY"];

    /// For those who had it on: admin calls from this machine without a key. The agent that is guarded runs there too and could switch
    /// its own policies off, so that it is off by default. Refused with forwarding headers, for a foreign `Host` or `Origin`, and where
    /// the gateway listens beyond loopback; what a policy asks a person, it never answers.
    localhost_auth_bypass: bool = "false", at "auth.localhost_bypass", env ["LOCALHOST_AUTH_BYPASS"];

    /// Where Messages requests go unless a rule for their model says otherwise.
    anthropic_base_url: BaseUrl = "https://api.anthropic.com", at "upstreams.anthropic.base_url", env ["ANTHROPIC_BASE_URL"];
    /// The server's own key there: for callers who present a gateway key, for judges, and for what is converted or sent there by a rule.
    anthropic_api_key: Option<SecretString> = "", at "upstreams.anthropic.api_key", env ["ANTHROPIC_API_KEY"];
    /// Where Chat and Responses requests go unless a rule for their model says otherwise, with the `/v1` that the SDKs put there.
    openai_base_url: BaseUrl = "https://api.openai.com/v1", at "upstreams.openai.base_url", env ["OPENAI_BASE_URL"];
    /// The server's own key there: for callers who present a gateway key, for judges, and for what is converted or sent there by a rule.
    openai_api_key: Option<SecretString> = "", at "upstreams.openai.api_key", env ["OPENAI_API_KEY"];

    /// Talk HTTP/2 to the upstreams. HTTP/1.1 by default: one HTTP/2 connection carries only about 100 streams.
    upstream_http2: bool = "false", at "network.http2", env ["UPSTREAM_HTTP2"];
    /// The proxy for upstreams that are reached by `https`; its URL may hold a password.
    https_proxy: Option<SecretString> = "", at "network.https_proxy", env ["HTTPS_PROXY", "https_proxy"];
    /// Names, domains and networks that are reached without the proxy, separated by commas.
    no_proxy: Option<String> = "", at "network.no_proxy", env ["NO_PROXY", "no_proxy"];
    /// A PEM file with certificate authorities to trust beside the system's.
    extra_ca_file: Option<PathBuf> = "", at "network.ca_file", env ["EXTRA_CA_FILE"];
    /// A PEM file with the certificate chain that the gateway shows to upstreams.
    client_certificate: Option<PathBuf> = "", at "network.client_certificate", env ["CLIENT_CERTIFICATE"];
    /// A PEM file with that certificate's private key.
    client_certificate_key: Option<PathBuf> = "", at "network.client_key", env ["CLIENT_CERTIFICATE_KEY"];

    /// Where the active policy comes from at the start: the database (what was set last), the policy file, or one with the
    /// other as its fallback when it holds none.
    policy_source: PolicySource = "db-fallback-file", at "policy.source", env ["POLICY_SOURCE"];
    /// The policy file. Without it, the `policy` section of `luthien.yaml`.
    policy_config: Option<PathBuf> = "", at "policy.file", env ["POLICY_CONFIG"];
    /// What becomes of traffic whose policy did not load: refused (`closed`), or passed on and recorded as failed open (`open`).
    policy_fail_mode: PolicyFailMode = "closed", at "policy.fail_mode", env ["POLICY_FAIL_MODE"] + live;
    /// The policies that a request may choose by the header `x-luthien-use-policy`, separated by commas: names that were assigned for
    /// it, or policies that need no configuration. None by default.
    policy_header_choices: Names = "", at "policy.header_choices", env ["POLICY_HEADER_CHOICES"];
    /// Puts the policy that protects the gateway from the agent it guards first in every chain.
    dogfood_mode: bool = "false", at "policy.dogfood_mode", env ["DOGFOOD_MODE"];
    /// Tells the model which policies are in force, as one more entry behind the system prompt.
    inject_policy_context: bool = "false", at "policy.inject_context", env ["INJECT_POLICY_CONTEXT"] + live;
    /// The model of every judge, in place of what the policies say.
    llm_judge_model: Option<String> = "", at "judge.model", env ["LLM_JUDGE_MODEL"];
    /// The base URL of every judge, in place of what the policies say. Callers' credentials never go there.
    llm_judge_api_base: Option<BaseUrl> = "", at "judge.api_base", env ["LLM_JUDGE_API_BASE"];
    /// The key for that judge.
    llm_judge_api_key: Option<SecretString> = "", at "judge.api_key", env ["LLM_JUDGE_API_KEY"];

    /// The largest request body, decoded. 32 MiB is what the vendors take.
    max_request_bytes: ByteSize = "32MiB", at "limits.max_request_bytes", env ["MAX_REQUEST_BYTES"], from "1KiB" to "1GiB";
    /// The most messages in one request. Real agents stay far below it; it bounds what one body can cost.
    max_messages: usize = "10000", at "limits.max_messages", env ["MAX_MESSAGES"], from "1" to "1000000";
    /// The largest answer that is not streamed, and the most of a watched answer that is kept.
    max_response_bytes: ByteSize = "64MiB", at "limits.max_response_bytes", env ["MAX_RESPONSE_BYTES"], from "1KiB" to "4GiB";
    /// The largest single event of a stream. An endless line is an error, not endless memory.
    max_event_bytes: ByteSize = "16MiB", at "limits.max_event_bytes", env ["MAX_EVENT_BYTES"], from "1KiB" to "1GiB";
    /// How much of one turn may be held back, for policies or in a conversion; what is larger is blocked.
    max_held_bytes: ByteSize = "64MiB", at "limits.max_held_bytes", env ["MAX_HELD_BYTES"], from "1KiB" to "4GiB";
    /// Requests that a caller may make in a minute, told apart by its credential; 0: as many as it likes. Beyond it it gets 429 with
    /// `Retry-After`. Counting tokens and reading are free. With `REDIS_URL` several gateways count together.
    rate_limit_rpm: u32 = "0", at "limits.rate_limit_rpm", env ["RATE_LIMIT_RPM"] + live;
    /// How many of them may come at once; 0: all of a minute's.
    rate_limit_burst: u32 = "0", at "limits.rate_limit_burst", env ["RATE_LIMIT_BURST"] + live;
    /// Tokens that a caller may use in a minute, those of prompts and answers together; 0: as many as it likes. What a request costs is
    /// known after its answer: who is a minute ahead gets 429 with `Retry-After`. With `REDIS_URL` several gateways count together.
    rate_limit_tpm: u32 = "0", at "limits.rate_limit_tpm", env ["RATE_LIMIT_TPM"] + live;
    /// How many callers are counted at once; the one that has been silent longest is forgotten first. Bounds memory, some 100 bytes each.
    rate_limit_max_keys: usize = "100000", at "limits.rate_limit_max_keys", env ["RATE_LIMIT_MAX_KEYS"], from "1" to "10000000";

    /// Answers under way at once in the whole gateway, streamed or not; 0: as many as come. More get 503 with `Retry-After`.
    max_concurrent_streams: usize = "0", at "limits.max_concurrent_streams", env ["MAX_CONCURRENT_STREAMS"] + live;

    /// What each key may use, as JSON or as a map in the file: `tool_calls_per_turn`, `judge_calls_per_turn`, `judge_calls_per_day`,
    /// `tokens_per_day`, `dollars_per_day`, `concurrent_streams`. See docs/limits.md.
    caps_key: KeyCaps = "", at "caps.key", env ["CAPS_KEY"] + live;
    /// What each session may use: the same, and `tokens_in_all` and `dollars_in_all` for the whole of it.
    caps_session: SessionCaps = "", at "caps.session", env ["CAPS_SESSION"] + live;
    /// What each user may use, where users are known: the same as for keys.
    caps_user: UserCaps = "", at "caps.user", env ["CAPS_USER"] + live;
    /// A file with what models cost, for caps in dollars. There is no price list built in; a model without a price is refused where
    /// such a cap is set. See docs/limits.md.
    price_file: Option<PathBuf> = "", at "caps.price_file", env ["PRICE_FILE"];

    /// How long a connection to an upstream may take. Longer means a broken network, not a slow model.
    connect_timeout: Duration = "10s", at "timeouts.connect", env ["CONNECT_TIMEOUT"], from "100ms" to "5m";
    /// How long an upstream may take to begin its answer. Long: without streaming, a reasoning model says nothing until it
    /// is done.
    first_byte_timeout: Duration = "600s", at "timeouts.first_byte", env ["FIRST_BYTE_TIMEOUT"], from "1s" to "24h";
    /// How long an answer may pause between two pieces, and how long a client may take nothing of it. A stream that goes on is never cut, however long it takes.
    idle_timeout: Duration = "300s", at "timeouts.idle", env ["IDLE_TIMEOUT"], from "1s" to "24h";
    /// How long a policy may take over one decision, its judge included; then its `on_error` decides.
    policy_timeout: Duration = "60s", at "timeouts.policy", env ["POLICY_TIMEOUT"], from "100ms" to "1h";
    /// How long a person may take over a decision that a policy leaves to people, where the client waits for a whole answer. Below
    /// the five to ten minutes after which clients give up.
    person_timeout: Duration = "4m", at "timeouts.person", env ["PERSON_TIMEOUT"], from "1s" to "1h";
    /// The same where the client reads a stream, which is kept alive meanwhile.
    person_timeout_streamed: Duration = "10m", at "timeouts.person_streamed", env ["PERSON_TIMEOUT_STREAMED"], from "1s" to "24h";
    /// How often a waiting client gets a sign of life. Below the 20 to 30 seconds after which load balancers give up.
    keep_alive_interval: Duration = "15s", at "timeouts.keep_alive", env ["KEEP_ALIVE_INTERVAL"], from "1s" to "5m";
    /// How long a client may take to send a request's head, the wait for the next request on an open connection included.
    /// Keeps slow and forgotten connections from filling the table.
    header_timeout: Duration = "60s", at "timeouts.header", env ["HEADER_TIMEOUT"], from "1s" to "10m";
    /// How long a client may pause while it sends a request's body.
    body_timeout: Duration = "30s", at "timeouts.body", env ["BODY_TIMEOUT"], from "1s" to "10m";
    /// How long running answers may go on after a stop signal; then they end with an error.
    drain_timeout: Duration = "30s", at "timeouts.drain", env ["DRAIN_TIMEOUT"], from "0s" to "1h";

    /// The record's database: `sqlite://` and a path, or `postgres://user:password@host/database` (with `?sslmode=require` where the
    /// network is not trusted). Without it, `luthien.db` in the data folder.
    database_url: Option<SecretString> = "", at "recording.database_url", env ["DATABASE_URL"];
    /// Connections to the database for queries. What is written has two more, and what follows changes one.
    database_pool_size: u16 = "8", at "recording.database_pool_size", env ["DATABASE_POOL_SIZE"], from "1" to "1000";
    /// How long a connection to the database may take to be made, or to come free.
    database_connect_timeout: Duration = "10s", at "recording.database_connect_timeout", env ["DATABASE_CONNECT_TIMEOUT"], from "1s" to "5m";
    /// How long a statement may take on PostgreSQL. Records that take longer go to the journal and are tried again.
    database_query_timeout: Duration = "30s", at "recording.database_query_timeout", env ["DATABASE_QUERY_TIMEOUT"], from "1s" to "1h";
    /// Bring the database's schema up to date at the start. Without it an older one is refused until `luthien migrate up` was run.
    database_auto_migrate: bool = "true", at "recording.database_auto_migrate", env ["DATABASE_AUTO_MIGRATE"];
    /// The most disk space for records that the database has not taken yet. Beyond it they are dropped, counted and warned of.
    journal_max_bytes: ByteSize = "2GiB", at "recording.journal_max_bytes", env ["JOURNAL_MAX_BYTES"], from "1MiB" to "1TiB";
    /// Refuse traffic rather than let a transaction go unrecorded.
    recording_required: bool = "false", at "recording.required", env ["RECORDING_REQUIRED"];

    /// Put raw HTTP on the record too: URLs and headers of both sides of each transaction, with credentials masked; see docs/request-logs.md.
    enable_request_logging: bool = "false", at "recording.request_logs", env ["ENABLE_REQUEST_LOGGING"];

    /// Headers whose values are never stored or told, beside those that usually hold credentials.
    redact_headers: Names = "", at "redaction.headers", env ["REDACT_HEADERS"];
    /// Query parameters whose values are never stored or told, beside those whose names speak of keys and tokens.
    redact_parameters: Names = "", at "redaction.parameters", env ["REDACT_PARAMETERS"];
    /// Built-in detectors for secrets in bodies: `all`, or single ones such as `github_token`. What they find is replaced in everything that
    /// is stored or told. None by default, because the record is then no longer byte for byte; see docs/security.md.
    redact_detectors: Detectors = "", at "redaction.detectors", env ["REDACT_DETECTORS"];
    /// Regular expressions of your own for the same; a list in the file, one in each line in the environment.
    redact_patterns: Patterns = "", at "redaction.patterns", env ["REDACT_PATTERNS"];

    /// Where people reach this gateway, for links in notifications. Without it, the address that it listens on.
    public_url: Option<BaseUrl> = "", at "notifications.public_url", env ["PUBLIC_URL"];
    /// The address that is told what happens, by a POST each; see docs/notifications.md. It may hold a secret.
    webhook_url: Option<SecretUrl> = "", at "notifications.url", env ["WEBHOOK_URL"];
    /// The key of the signature that each notification carries. Without it they are not signed.
    webhook_secret: Option<SecretString> = "", at "notifications.secret", env ["WEBHOOK_SECRET"];
    /// What is told: `transactions` (each one that ends), `interventions` and `failures` (only those), `alerts` (what a person should
    /// know at once), or single alerts by their kind.
    webhook_events: Wanted = "transactions,alerts", at "notifications.events", env ["WEBHOOK_EVENTS"];
    /// How often a notification that was not taken is sent again.
    webhook_max_retries: usize = "3", at "notifications.max_retries", env ["WEBHOOK_MAX_RETRIES"], from "0" to "20";
    /// The wait before the first time; doubled for each further one, to five minutes at most.
    webhook_retry_delay_seconds: Duration = "1s", at "notifications.retry_delay", env ["WEBHOOK_RETRY_DELAY_SECONDS"], from "10ms" to "5m";
    /// How many notifications may wait. More are dropped, counted and shown in the health: traffic never waits for them.
    webhook_max_pending_tasks: usize = "1000", at "notifications.max_pending", env ["WEBHOOK_MAX_PENDING_TASKS"], from "1" to "100000";
    /// How long the receiver may take to answer.
    webhook_send_timeout_seconds: Duration = "10s", at "notifications.send_timeout", env ["WEBHOOK_SEND_TIMEOUT_SECONDS"], from "100ms" to "5m";
    /// How long notifications that wait may take after a stop signal; then they are given up.
    webhook_shutdown_drain_seconds: Duration = "5s", at "notifications.shutdown_drain", env ["WEBHOOK_SHUTDOWN_DRAIN_SECONDS"], from "0s" to "5m";

    /// A Redis server that several gateways share, `redis://` or `rediss://` (TLS); its URL may hold a password. Over it they tell each
    /// other what happens, and that something was changed. Without it they find changes in the database they share, within a second.
    redis_url: Option<RedisUrl> = "", at "replicas.redis_url", env ["REDIS_URL"];
    /// The key by which the record and assignments tell credentials apart, of 8 characters or more: several gateways on one database
    /// need the same. Without it, one is made at the first start and kept in the data folder.
    identity_key: Option<SecretString> = "", at "replicas.identity_key", env ["IDENTITY_KEY"];

    /// How long transactions are kept: a number of days such as `90` or `0.5`, or a time such as `36h`. Without it, no age removes them.
    conversation_retention_days: Option<Days> = "", at "retention.days", env ["CONVERSATION_RETENTION_DAYS"], from "1s" to "36500";
    /// How large the record may grow before its oldest transactions go: space in use, not the size of the file. Without it, no size removes them.
    retention_max_bytes: Option<ByteSize> = "", at "retention.max_bytes", env ["RETENTION_MAX_BYTES"], from "1MiB" to "1024TiB";
    /// How often the gateway looks for what has to go.
    retention_interval: Duration = "1h", at "retention.interval", env ["RETENTION_INTERVAL"], from "1s" to "24h";
    /// How long the audit log is kept: a number of days, or a time such as `36h`.
    audit_retention_days: Days = "365", at "retention.audit_days", env ["AUDIT_RETENTION_DAYS"], from "1s" to "36500";
    /// A folder for what age or size removes: it is written there first, and only then removed. Not together with a bucket.
    archive_dir: Option<PathBuf> = "", at "retention.archive_dir", env ["ARCHIVE_DIR"];
    /// A bucket of S3, or of storage that speaks its protocol, for the same.
    archive_s3_bucket: Option<String> = "", at "retention.s3_bucket", env ["ARCHIVE_S3_BUCKET"];
    /// What the names of the files in the bucket begin with.
    archive_s3_prefix: String = "luthien/", at "retention.s3_prefix", env ["ARCHIVE_S3_PREFIX"];
    /// Where the bucket is, for storage other than Amazon's; the bucket is then a part of the path.
    archive_s3_endpoint: Option<BaseUrl> = "", at "retention.s3_endpoint", env ["ARCHIVE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3"];
    /// The bucket's region.
    archive_s3_region: String = "us-east-1", at "retention.s3_region", env ["ARCHIVE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"];
    /// The id of the key that may write to the bucket.
    aws_access_key_id: Option<SecretString> = "", at "retention.s3_access_key_id", env ["AWS_ACCESS_KEY_ID"];
    /// That key's secret.
    aws_secret_access_key: Option<SecretString> = "", at "retention.s3_secret_access_key", env ["AWS_SECRET_ACCESS_KEY"];
    /// The token of a key that is valid for a time. It is read once, at the start.
    aws_session_token: Option<SecretString> = "", at "retention.s3_session_token", env ["AWS_SESSION_TOKEN"];
    /// How the bucket encrypts what is written there. Without it, as the bucket itself is set up.
    retention_s3_encryption: Option<S3Encryption> = "", at "retention.s3_encryption", env ["RETENTION_S3_ENCRYPTION"];
    /// The key for `aws:kms`. Without it, the account's own.
    retention_s3_kms_key_id: Option<String> = "", at "retention.s3_kms_key_id", env ["RETENTION_S3_KMS_KEY_ID"];

    /// How much is logged.
    log_level: LogLevel = "info", at "logging.level", env ["LOG_LEVEL"] + live;
    /// The log's form; `auto` is text on a terminal and JSON elsewhere.
    log_format: LogFormat = "auto", at "logging.format", env ["LOG_FORMAT"];
    /// Accepted for older set-ups and ignored: the gateway sends no telemetry.
    usage_telemetry: bool = "false", at "logging.usage_telemetry", env ["USAGE_TELEMETRY"];
}

impl Settings {
    /// The settings from these sources. All problems come back at once, each with its place.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        sources::load(sources)
    }

    /// The data folder: as set, else the user's.
    pub fn data_folder(&self, sources: &Sources) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| user_data_dir(&sources.environment))
    }
}

#[cfg(test)]
mod tests;
