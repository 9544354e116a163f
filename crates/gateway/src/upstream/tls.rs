//! TLS to upstreams: the system's roots, the operator's certificate authorities and client certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::UpstreamError;
use crate::config::UpstreamConfig;

/// The system's certificate authorities.
#[derive(Clone, Debug)]
pub(crate) struct Roots(RootCertStore);

/// Reads the system's certificate authorities. What cannot be read is left out and logged.
pub(crate) fn native_roots() -> Roots {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read some of the system's certificate authorities");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Roots(roots)
}

/// What an upstream of no special wishes needs.
pub(crate) fn plain(roots: &Roots) -> ClientConfig {
    builder(roots.0.clone()).with_no_client_auth()
}

/// What this upstream needs.
pub(crate) fn client_config(upstream: &UpstreamConfig, roots: &Roots) -> Result<ClientConfig, UpstreamError> {
    let roots = trusted(&upstream.name, upstream.ca_file.as_deref(), roots)?;
    let upstream_name = &upstream.name;
    let Some(own) = &upstream.client_certificate else {
        return Ok(builder(roots).with_no_client_auth());
    };
    let chain = certificates(upstream_name, &own.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&own.key).map_err(|error| unusable(upstream_name, &own.key, &error))?;
    builder(roots).with_client_auth_cert(chain, key).map_err(|error| unusable(upstream_name, &own.certificate, &error))
}

/// What somebody who is not an upstream needs; `name` is for messages.
pub(crate) fn with_authorities(
    name: &str,
    ca_file: Option<&Path>,
    roots: &Roots,
) -> Result<ClientConfig, UpstreamError> {
    Ok(builder(trusted(name, ca_file, roots)?).with_no_client_auth())
}

fn trusted(name: &str, ca_file: Option<&Path>, roots: &Roots) -> Result<RootCertStore, UpstreamError> {
    let mut roots = roots.0.clone();
    if let Some(file) = ca_file {
        for certificate in certificates(name, file)? {
            roots.add(certificate).map_err(|error| unusable(name, file, &error))?;
        }
    }
    Ok(roots)
}

fn builder(roots: RootCertStore) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap_or_else(|_| ClientConfig::builder())
        .with_root_certificates(roots)
}

fn certificates(upstream: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(upstream, file, &error))?;
    if found.is_empty() {
        return Err(unusable(upstream, file, &"it holds no certificate"));
    }
    Ok(found)
}

fn unusable(upstream: &str, file: &Path, why: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Certificate { upstream: upstream.to_owned(), file: file.display().to_string(), why: why.to_string() }
}
