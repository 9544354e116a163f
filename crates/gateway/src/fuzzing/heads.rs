//! Requests' heads: who calls, what goes upstream, and what never does.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use luthien_record::store::StoredClientKey;
use luthien_wire::Dialect;
use tokio_util::task::TaskTracker;

use super::holds;
use crate::client_keys::ClientKeys;
use crate::config::{AuthMode, GatewayConfig};
use crate::credentials::{Forward, Keys, bearer};
use crate::data_dir;
use crate::headers::{API_KEY, FORWARD_KEY, strip_request};
use crate::routes;
use crate::server_credentials::ServerCredentials;
use crate::settings::{Settings, Sources};
use crate::upstream::prepare::{Outgoing, prepare};
use crate::upstream::{Upstream, Upstreams};

const GATEWAY: &str = "lk-fuzzed-shared-key";
const ADMIN: &str = "lk-fuzzed-admin-key";
const ISSUED: &str = "lth-abababababababababababababababababababababababababababababababab";
/// `user:` and the gateway key, as Basic has it.
const BASIC: &str = "dXNlcjpsay1mdXp6ZWQtc2hhcmVkLWtleQ==";
const SERVERS: &str = "sk-fuzzed-server-key";

/// What all inputs are tried on: for each mode the keys, and upstreams of all kinds.
struct Stage {
    keys: Vec<(AuthMode, Keys)>,
    upstreams: Upstreams,
}

fn stage() -> Option<&'static Stage> {
    static STAGE: OnceLock<Option<Stage>> = OnceLock::new();
    STAGE.get_or_init(build).as_ref()
}

fn build() -> Option<Stage> {
    let settings = Settings::load(&Sources { folder: "/nonexistent".into(), ..Sources::default() }).ok()?;
    let keys = data_dir::Keys { admin: ADMIN.into(), admin_is_set: true, identity: [7; 32], exposed: None };
    let mut config: GatewayConfig = settings.gateway_config(&keys);
    config.client_key = Some(GATEWAY.into());
    let mut add = |name: &str, key: Option<&str>, keyless| {
        let mut upstream = config.upstreams[0].clone();
        (upstream.name, upstream.dialects) = (name.to_owned(), Dialect::ALL.to_vec());
        (upstream.key, upstream.keyless) = (key.map(Into::into), keyless);
        config.upstreams.push(upstream);
    };
    add("other", Some(SERVERS), false);
    add("keyless", None, true);
    add("poor", None, false);
    let issued = ClientKeys::of([StoredClientKey {
        id: uuid::Uuid::from_u128(1),
        hash: *blake3::hash(ISSUED.as_bytes()).as_bytes(),
        caller: [9; 16],
        start: "lth-ababab".to_owned(),
        name: "fuzzed".to_owned(),
        limits: serde_json::json!({}),
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "fuzz".to_owned(),
        expires_at: None,
        revoked: None,
    }]);
    let modes = [AuthMode::Both, AuthMode::ClientKey, AuthMode::Passthrough];
    let of_mode = |mode: AuthMode| {
        let config = GatewayConfig { access: mode.into(), ..config.clone() };
        (mode, Keys::new(&config, issued.clone()))
    };
    let upstreams = Upstreams::with(&config, ServerCredentials::default(), &TaskTracker::new()).ok()?;
    Some(Stage { keys: modes.into_iter().map(of_mode).collect(), upstreams })
}

