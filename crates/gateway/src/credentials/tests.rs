//! Which credential goes on, for every way of calling.

use super::*;

fn keys(mode: AuthMode) -> Keys {
    Keys { mode, client: Some("gateway-key".into()), admin: Some("admin-key".into()), identity: [7; 32] }
}

fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn sent(keys: &Keys, mut headers: HeaderMap, dialect: Dialect) -> Result<HeaderMap, GatewayError> {
    let caller = keys.authenticate(&headers)?;
    keys.apply(&mut headers, &caller.forward, dialect, "up", Some(&"server-key".into()))?;
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
}

#[test]
fn what_is_missing_or_of_the_wrong_kind_is_refused() {
    let refused = |mode, headers: &HeaderMap| keys(mode).authenticate(headers).unwrap_err();
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
    let error = keys.apply(&mut headers, &Forward::ServerKey, Dialect::Messages, "anthropic", None).unwrap_err();
    assert_eq!(error, GatewayError::NoServerKey("anthropic".to_owned()));
    assert!(headers.is_empty());
}

#[test]
fn credentials_are_told_apart_by_a_hash_that_hides_them() {
    let keys = keys(AuthMode::Both);
    let one = keys.authenticate(&map(&[("x-api-key", "sk-1")])).unwrap().identity;
    let same = keys.authenticate(&map(&[("authorization", "Bearer sk-1")])).unwrap().identity;
    let other = keys.authenticate(&map(&[("x-api-key", "sk-2")])).unwrap().identity;
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn keys_in_a_query_do_not_reach_the_record() {
    assert_eq!(
        redact_query("/v1/messages?beta=true&api_key=canary&Key=c2"),
        "/v1/messages?beta=true&api_key=[redacted]&Key=[redacted]"
    );
    assert_eq!(redact_query("/v1/messages"), "/v1/messages");
}
