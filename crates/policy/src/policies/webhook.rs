//! `webhook`: a policy server decides, asked over HTTP.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::OnError;
use crate::remote::caller::Bounds;
use crate::remote::outside::{Outside, Wishes};
use crate::remote::protocol::Watches;
use crate::remote::{Place, translate};
use crate::tree::Tree;

/// The configuration of `webhook`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the policy server is: `http://…`, `https://…`, or `unix:` and the path of a socket.
    #[serde(deserialize_with = "address")]
    url: String,
    /// The secret that is sent with each message, so that the server knows the gateway.
    #[serde(default)]
    secret: Option<Secret>,
    /// Seconds for one answer: the wait for a place, all tries and their pauses.
    #[serde(default = "default_timeout", deserialize_with = "range::seconds")]
    #[schemars(range(min = 0.01, max = 600.0))]
    timeout: f64,
    /// What happens when there is no answer. Else what the server says of itself, else `block`.
    #[serde(default)]
    on_error: Option<OnError>,
    /// The most questions at once. The others wait, within their time.
    #[serde(default = "default_at_once", deserialize_with = "range::count")]
    #[schemars(range(min = 1, max = 10_000))]
    max_concurrency: u32,
    /// How often to try again after a broken connection.
    #[serde(default = "default_retries", deserialize_with = "range::retries")]
    #[schemars(range(min = 0, max = 10))]
    retries: u32,
    /// When a server that is away is left alone.
    #[serde(default)]
    breaker: Breaker,
    /// What it has to see. With it the policy loads without asking the server; else the server is asked.
    #[serde(default)]
    watches: Option<Watches>,
    /// Reviews of responses carry the client's request. Else as the server says.
    #[serde(default)]
    send_request: Option<bool>,
    /// The policy's own configuration, sent with each review.
    #[serde(default, rename = "config")]
    own: Map<String, Value>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    /// The environment variable that holds it.
    #[serde(deserialize_with = "range::some_text")]
    env: String,
}

/// When a server that is away is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Breaker {
    /// After so many failures in a row.
    #[serde(deserialize_with = "range::count")]
    #[schemars(range(min = 1, max = 10_000))]
    failures: u32,
    /// For so many seconds. Then one question finds out.
    #[serde(deserialize_with = "range::seconds")]
    #[schemars(range(min = 0.01, max = 600.0))]
    open_seconds: f64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, open_seconds: 10.0 }
    }
}

pub(super) fn default_timeout() -> f64 {
    30.0
}
pub(super) fn default_at_once() -> u32 {
    64
}
fn default_retries() -> u32 {
    2
}

/// A URL of a kind that policy servers can have.
fn address<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let url = String::deserialize(reader)?;
    if ["http://", "https://", "unix:/"].iter().any(|kind| url.starts_with(kind) && url.len() > kind.len()) {
        return Ok(url);
    }
    Err(serde::de::Error::custom("must be http://… or https://…, or unix: and the absolute path of a socket"))
}

/// Asks the server what it watches where the configuration does not say it.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let place = Place { url: config.url.clone(), secret_env: config.secret.map(|secret| secret.env) };
    let at = || loading.env.servers.at(&place).map_err(|unusable| loading.refuse(unusable.field, unusable.why));
    let mut wishes = Wishes {
        place: config.url.clone(),
        bounds: Bounds {
            timeout: Duration::from_secs_f64(config.timeout),
            at_once: config.max_concurrency as usize,
            retries: config.retries,
            failures: config.breaker.failures,
            open: Duration::from_secs_f64(config.breaker.open_seconds),
        },
        watch: config.watches.map(translate::watch).unwrap_or_default(),
        on_error: config.on_error.unwrap_or_default(),
        send_request: config.send_request.unwrap_or_default(),
        config: Value::Object(config.own),
    };
    let server = if config.watches.is_some() {
        at()?
    } else {
        let key = format!("webhook {place:?} {}", wishes.config);
        let said = loading.env.servers.said(&key, &wishes.config, at)?;
        let said = said.map_err(|why| {
            let way_out =
                "start it before the policy is set, or give `watches`, with which the policy loads without it";
            loading.refuse(
                &["url"],
                format!("the policy server at {} does not say what it is: {why}; {way_out}", place.url),
            )
        })?;
        said.check(loading)?;
        wishes.watch = translate::watch(said.description.watches);
        wishes.on_error = config.on_error.or(said.description.on_error).unwrap_or_default();
        wishes.send_request = config.send_request.unwrap_or(said.description.send_request);
        Some(said.server)
    };
    Ok(Tree::of(Outside::new("webhook", server, wishes, &loading.env.breakers)))
}

#[cfg(test)]
mod tests;