/// A target in the first line, headers in the others. `{…}` stands for a secret.
fn read(input: &[u8]) -> (String, HeaderMap) {
    let mut text = input.to_vec();
    for (name, secret) in [("{gateway}", GATEWAY), ("{issued}", ISSUED), ("{admin}", ADMIN), ("{basic-gateway}", BASIC)]
    {
        while let Some(at) = memchr::memmem::find(&text, name.as_bytes()) {
            text.splice(at..at + name.len(), secret.bytes());
        }
    }
    let mut lines = text.split(|byte| *byte == b'\n');
    let target = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(line[at + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (target, headers)
}

/// Checks one head: who is let in, and what of it goes upstream.
pub fn credentials(input: &[u8]) {
    let Some(stage) = stage() else { return };
    let (target, headers) = read(input);
    for method in [Method::GET, Method::POST] {
        let _ = routes::find(&method, &target, &headers, &["/v1/files/*".to_owned()]);
    }
    for (mode, keys) in &stage.keys {
        for dialect in Dialect::ALL {
            let authenticated = keys.authenticate(&headers, dialect, Timestamp::UNIX_EPOCH);
            let again = keys.authenticate(&headers, dialect, Timestamp::UNIX_EPOCH);
            let Ok(caller) = authenticated else {
                assert_eq!(authenticated.err(), again.err());
                continue;
            };
            let again = again.ok().map(|caller| (caller.identity, caller.trusted, caller.forward, caller.kind));
            assert_eq!(again, Some((caller.identity, caller.trusted, caller.forward.clone(), caller.kind)));
            assert!(caller.trusted || *mode != AuthMode::ClientKey, "nobody gets in without a gateway key");
            let vendors = caller.forward != Forward::ServerKey;
            assert!(vendors || *mode != AuthMode::Passthrough, "nobody gets in without a credential of its own");
            assert!(vendors || caller.trusted, "the server's key is for who brings a gateway key");
            for name in ["anthropic", "openai", "other", "keyless", "poor"] {
                let Some(upstream) = stage.upstreams.named(name) else { continue };
                let callers = stage.upstreams.is_callers(upstream, dialect);
                match keys.forward(&caller, upstream, callers) {
                    Ok(forward) => sent(keys, upstream, callers, dialect, (&target, &headers), &forward),
                    Err(_) => assert!(!callers && !upstream.keyless),
                }
            }
        }
    }
}

fn sent(
    keys: &Keys,
    upstream: &Upstream,
    callers: bool,
    dialect: Dialect,
    (target, headers): (&str, &HeaderMap),
    forward: &Forward,
) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let outgoing = Outgoing {
        dialect,
        method: Method::POST,
        path,
        query,
        headers: headers.clone(),
        forward,
        callers,
        converted: None,
        plain_answer: false,
        body_decoded: false,
        body: Bytes::new(),
    };
    let Ok(request) = prepare(upstream, keys, outgoing) else { return };
    let mut whole = vec![request.uri().to_string().into_bytes()];
    for (name, value) in request.headers() {
        whole.push(name.as_str().as_bytes().to_vec());
        whole.push(value.as_bytes().to_vec());
        assert!(!name.as_str().starts_with("x-luthien-"), "{name}");
    }
    assert!(!request.headers().values().any(is_basic), "the gateway key by the scheme Basic");
    for name in ["connection", "transfer-encoding", "te", "upgrade", "proxy-authorization", "host", "content-length"] {
        assert!(!request.headers().contains_key(name), "{name}");
    }
    for ours in [GATEWAY, ISSUED, ADMIN] {
        assert!(whole.iter().all(|text| !holds(text, ours)), "{ours} to {}", upstream.name);
    }
    let servers = whole.iter().any(|text| holds(text, SERVERS));
    assert!(!servers || *forward == Forward::ServerKey, "the server's key where it was not meant");
    let proves = [API_KEY, AUTHORIZATION].iter().any(|name| request.headers().contains_key(name));
    assert!(!proves || !upstream.keyless, "a credential for an upstream that asks for none");
    if callers && !upstream.keyless {
        return;
    }
    for name in [API_KEY, AUTHORIZATION, FORWARD_KEY] {
        for value in headers.get_all(&name) {
            let secret = bearer(value);
            let stands = |text: &[u8]| memchr::memmem::find(text, secret).is_some();
            // Shorter ones could stand anywhere.
            let elsewhere = secret.len() >= 8 && whole[1..].chunks(2).any(|header| stands(&header[1]));
            assert!(!elsewhere || *secret == *SERVERS.as_bytes(), "a caller's credential to {}", upstream.name);
        }
    }
}

/// A value that says the gateway key as Basic does.
fn is_basic(value: &HeaderValue) -> bool {
    let coded = value.as_bytes().trim_ascii().split_at_checked(6);
    coded
        .is_some_and(|(scheme, coded)| scheme.eq_ignore_ascii_case(b"basic ") && coded.trim_ascii() == BASIC.as_bytes())
}

/// Checks that the gateway's own cookie never goes on, whatever stands around it, and that others do where it is not there.
pub fn cookies(input: &[u8]) {
    let (_, brought) = read(&[b"\n", input].concat());
    let lines: Vec<HeaderValue> = brought.get_all(COOKIE).iter().cloned().collect();
    let mut headers = brought;
    strip_request(&mut headers);
    let own = |value: &HeaderValue| {
        let mut pairs = value.as_bytes().split(|byte| *byte == b';');
        pairs.any(|pair| {
            pair.split(|byte| *byte == b'=').next().is_some_and(|name| name.trim_ascii() == b"luthien_session")
        })
    };
    assert!(!headers.get_all(COOKIE).iter().any(own));
    let named = headers.contains_key(COOKIE);
    assert!(lines.iter().all(own) || named || lines.is_empty() || withdrawn(input), "{lines:?}");
}

/// `Connection` may name the cookies.
fn withdrawn(input: &[u8]) -> bool {
    let (_, brought) = read(&[b"\n", input].concat());
    brought.contains_key(http::header::CONNECTION)
}
