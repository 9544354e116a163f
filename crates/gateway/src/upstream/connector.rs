//! Opens connections to upstreams, through the operator's proxy where one is set, within a time limit.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};

use super::UpstreamError;
use super::execute::root_cause;
use crate::config::Network;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// How upstreams are connected to.
pub(crate) type Connector = InTime<HttpsConnector<Dial>>;

/// The connection was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(crate) struct TooSlow(Duration);

/// Which proxy to use for which host; none where none is set.
pub(crate) fn proxies(network: &Network) -> Result<Option<Arc<Matcher>>, UpstreamError> {
    let Some(proxy) = network.https_proxy.as_deref().filter(|proxy| !proxy.is_empty()) else { return Ok(None) };
    let address = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    let matcher = Matcher::builder().https(address).no(network.no_proxy.clone().unwrap_or_default()).build();
    // The example host is a stand-in: a usable proxy takes any host that NO_PROXY does not name.
    let usable = Matcher::builder()
        .https(if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") })
        .build();
    let probe = Uri::from_static("https://upstream.invalid");
    match usable.intercept(&probe) {
        Some(found) if found.uri().scheme_str() == Some("http") => Ok(Some(Arc::new(matcher))),
        Some(_) => Err(UpstreamError::Proxy("only proxies reached by http are supported".to_owned())),
        None => Err(UpstreamError::Proxy("it is not a URL".to_owned())),
    }
}

/// A connector with TLS, for HTTP/2 alone or HTTP/1.1 alone.
pub(crate) fn connector(tls: ClientConfig, proxies: Option<Arc<Matcher>>, within: Duration, http2: bool) -> Connector {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let dial = dial(proxies);
    let inner =
        if http2 { builder.enable_http2().wrap_connector(dial) } else { builder.enable_http1().wrap_connector(dial) };
    InTime { inner, within }
}

/// TCP without Nagle's delay; keep-alives notice when the other side is gone.
fn dial(proxies: Option<Arc<Matcher>>) -> Dial {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(30)));
    http.set_keepalive_interval(Some(Duration::from_secs(10)));
    http.set_keepalive_retries(Some(3));
    Dial { http, proxies }
}

/// Opens the TCP connection, directly or through a proxy's tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    http: HttpConnector,
    proxies: Option<Arc<Matcher>>,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let http = self.http.clone();
        let Some(proxy) = self.proxies.as_ref().and_then(|proxies| proxies.intercept(&to)) else {
            return Box::pin(async move { Ok(http.oneshot(to).await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), http);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let name = proxy.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
        let name = name.rsplit('@').next().unwrap_or_default().to_owned();
        Box::pin(async move {
            tunnel.oneshot(to).await.map_err(|error| format!("through the proxy {name}: {}", root_cause(&error)).into())
        })
    }
}

/// Bounds how long another connector may take.
#[derive(Clone, Debug)]
pub(crate) struct InTime<C> {
    inner: C,
    within: Duration,
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Connecting<C::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let within = self.within;
        let connecting = self.inner.call(to);
        Box::pin(async move { tokio::time::timeout(within, connecting).await.map_err(|_| TooSlow(within))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(proxy: &str, no: &str) -> Network {
        Network { https_proxy: Some(proxy.to_owned()), no_proxy: Some(no.to_owned()) }
    }

    #[test]
    fn https_goes_through_the_proxy_unless_excepted() {
        let proxies = proxies(&network("http://me:pass@proxy:3128", "internal.example,10.0.0.0/8")).unwrap().unwrap();
        let through =
            |url: &'static str| proxies.intercept(&Uri::from_static(url)).map(|proxy| proxy.uri().to_string());
        assert!(through("https://api.anthropic.com").unwrap().contains("proxy:3128"));
        assert_eq!(through("https://model.internal.example"), None);
        assert_eq!(through("https://10.1.2.3"), None);
        assert_eq!(through("http://127.0.0.1:9000"), None);
    }

    #[tokio::test]
    async fn connections_to_upstreams_are_without_nagles_delay() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        assert!(dial(None).oneshot(to).await.unwrap().inner().nodelay().unwrap());
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_at_the_start() {
        assert!(proxies(&network("socks5://proxy:1080", "")).is_err());
        assert!(proxies(&network("proxy:3128", "*")).unwrap().is_some());
        assert!(proxies(&Network::default()).unwrap().is_none());
    }
}
