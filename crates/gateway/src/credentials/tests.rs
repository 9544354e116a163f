//! Which credential goes on, for every way of calling.

use super::*;
use crate::upstream::{Upstreams, testing};

fn upstream(key: Option<&str>, keyless: bool) -> Upstream {
    let mut config = testing::upstream("up", &Dialect::ALL);
    (config.key, config.keyless) = (key.map(Into::into), keyless);
    let all = Upstreams::new(&testing::config(vec![config]), &tokio_util::task::TaskTracker::new()).unwrap();
    all.named("up").unwrap().clone()
}

fn keys(mode: AuthMode) -> Keys {
    Keys {
        access: mode.into(),
        client: Some("gateway-key".into()),
        issued: ClientKeys::default(),
        admin: Some("admin-key".into()),
        identity: [7; 32],
    }
}

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn sent(keys: &Keys, mut headers: HeaderMap, dialect: Dialect) -> Result<HeaderMap, GatewayError> {
    let caller = keys.authenticate(&headers, Dialect::Messages, Timestamp::UNIX_EPOCH)?;
    keys.apply(&mut headers, &caller.forward, dialect, &upstream(Some("server-key"), false))?;
    Ok(headers)
}

#[test]
fn a_callers_own_credential_goes_on_as_it_came() {
    let both = map(&[("x-api-key", "sk-1"), ("authorization", "Bearer sk-1")]);
    assert_eq!(sent(&keys(AuthMode::Both), both.clone(), Dialect::Messages).unwrap(), both);
}

#[test]
fn the_gateway_key_is_exchanged_in_either_header_and_dialect() {
    let keys = keys(AuthMode::Both);
    for brought in [map(&[("x-api-key", "gateway-key")]), map(&[("authorization", "Bearer gateway-key")])] {
        assert_eq!(sent(&keys, brought.clone(), Dialect::Messages).unwrap(), map(&[("x-api-key", "server-key")]));
        assert_eq!(sent(&keys, brought, Dialect::Chat).unwrap(), map(&[("authorization", "Bearer server-key")]));
    }
}

#[test]
fn a_key_named_apart_is_forwarded_and_its_header_stripped() {
    let brought = map(&[("authorization", "Bearer gateway-key"), ("x-anthropic-api-key", "sk-ant-oat-1")]);
    let expected = map(&[("authorization", "Bearer sk-ant-oat-1")]);
    assert_eq!(sent(&keys(AuthMode::ClientKey), brought, Dialect::Messages).unwrap(), expected);
}

#[test]
fn gateway_keys_leave_in_no_header_and_no_query() {
    let keys = keys(AuthMode::Both);
    let brought =
        map(&[("x-api-key", "sk-1"), ("authorization", "Bearer gateway-key"), ("x-other", "see admin-key here")]);
    assert_eq!(sent(&keys, brought, Dialect::Messages).unwrap(), map(&[("x-api-key", "sk-1")]));
    assert_eq!(keys.clean_query("a=1&key=gateway-key&b=%20"), "a=1&b=%20");
    assert_eq!(keys.clean_query("a=1&key=gatew%61y%2Dkey&b=%20"), "a=1&b=%20");
}

