//! The key of the gateway's own with which an upstream is asked.

use http::HeaderMap;
use luthien_wire::Dialect;
use secrecy::{ExposeSecret as _, SecretString};

use super::Upstream;
use crate::config::UpstreamConfig;
use crate::credentials::put;
use crate::errors::GatewayError;
use crate::server_credentials::ServerCredentials;

/// Where an upstream's key is.
#[derive(Clone, Debug)]
pub(crate) enum ServerKey {
    /// Nowhere.
    None,
    /// In the settings.
    Set(SecretString),
    /// Among the stored credentials, under this name: looked up for each request, so that a change holds at once.
    Stored(String, ServerCredentials),
}

impl ServerKey {
    pub(super) fn of(upstream: &UpstreamConfig, credentials: &ServerCredentials) -> Self {
        match (&upstream.key, &upstream.credential) {
            (Some(key), _) => Self::Set(key.clone()),
            (None, Some(name)) => Self::Stored(name.clone(), credentials.clone()),
            (None, None) => Self::None,
        }
    }

    /// The operator has given it one. A credential that is not stored counts: what is asked there fails, rather than going with
    /// somebody else's key.
    pub(crate) fn is_given(&self) -> bool {
        !matches!(self, Self::None)
    }
}

impl Upstream {
    /// Puts its own key on a request to it.
    pub(crate) fn put_key(&self, headers: &mut HeaderMap, dialect: Dialect) -> Result<(), GatewayError> {
        match &self.key {
            ServerKey::None => Err(GatewayError::NoServerKey(self.name.clone())),
            ServerKey::Set(key) => put(headers, dialect, key.expose_secret().as_bytes()),
            ServerKey::Stored(name, credentials) => {
                let placed = credentials.find(name).and_then(|found| found.put(headers, dialect, &self.base));
                placed.map_err(|why| {
                    // Why it is so is the operator's to know.
                    tracing::warn!(upstream = %self.name, %why, "an upstream cannot be asked with its credential");
                    let (upstream, credential) = (self.name.clone(), name.clone());
                    GatewayError::NoCredentialFor { upstream, credential }
                })
            }
        }
    }
}
