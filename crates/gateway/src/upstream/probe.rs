//! Looks whether an upstream can be reached: one request without a credential, which any answer satisfies.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::DATE;
use http_body_util::Full;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::connector::proxies;
use super::execute::root_cause;
use super::{Upstream, tls};
use crate::config::{GatewayConfig, UpstreamConfig};
use crate::server_credentials::ServerCredentials;

/// How one upstream was found.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its name.
    pub upstream: String,
    /// Host and port.
    pub host: String,
    /// It is reached through the operator's proxy.
    pub proxied: bool,
    /// What came of it.
    pub outcome: Result<Answered, Obstacle>,
}

/// It answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// With this status; one that refuses is as good as any.
    pub status: u16,
    /// How long that took, the connection included.
    pub took: Duration,
    /// What its clock says, as HTTP writes it.
    pub date: Option<String>,
}

/// It could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The settings for it cannot be used.
    Settings(String),
    /// Its name is not known.
    Name(String),
    /// No connection comes about.
    Connection(String),
    /// TLS fails, a certificate for the most part.
    Tls(String),
    /// It was reached, and gave no answer.
    Silence(String),
}

/// Asks every upstream at once, each for at most `within`.
pub async fn probe(config: &GatewayConfig, within: Duration) -> Vec<Probe> {
    let tasks = TaskTracker::new();
    let roots = tls::native_roots();
    let all = config.upstreams.iter().map(|upstream| one(upstream, config, &roots, within, &tasks));
    let found = futures_util::future::join_all(all).await;
    tasks.close();
    found
}

async fn one(
    named: &UpstreamConfig,
    config: &GatewayConfig,
    roots: &tls::Roots,
    within: Duration,
    tasks: &TaskTracker,
) -> Probe {
    let upstream = match Upstream::new(named, config, &ServerCredentials::default(), roots, tasks) {
        Ok(upstream) => upstream,
        Err(error) => {
            let outcome = Err(Obstacle::Settings(error.to_string()));
            return Probe { upstream: named.name.clone(), host: named.base_url.clone(), proxied: false, outcome };
        }
    };
    let (host, mut proxied) = (upstream.base.host().to_owned(), false);
    let asked = async {
        let dialect = upstream.dialects.first().copied().unwrap_or(luthien_wire::Dialect::Messages);
        let url = upstream.base.url(dialect, "/models", "").map_err(|error| Obstacle::Settings(error.to_string()))?;
        proxied = proxies(&config.network).is_ok_and(|set| set.is_some_and(|set| set.intercept(&url).is_some()));
        if !proxied {
            let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
            let name = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let found = tokio::net::lookup_host((name, port)).await;
            if let Err(error) = found.map(|mut addresses| addresses.next()) {
                return Err(Obstacle::Name(error.to_string()));
            }
        }
        let request = Request::get(url).header("user-agent", "luthien-doctor").body(Full::<Bytes>::default());
        let request = request.map_err(|error| Obstacle::Settings(error.to_string()))?;
        let began = Instant::now();
        let sending = upstream.client.send(request).ok_or_else(|| Obstacle::Connection("no connection".to_owned()))?;
        match sending.await {
            Ok(answer) => Ok(Answered {
                status: answer.status().as_u16(),
                took: began.elapsed(),
                date: answer.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned),
            }),
            Err(error) => {
                let why = root_cause(&error);
                Err(match error.is_connect() {
                    true if is_tls(&why) => Obstacle::Tls(why),
                    true => Obstacle::Connection(why),
                    false => Obstacle::Silence(why),
                })
            }
        }
    };
    let outcome = timeout(within, asked)
        .await
        .unwrap_or_else(|_| Err(Obstacle::Silence(format!("nothing came within {} seconds", within.as_secs()))));
    Probe { upstream: named.name.clone(), host, proxied, outcome }
}

/// What the TLS library says, told by its words: the error is wrapped too often to be taken out.
fn is_tls(why: &str) -> bool {
    ["certificate", "handshake", "TLS", "tls", "corrupt message", "alert"].iter().any(|word| why.contains(word))
}