#[test]
fn what_is_missing_or_of_the_wrong_kind_is_refused() {
    let refused = |mode, headers: &HeaderMap| {
        keys(mode).authenticate(headers, Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap_err()
    };
    assert_eq!(refused(AuthMode::Both, &HeaderMap::new()), GatewayError::NoCredential);
    assert_eq!(refused(AuthMode::Both, &map(&[("authorization", "Bearer ")])), GatewayError::NoCredential);
    let admin = refused(AuthMode::Both, &map(&[("x-api-key", "admin-key")]));
    assert_eq!(admin, GatewayError::BadCredential("the admin key is not for model traffic"));
    assert_eq!(refused(AuthMode::ClientKey, &map(&[("x-api-key", "sk-1")])).status(), 401);
    assert_eq!(refused(AuthMode::Passthrough, &map(&[("x-api-key", "gateway-key")])).status(), 401);
}

#[test]
fn without_a_server_key_the_gateway_key_is_worth_nothing() {
    let keys = keys(AuthMode::Both);
    let mut headers = map(&[("x-api-key", "gateway-key")]);
    let error = keys.apply(&mut headers, &Forward::ServerKey, Dialect::Messages, &upstream(None, false)).unwrap_err();
    assert_eq!(error, GatewayError::NoServerKey("up".to_owned()));
    assert!(headers.is_empty());
}

#[test]
fn credentials_are_told_apart_by_a_hash_that_hides_them() {
    let keys = keys(AuthMode::Both);
    let one =
        keys.authenticate(&map(&[("x-api-key", "sk-1")]), Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap().identity;
    let same = keys
        .authenticate(&map(&[("authorization", "Bearer sk-1")]), Dialect::Messages, Timestamp::UNIX_EPOCH)
        .unwrap()
        .identity;
    let other =
        keys.authenticate(&map(&[("x-api-key", "sk-2")]), Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap().identity;
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn another_upstream_gets_a_key_of_its_own_or_nothing_and_never_the_callers() {
    let keys = keys(AuthMode::Both);
    let own = keys.authenticate(&map(&[("x-api-key", "sk-1")]), Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap();
    let trusted = keys
        .authenticate(
            &map(&[("x-api-key", "sk-1"), ("authorization", "Bearer gateway-key")]),
            Dialect::Messages,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
    let with_key = upstream(Some("server-key"), false);
    assert_eq!(keys.forward(&own, &with_key, true), Ok(Forward::AsBrought));
    assert_eq!(keys.forward(&trusted, &with_key, true), Ok(Forward::AsBrought));
    assert_eq!(keys.forward(&trusted, &with_key, false), Ok(Forward::ServerKey));
    assert_eq!(keys.forward(&own, &with_key, false), Err(GatewayError::NotForCaller("up".to_owned())));
    assert_eq!(keys.forward(&trusted, &upstream(None, false), false), Err(GatewayError::NoOwnKey("up".to_owned())));
    for callers in [true, false] {
        assert!(keys.forward(&own, &upstream(None, true), callers).is_ok());
    }
    let open = Keys { client: None, ..self::keys(AuthMode::Both) };
    assert_eq!(open.forward(&own, &with_key, false), Ok(Forward::ServerKey));
}

#[test]
fn what_a_caller_proves_itself_with_is_taken_out_wherever_it_stands() {
    let mut headers = map(&[
        ("x-api-key", "canary-one"),
        ("authorization", "Bearer canary-two"),
        ("x-anthropic-api-key", "canary-three"),
        ("cookie", "a=1"),
        ("helicone-auth", "x"),
        ("x-copy", "of canary-two"),
        ("openai-organization", "org-1"),
        ("ocp-apim-subscription-key", "x"),
        ("x-functions-key", "x"),
        ("x-litellm-key", "x"),
        ("x-portkey-virtual-key", "x"),
        ("x-bf-vk", "x"),
        ("cf-access-jwt-assertion", "x"),
        ("x-goog-iap-jwt-assertion", "x"),
        ("x-keyboard", "qwerty"),
        ("anthropic-beta", "token-counting-2024-11-01"),
        ("user-agent", "agent/1"),
    ]);
    strip_callers(&mut headers);
    let left = [("x-keyboard", "qwerty"), ("anthropic-beta", "token-counting-2024-11-01"), ("user-agent", "agent/1")];
    assert_eq!(headers, map(&left));
    assert_eq!(without_secrets("%6Bey=1&api%5Fk%65y=1&a%=2"), "a%=2");
    assert_eq!(without_secrets("beta=true&key=1&api_key=2&x"), "beta=true&x");
}

#[test]
fn an_upstream_that_asks_for_no_key_gets_none() {
    let keys = keys(AuthMode::Both);
    for forward in [Forward::AsBrought, Forward::ServerKey, Forward::Given("k".parse().unwrap())] {
        let mut headers = map(&[("x-api-key", "sk-1"), ("authorization", "Bearer sk-2"), ("user-agent", "a")]);
        keys.apply(&mut headers, &forward, Dialect::Chat, &upstream(None, true)).unwrap();
        assert_eq!(headers, map(&[("user-agent", "a")]));
    }
}

#[test]
fn nobody_is_another_caller_by_a_name_of_its_own_making() {
    let identity = |headers: &[(&'static str, &str)]| {
        let open = Keys { client: None, ..keys(AuthMode::Both) };
        open.authenticate(&map(headers), Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap().identity
    };
    let own = identity(&[("x-api-key", "sk-1")]);
    for junk in ["Bearer junk-1", "Bearer junk-2"] {
        assert_eq!(identity(&[("authorization", junk), ("x-anthropic-api-key", "sk-1")]), own);
    }
    assert_ne!(identity(&[("authorization", "Bearer sk-1"), ("x-anthropic-api-key", "sk-2")]), own);
    assert_eq!(identity(&[("authorization", "bearer\tsk-1")]), own);
}

#[test]
fn who_brings_a_gateway_key_is_known_by_it_whatever_else_comes() {
    let both = keys(AuthMode::Both);
    let identity =
        |headers: &HeaderMap| both.authenticate(headers, Dialect::Messages, Timestamp::UNIX_EPOCH).unwrap().identity;
    let alone = identity(&map(&[("x-api-key", "gateway-key")]));
    for junk in ["junk-1", "junk-2"] {
        assert_eq!(identity(&map(&[("authorization", "Bearer gateway-key"), ("x-api-key", junk)])), alone);
        assert_eq!(identity(&map(&[("x-luthien-api-key", "gateway-key"), ("x-api-key", junk)])), alone);
    }
}

#[test]
fn of_two_credentials_of_its_own_a_caller_is_known_by_the_one_that_its_vendor_reads() {
    let open = Keys { client: None, ..keys(AuthMode::Both) };
    let identity = |dialect, headers: &[(&'static str, &str)]| {
        open.authenticate(&map(headers), dialect, Timestamp::UNIX_EPOCH).unwrap().identity
    };
    let one = identity(Dialect::Chat, &[("authorization", "Bearer sk-1")]);
    for dialect in [Dialect::Chat, Dialect::Responses] {
        assert_eq!(identity(dialect, &[("authorization", "Bearer sk-1"), ("x-api-key", "junk")]), one);
    }
    assert_eq!(identity(Dialect::Messages, &[("authorization", "Bearer junk"), ("x-api-key", "sk-1")]), one);
}

#[test]
fn a_credentials_header_comes_once() {
    let refused = |headers: &HeaderMap| {
        keys(AuthMode::Both).authenticate(headers, Dialect::Messages, Timestamp::UNIX_EPOCH).is_err()
    };
    for name in ["x-api-key", "authorization", "x-luthien-api-key", "x-anthropic-api-key"] {
        let mut twice = map(&[("x-api-key", "gateway-key")]);
        twice.append(HeaderName::from_static(name), "gateway-key".parse().unwrap());
        twice.append(HeaderName::from_static(name), "other".parse().unwrap());
        assert!(refused(&twice), "{name}");
    }
}
