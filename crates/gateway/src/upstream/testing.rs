//! Configurations for the tests of upstreams.

use luthien_wire::Dialect;

use crate::config::{
    AuthMode, GatewayConfig, JudgeConfig, Limits, Network, RateConfig, Timeouts, UpstreamConfig, UpstreamTimeouts,
};

/// An upstream of this name that speaks these dialects and is nowhere.
pub(crate) fn upstream(name: &str, dialects: &[Dialect]) -> UpstreamConfig {
    UpstreamConfig {
        name: name.to_owned(),
        dialects: dialects.to_vec(),
        base_url: "http://127.0.0.1:1".to_owned(),
        key: None,
        credential: None,
        keyless: false,
        http2: false,
        ca_file: None,
        client_certificate: None,
        timeouts: UpstreamTimeouts::default(),
    }
}

/// A configuration with these upstreams and no rules.
pub(crate) fn config(upstreams: Vec<UpstreamConfig>) -> GatewayConfig {
    GatewayConfig {
        listen: "127.0.0.1:0".to_owned(),
        upstreams,
        models: Vec::new(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        network: Network::default(),
        access: AuthMode::Both.into(),
        client_key: None,
        admin_key: None,
        identity_key: [0; 32],
        trust_user_id_header: false,
        allowed_paths: Vec::new(),
        rates: RateConfig::default(),
        judge: JudgeConfig::default(),
        secret_names: std::sync::Arc::default(),
        log_raw_http: false,
    }
}
