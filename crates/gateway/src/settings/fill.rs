//! The settings as the types that the gateway runs on.

use std::sync::Arc;

use luthien_record::redact::{PatternError, Redactor};
use secrecy::{ExposeSecret, SecretString};

use crate::access::AccessRules;
use crate::caps::{Defaults, PriceError, Prices};
use crate::config::{GatewayConfig, JudgeConfig, Limits, Network, RateConfig, Timeouts};
use crate::data_dir::Keys;
use crate::notify::PostConfig;
use crate::rates::{Quota, UsualQuota};
use crate::redaction::{SecretNames, redactor};

use super::Settings;
use super::value::RedisUrl;

impl Settings {
    /// The key by which callers are known: the one that is set, else that of the data folder.
    pub fn identity_key(&self, keys: &Keys) -> [u8; 32] {
        let of_text = |text: &SecretString| *blake3::hash(text.expose_secret().as_bytes()).as_bytes();
        self.identity_key.as_ref().map_or(keys.identity, of_text)
    }

    /// By what gateways on one database see that they know callers by the same key. It tells nothing of the key.
    pub fn identity_fingerprint(&self, keys: &Keys) -> String {
        let hash = blake3::keyed_hash(&self.identity_key(keys), b"fingerprint of the identity key");
        hash.to_hex().chars().take(16).collect()
    }

    /// What the gateway runs on, with the keys of the data folder.
    pub fn gateway_config(&self, keys: &Keys) -> GatewayConfig {
        let host = if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        GatewayConfig {
            listen: format!("{host}:{}", self.port),
            upstreams: self.upstreams.clone(),
            models: self.models.clone(),
            limits: self.limits(),
            timeouts: self.timeouts(),
            network: self.network(),
            access: AccessRules::from(self).into(),
            client_key: self.client_api_key.clone(),
            admin_key: Some(keys.admin.clone()),
            identity_key: self.identity_key(keys),
            trust_user_id_header: self.trust_user_id_header,
            allowed_paths: self.allowed_paths.0.clone(),
            rates: RateConfig {
                usual: self.usual_quota(),
                most_accounts: self.rate_limit_max_keys,
                redis: self.redis_url.as_ref().and_then(RedisUrl::client),
            },
            judge: JudgeConfig {
                model: self.llm_judge_model.clone(),
                api_base: self.llm_judge_api_base.as_ref().map(ToString::to_string),
                api_key: self.llm_judge_api_key.clone(),
                token: None,
            },
            secret_names: Arc::new(
                SecretNames::with(&self.redact_headers.0, &self.redact_parameters.0)
                    .and_keys(self.client_api_key.iter().cloned().chain([keys.admin.clone()])),
            ),
            log_raw_http: self.enable_request_logging,
        }
    }

    /// What is taken out of bodies and texts before they are stored or told.
    pub fn redactor(&self) -> Result<Redactor, PatternError> {
        redactor(&self.redact_detectors, &self.redact_patterns)
    }

    /// Who is told what happens; `None` where nobody is.
    pub fn post_config(&self) -> Option<PostConfig> {
        Some(PostConfig {
            url: self.webhook_url.as_ref()?.0.clone(),
            secret: self.webhook_secret.clone(),
            wanted: self.webhook_events.clone(),
            retries: self.webhook_max_retries,
            delay: self.webhook_retry_delay_seconds,
            pending: self.webhook_max_pending_tasks,
            timeout: self.webhook_send_timeout_seconds,
            drain: self.webhook_shutdown_drain_seconds,
            base: self.public_url.as_ref().map(ToString::to_string),
            network: self.network(),
            ca_file: self.extra_ca_file.clone(),
            redactor: Redactor::default(),
        })
    }

    /// How many requests callers may make whose key says nothing else.
    pub fn quota(&self) -> Option<Quota> {
        Quota::new(self.rate_limit_rpm, self.rate_limit_burst)
    }

    /// How much callers may use whose key says nothing else.
    pub fn usual_quota(&self) -> UsualQuota {
        let usual = UsualQuota::from(self.quota());
        usual.set_tokens(self.rate_limit_tpm);
        usual
    }

    /// What all keys, sessions and users may use.
    pub fn caps(&self) -> Defaults {
        Defaults { key: self.caps_key.0, session: self.caps_session.0, user: self.caps_user.0 }
    }

    /// What models cost, by the file that is set.
    pub fn prices(&self) -> Result<Prices, PriceError> {
        self.price_file.as_deref().map_or_else(|| Ok(Prices::default()), Prices::read)
    }

    /// The operator's proxies.
    pub fn network(&self) -> Network {
        Network {
            https_proxy: self.https_proxy.as_ref().map(|proxy| proxy.expose_secret().to_owned()),
            no_proxy: self.no_proxy.clone(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            request_bytes: self.max_request_bytes.as_usize(),
            messages: self.max_messages,
            response_bytes: self.max_response_bytes.as_usize(),
            event_bytes: self.max_event_bytes.as_usize(),
            held_bytes: self.max_held_bytes.as_usize(),
            connections: self.max_connections,
        }
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.connect_timeout,
            first_byte: self.first_byte_timeout,
            idle: self.idle_timeout,
            policy: self.policy_timeout,
            person: self.person_timeout,
            person_streamed: self.person_timeout_streamed,
            header_read: self.header_timeout,
            body_read: self.body_timeout,
            keep_alive: self.keep_alive_interval,
        }
    }
}
