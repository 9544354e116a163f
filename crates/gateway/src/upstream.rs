//! Upstreams: where requests go. Preparing a request and executing it are separate steps.

pub(crate) mod choice;
pub(crate) mod client;
pub(crate) mod connector;
pub(crate) mod execute;
pub(crate) mod fit;
pub(crate) mod key;
pub(crate) mod prepare;
pub(crate) mod probe;
pub(crate) mod tls;

use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use luthien_wire::Dialect;
use tokio_util::task::TaskTracker;

use self::client::HttpClient;
use self::connector::proxies;
use self::key::ServerKey;
use crate::config::{GatewayConfig, ModelRoute, Network, Timeouts, UpstreamConfig};
use crate::headers::header_text;
use crate::server_credentials::ServerCredentials;

/// An upstream could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The base URL is unusable.
    #[error("the base URL of the upstream `{upstream}` is not usable: {why}")]
    BaseUrl {
        /// Its name, or what the URL is for.
        upstream: String,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate or key file is unusable.
    #[error("cannot use {file} for the upstream `{upstream}`: {why}")]
    Certificate {
        /// Its name.
        upstream: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A rule for models names an upstream that is not there.
    #[error("the rule for the model `{model}` names the upstream `{upstream}`, which is not there")]
    Unknown {
        /// The rule's pattern.
        model: String,
        /// The name.
        upstream: String,
    },
    /// `HTTPS_PROXY` is unusable.
    #[error("HTTPS_PROXY is not usable: {0}; write it as http://host:port or http://user:password@host:port")]
    Proxy(String),
}

/// All upstreams.
#[derive(Debug)]
pub(crate) struct Upstreams {
    list: Vec<Upstream>,
    /// The rules for models, each upstream there.
    models: Vec<ModelRoute>,
    /// For judges at an address of their own.
    other: HttpClient,
    timeouts: Timeouts,
    /// Stored credentials and inference providers.
    pub(crate) credentials: ServerCredentials,
}

/// One upstream, ready for requests.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// The name as headers have it.
    pub(crate) label: HeaderValue,
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) base: Base,
    pub(crate) key: ServerKey,
    /// It asks for no credential and gets none.
    pub(crate) keyless: bool,
    pub(crate) client: HttpClient,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
}

impl Upstreams {
    /// Sets all up, with no stored credentials.
    #[cfg(test)]
    pub(crate) fn new(config: &GatewayConfig, tasks: &TaskTracker) -> Result<Self, UpstreamError> {
        Self::with(config, ServerCredentials::default(), tasks)
    }

    /// Sets all up. Reads certificate files; connects to nothing.
    pub(crate) fn with(
        config: &GatewayConfig,
        credentials: ServerCredentials,
        tasks: &TaskTracker,
    ) -> Result<Self, UpstreamError> {
        let roots = tls::native_roots();
        let list: Vec<Upstream> = config
            .upstreams
            .iter()
            .map(|upstream| Upstream::new(upstream, config, &credentials, &roots, tasks))
            .collect::<Result<_, _>>()?;
        for route in &config.models {
            for target in &route.targets {
                if !list.iter().any(|upstream| upstream.name == target.upstream) {
                    let (model, upstream) = (route.pattern.to_string(), target.upstream.clone());
                    return Err(UpstreamError::Unknown { model, upstream });
                }
            }
        }
        let other = plain_client(&config.network, &roots, &config.timeouts, tasks)?;
        Ok(Self { list, models: config.models.clone(), other, timeouts: config.timeouts, credentials })
    }

    /// Where requests of this dialect go unless something else is said.
    pub(crate) fn default_for(&self, dialect: Dialect) -> Option<&Upstream> {
        self.list.iter().find(|upstream| upstream.dialects.contains(&dialect))
    }

    /// The upstream of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Upstream> {
        self.list.iter().find(|upstream| upstream.name == name)
    }

    /// An upstream at an address that is not configured, with no key.
    pub(crate) fn at(&self, base_url: &str, dialect: Dialect) -> Result<Upstream, UpstreamError> {
        Ok(Upstream {
            name: "judge".to_owned(),
            label: HeaderValue::from_static("judge"),
            dialects: vec![dialect],
            base: Base::parse("judge", base_url)?,
            key: ServerKey::None,
            keyless: false,
            client: self.other.clone(),
            connect: self.timeouts.connect,
            first_byte: self.timeouts.first_byte,
            idle: self.timeouts.idle,
        })
    }
}

