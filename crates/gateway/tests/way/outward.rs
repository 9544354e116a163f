//! The operator's network: own authorities, client certificates, proxies, HTTP/2.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use luthien_gateway::config::{ClientCertificate, GatewayConfig};
use luthien_testkit::Answer;
use luthien_testkit::client::Exchange;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::support::{Rig, turn};

fn file(name: &str) -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("tests/way/tls").join(name)
}

/// Something that listens and hands connections on; it stops when dropped.
struct Relay {
    port: u16,
    _tasks: JoinSet<()>,
}

/// Speaks TLS in front of `upstream`, to clients with a certificate only where `mutual`.
async fn tls(upstream: &str, mutual: bool) -> Relay {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap(),
        )
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(file("server.key")).unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let upstream = upstream.trim_start_matches("http://").to_owned();
    relay(move |client| {
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        async move {
            let Ok(mut client) = acceptor.accept(client).await else { return };
            let mut server = TcpStream::connect(upstream).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    })
    .await
}

/// A proxy that asks for a password and tunnels to `port`, whatever name it is asked for.
async fn proxy(port: u16) -> Relay {
    relay(move |client| async move {
        let mut client = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await.unwrap() > 0 {}
        let expected =
            head.starts_with("CONNECT upstream.test:443 HTTP/1.1\r\n") && head.contains("Basic bWU6cGFzcw==");
        if !expected {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
            return;
        }
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
    })
    .await
}

async fn relay<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Relay
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            connections.spawn(serve(listener.accept().await.unwrap().0));
        }
    });
    Relay { port, _tasks: tasks }
}

/// A rig whose Messages upstream is behind something; the scripted one is at the address that `before` is given.
async fn behind<R>(
    before: impl AsyncFnOnce(&str) -> R,
    change: impl FnOnce(&mut GatewayConfig, &R),
) -> (Rig, Rig, Exchange, R) {
    let inner = Rig::new(Answer::text("from afar")).await;
    let relay = before(&inner.upstream.base_url()).await;
    let outer = Rig::with(Answer::text("not this one"), Vec::new(), |config| change(config, &relay)).await;
    let exchange = outer.ask("/v1/messages", &turn(false)).await;
    (inner, outer, exchange, relay)
}

async fn text(exchange: Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn an_operators_authority_is_trusted_and_no_other() {
    for (ca_file, status) in [(Some(file("ca.pem")), 200), (None, 502)] {
        let (_inner, _outer, exchange, _relay) = behind(
            async |url: &str| tls(url, false).await,
            |config, relay| {
                config.upstreams[0].base_url = format!("https://127.0.0.1:{}", relay.port);
                config.upstreams[0].ca_file = ca_file;
            },
        )
        .await;
        assert_eq!(exchange.status, status);
        let words = if status == 200 { "from afar" } else { "certificate" };
        let text = text(exchange).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_set() {
    for (own, status) in [(true, 200), (false, 502)] {
        let (_inner, _outer, exchange, _relay) = behind(
            async |url: &str| tls(url, true).await,
            |config, relay| {
                config.upstreams[0].base_url = format!("https://127.0.0.1:{}", relay.port);
                config.upstreams[0].ca_file = Some(file("ca.pem"));
                config.upstreams[0].client_certificate =
                    own.then(|| ClientCertificate { certificate: file("server.pem"), key: file("server.key") });
            },
        )
        .await;
        assert_eq!(exchange.status, status);
    }
}

#[tokio::test]
async fn https_goes_through_the_operators_proxy() {
    for (password, status) in [("pass", 200), ("wrong", 502)] {
        let both = async |url: &str| {
            let tls = tls(url, false).await;
            (proxy(tls.port).await, tls)
        };
        let (_inner, _outer, exchange, _relays) = behind(both, |config, (proxy, _)| {
            config.upstreams[0].base_url = "https://upstream.test".to_owned();
            config.upstreams[0].ca_file = Some(file("ca.pem"));
            config.network.https_proxy = Some(format!("http://me:{password}@127.0.0.1:{}", proxy.port));
        })
        .await;
        assert_eq!(exchange.status, status);
        let text = text(exchange).await;
        assert!(status == 200 || (text.contains("through the proxy 127.0.0.1") && !text.contains("wrong")), "{text}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_with_the_cause() {
    let rig = Rig::with(Answer::text("unused"), Vec::new(), |config| {
        config.upstreams[0].base_url = "https://upstream.test".to_owned();
        config.network.https_proxy = Some("http://127.0.0.1:1".to_owned());
    })
    .await;
    let text = text(rig.ask("/v1/messages", &turn(false)).await).await;
    assert!(text.contains("through the proxy 127.0.0.1:1: Connection refused"), "{text}");
    rig.stop().await;
}

#[tokio::test]
async fn an_upstream_may_speak_http2_and_so_may_a_client() {
    let inner = Rig::new(Answer::text("over two").delta_size(2)).await;
    let outer = Rig::with(Answer::text("not this one"), Vec::new(), |config| {
        config.upstreams[0].base_url = format!("http://{}", inner.gateway.addr());
        config.upstreams[0].http2 = true;
    })
    .await;
    for stream in [true, false] {
        let exchange = outer.ask("/v1/messages", &turn(stream)).await;
        assert_eq!(exchange.status, 200);
        let id = crate::support::id(&exchange);
        let bytes = exchange.rest().await.unwrap();
        assert_eq!(outer.record(&id).await.upstream_response, bytes);
        assert_eq!(inner.upstream.requests().last().unwrap().body, turn(stream).to_string());
    }
    outer.stop().await;
    inner.stop().await;
}
