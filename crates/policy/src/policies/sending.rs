//! `add_api_key_header` and `set_backend`: where requests go and with which credential, whatever they say.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{Credential, Policy, PolicyError, RequestAnswer, Review, ReviewContext, Sending, Watch};
use crate::tree::Tree;

/// What luthien_control's `AddApiKeyHeader` read.
const CONTROLS_VARIABLE: &str = "OPENAI_API_KEY";

/// The configuration of `add_api_key_header`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// The environment variable that holds the key. It is read when the policy is loaded, and has to be set.
    #[serde(deserialize_with = "range::some_text")]
    api_key_env_var_name: String,
    /// The upstream that the key is for, by name. Without it, the one that serves the caller's dialect by default. The key goes
    /// to no other.
    #[serde(default)]
    upstream: Option<String>,
}

/// The configuration of `set_backend`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    /// A configured upstream, by its name or its base URL.
    #[serde(deserialize_with = "range::some_text")]
    backend_url: String,
}

/// Says the same of every request.
#[derive(Debug)]
struct Sends {
    name: &'static str,
    sending: Sending,
}

struct Saying(Sending);

impl Policy for Sends {
    fn name(&self) -> &'static str {
        self.name
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Saying(self.sending.clone()))
    }
}

impl Review for Saying {
    fn request<'a>(&'a self, _request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async { Ok(RequestAnswer { sending: self.0.clone(), ..RequestAnswer::default() }) })
    }
}

/// A credential from the environment.
pub(crate) fn key(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let controls = loading.class == "AddApiKeyHeader" && loading.is_empty();
    let Key { api_key_env_var_name: variable, upstream } = if controls {
        Key { api_key_env_var_name: CONTROLS_VARIABLE.to_owned(), upstream: None }
    } else {
        loading.read()?
    };
    let upstream = upstream.map(|name| known(loading, &["upstream"], &name)).transpose()?;
    keyed(loading, &["api_key_env_var_name"], &variable, upstream)
}

/// The policy that sends this variable's value as the credential.
pub(crate) fn keyed(
    loading: &Loading<'_>,
    field: &[&str],
    variable: &str,
    upstream: Option<String>,
) -> Result<Tree, LoadError> {
    let secret = loading.env.variables.get(variable);
    let secret =
        secret.ok_or_else(|| loading.refuse(field, format!("the environment variable {variable:?} is not set")))?;
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        let msg = format!("the environment variable {variable:?} holds characters that no key has");
        return Err(loading.refuse(field, msg));
    }
    let credential = Some(Credential { secret: SecretString::from(secret), upstream });
    Ok(Tree::of(Sends { name: "add_api_key_header", sending: Sending { upstream: None, credential } }))
}

/// An upstream for every request. luthien_control's may be without one, which leaves the choice as it is.
pub(crate) fn backend(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    if loading.older && loading.is_empty() {
        return Ok(Tree::none());
    }
    let Backend { backend_url } = loading.read()?;
    Ok(sent_to(known(loading, &["backend_url"], &backend_url)?))
}

/// The policy that sends requests to this upstream.
pub(crate) fn sent_to(upstream: String) -> Tree {
    Tree::of(Sends { name: "set_backend", sending: Sending { upstream: Some(upstream), credential: None } })
}

/// The name of the upstream that `said` names, by its name or its base URL.
pub(crate) fn known(loading: &Loading<'_>, field: &[&str], said: &str) -> Result<String, LoadError> {
    let Some(names) = &loading.env.providers else { return Ok(said.to_owned()) };
    let plain = |url: &str| url.trim_end_matches('/').to_owned();
    let by_url = || loading.env.base_urls.iter().position(|url| plain(url) == plain(said)).and_then(|at| names.get(at));
    let found = names.iter().find(|name| *name == said).or_else(by_url);
    found.cloned().ok_or_else(|| {
        loading.refuse(
            field,
            format!("no upstream is called {said:?} or has that base URL; configured are {}", names.join(", ")),
        )
    })
}

#[cfg(test)]
mod tests;