impl Upstream {
    fn new(
        upstream: &UpstreamConfig,
        config: &GatewayConfig,
        credentials: &ServerCredentials,
        roots: &tls::Roots,
        tasks: &TaskTracker,
    ) -> Result<Self, UpstreamError> {
        let connect = upstream.timeouts.connect.unwrap_or(config.timeouts.connect);
        let tls = tls::client_config(upstream, roots)?;
        Ok(Self {
            name: upstream.name.clone(),
            label: header_text(&upstream.name),
            dialects: upstream.dialects.clone(),
            base: Base::parse(&upstream.name, &upstream.base_url)?,
            key: ServerKey::of(upstream, credentials),
            keyless: upstream.keyless,
            client: HttpClient::new(tls, proxies(&config.network)?, connect, upstream.http2, tasks),
            connect,
            first_byte: upstream.timeouts.first_byte.unwrap_or(config.timeouts.first_byte),
            idle: upstream.timeouts.idle.unwrap_or(config.timeouts.idle),
        })
    }
}

fn plain_client(
    network: &Network,
    roots: &tls::Roots,
    timeouts: &Timeouts,
    tasks: &TaskTracker,
) -> Result<HttpClient, UpstreamError> {
    Ok(HttpClient::new(tls::plain(roots), proxies(network)?, timeouts.connect, false, tasks))
}

/// An upstream's base URL.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl Base {
    pub(crate) fn parse(upstream: &str, url: &str) -> Result<Self, UpstreamError> {
        let bad = |why: &str| UpstreamError::BaseUrl { upstream: upstream.to_owned(), why: why.to_owned() };
        let parts = url.trim().parse::<Uri>().map_err(|error| bad(&error.to_string()))?.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| bad("it has to begin with http:// or https://"))?;
        let authority = parts.authority.ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it holds a user or a password; set the upstream's key instead"));
        }
        let path = parts.path_and_query.map_or(String::new(), |path| path.path().trim_end_matches('/').to_owned());
        Ok(Self { scheme, authority, path })
    }

    /// The URL of an endpoint: `path` as it stands after `/v1`, and the query, which may be empty.
    pub(crate) fn url(&self, dialect: Dialect, path: &str, query: &str) -> Result<Uri, http::Error> {
        let version = match dialect {
            Dialect::Messages if !self.path.ends_with("/v1") => "/v1",
            Dialect::Chat | Dialect::Responses if self.path.is_empty() => "/v1",
            _ => "",
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let path = PathAndQuery::from_maybe_shared(bytes::Bytes::from(
            [self.path.as_str(), version, path, mark, query].concat(),
        ))?;
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build()
    }

    /// Scheme, host and port are the same.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        let port =
            |base: &Self| base.authority.port_u16().or(if base.scheme == Scheme::HTTPS { Some(443) } else { Some(80) });
        self.scheme == other.scheme
            && self.authority.host().eq_ignore_ascii_case(other.authority.host())
            && port(self) == port(other)
    }

    /// Host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        self.authority.as_str()
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, dialect: Dialect, path: &str, query: &str) -> String {
        Base::parse("up", base).unwrap().url(dialect, path, query).unwrap().to_string()
    }

    #[test]
    fn a_base_url_is_read_as_the_vendors_sdks_read_it() {
        let messages = |base| url(base, Dialect::Messages, "/messages", "beta=true");
        assert_eq!(messages("https://api.anthropic.com"), "https://api.anthropic.com/v1/messages?beta=true");
        assert_eq!(messages("https://api.anthropic.com/v1/"), "https://api.anthropic.com/v1/messages?beta=true");
        assert_eq!(messages("http://proxy:8080/anthropic"), "http://proxy:8080/anthropic/v1/messages?beta=true");
        let chat = |base| url(base, Dialect::Chat, "/chat/completions", "");
        assert_eq!(chat("https://api.openai.com/v1"), "https://api.openai.com/v1/chat/completions");
        assert_eq!(chat("http://127.0.0.1:9000"), "http://127.0.0.1:9000/v1/chat/completions");
        assert_eq!(chat("https://host/v1beta/openai"), "https://host/v1beta/openai/chat/completions");
    }

    #[test]
    fn an_unusable_base_url_says_why() {
        for bad in ["", "/v1", "ftp://host", "https://user:secret@host/"] {
            let error = Base::parse("up", bad).unwrap_err().to_string();
            assert!(error.contains("`up`") && !error.contains("secret"), "{error}");
        }
    }
}
