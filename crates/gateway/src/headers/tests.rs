//! Which headers pass and which are recorded.

use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

#[test]
fn a_request_loses_the_connections_and_the_gateways_headers_and_those_that_make_another_of_it() {
    let mut headers = map(&[
        ("host", "gateway"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic secret"),
        ("expect", "100-continue"),
        ("content-length", "3"),
        ("x-luthien-user-id", "me"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/v1/responses/resp_1"),
        ("anthropic-beta", "one"),
        ("anthropic-beta", "two"),
        ("user-agent", "agent"),
    ]);
    strip_request(&mut headers);
    assert_eq!(headers, map(&[("anthropic-beta", "one"), ("anthropic-beta", "two"), ("user-agent", "agent")]));
}

#[test]
fn only_the_gateways_own_cookie_is_taken_out() {
    let mut headers =
        map(&[("cookie", "a=1; luthien_session=secret; b=2"), ("cookie", "luthien_session=x"), ("cookie", "c=3;d=4")]);
    strip_request(&mut headers);
    assert_eq!(headers, map(&[("cookie", "a=1; b=2"), ("cookie", "c=3;d=4")]));
}

#[test]
fn bytes_that_are_no_text_do_not_hide_the_gateways_own_cookie() {
    let cookie = |bytes: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_bytes(bytes).unwrap());
        headers
    };
    let mut headers = cookie(b"a=\xff; luthien_session =secret;b=\xe9");
    strip_request(&mut headers);
    assert_eq!(headers, cookie(b"a=\xff; b=\xe9"));
}
