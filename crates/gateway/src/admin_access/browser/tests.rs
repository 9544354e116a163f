//! Where a login may lead, which requests a page of our own has made, and which came straight from this machine.

use std::net::Ipv4Addr;

use axum::http::HeaderValue;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

#[rstest]
#[case("/")]
#[case("/history")]
#[case("/conversation/live/a%20b")]
#[case("/history?q=a//b&from=http://x&path=%5C")]
#[case("/diffs#//x")]
#[case("/config/")]
fn local_paths_are_kept(#[case] next: &str) {
    assert_eq!(local_target(next), next);
}

#[rstest]
#[case::nothing("")]
#[case::no_slash("history")]
#[case::a_host("//evil.example")]
#[case::three_slashes("///evil.example")]
#[case::inner_slashes("/a//evil.example")]
#[case::a_backslash("/\\evil.example")]
#[case::backslashes("\\\\evil.example")]
#[case::a_backslash_later("/a\\b")]
#[case::a_backslash_in_the_query("/a?b=\\")]
#[case::a_scheme("https://evil.example")]
#[case::a_script("javascript:alert(1)")]
#[case::data("data:text/html,x")]
#[case::a_tab("/\t/evil.example")]
#[case::a_line("/\n/evil.example")]
#[case::a_header("/a\r\nSet-Cookie: x=1")]
#[case::a_nul("/\0/evil")]
#[case::a_space(" //evil.example")]
#[case::not_ascii("/\u{ff0f}evil.example")]
#[case::escaped_slash("/%2fevil.example")]
#[case::escaped_slash_in_capitals("/%2Fevil.example")]
#[case::escaped_backslash("/%5cevil.example")]
#[case::escaped_twice("/%252fevil.example")]
#[case::escaped_thrice("/%25252fevil.example")]
#[case::escaped_often("/%2525252525252fevil.example")]
#[case::escaped_tab("/%09/evil.example")]
#[case::escaped_line("/a%0d%0aSet-Cookie:x")]
#[case::dots("/../evil")]
#[case::dots_at_the_end("/a/..")]
#[case::escaped_dots("/%2e%2e//evil.example")]
#[case::dots_before_a_host("/.//evil.example")]
#[case::another_login("/login?token=ltl-0")]
#[case::an_escaped_login("/%6cogin?token=ltl-0")]
#[case::a_logout("/auth/logout")]
fn anything_else_leads_to_the_front_page(#[case] next: &str) {
    assert_eq!(local_target(next), "/");
}

#[test]
fn long_targets_are_none() {
    assert_eq!(local_target(&format!("/{}", "a".repeat(LONGEST))), "/");
}

proptest! {
    #[test]
    fn a_target_stays_on_this_host(next in r"[/\\%2fF5cC.a:@?# \t\n\r0e]{0,24}|.{0,40}|/[!-~]{0,30}") {
        let target = local_target(&next);
        prop_assert!(target == "/" || target == next);
        prop_assert!(target.starts_with('/') && !target.starts_with("//"));
        prop_assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
        let base = url::Url::parse("http://gateway.example:8000/login").unwrap();
        let joined = base.join(target).unwrap();
        prop_assert_eq!(joined.origin(), base.origin());
        prop_assert!(!joined.path().starts_with("//"));
    }
}

#[rstest]
#[case::our_page(&[("sec-fetch-site", "same-origin"), ("host", "a:1")], true)]
#[case::typed(&[("sec-fetch-site", "none")], true)]
#[case::our_origin(&[("origin", "http://a:1"), ("host", "a:1")], true)]
#[case::our_origin_behind_tls(&[("origin", "https://A.example"), ("host", "a.example")], true)]
#[case::another_site(&[("sec-fetch-site", "cross-site"), ("origin", "http://a:1"), ("host", "a:1")], false)]
#[case::a_sibling(&[("sec-fetch-site", "same-site")], false)]
#[case::said_twice(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false)]
#[case::another_origin(&[("origin", "http://evil"), ("host", "a:1")], false)]
#[case::another_port(&[("origin", "http://a:2"), ("host", "a:1")], false)]
#[case::no_origin(&[("origin", "null"), ("host", "a:1")], false)]
#[case::an_origin_named_null(&[("origin", "null"), ("host", "null")], false)]
#[case::two_origins(&[("origin", "http://a:1"), ("origin", "http://a:1"), ("host", "a:1")], false)]
#[case::another_scheme(&[("origin", "ftp://a:1"), ("host", "a:1")], false)]
#[case::neither(&[("host", "a:1")], false)]
#[case::no_host(&[("origin", "http://a:1")], false)]
fn what_a_page_of_our_own_made_is_told_from_the_rest(
    #[case] given: &[(&'static str, &'static str)],
    #[case] ours: bool,
) {
    assert_eq!(same_origin(&headers(given), &Uri::from_static("/x")), ours);
}

#[test]
fn over_http_2_the_host_is_in_the_uri() {
    let given = headers(&[("origin", "http://a:1")]);
    assert!(same_origin(&given, &Uri::from_static("http://a:1/x")));
}

const HERE: (&str, &str) = ("host", "127.0.0.1:8000");

#[rstest]
#[case::plain(&[HERE], true)]
#[case::by_name(&[("host", "localhost:8000")], true)]
#[case::version_six(&[("host", "[::1]:8000")], true)]
#[case::our_page(&[HERE, ("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "same-origin")], true)]
#[case::no_host(&[], false)]
#[case::a_foreign_host(&[("host", "evil.example")], false)]
#[case::a_host_that_begins_so(&[("host", "localhost.evil.example")], false)]
#[case::a_host_with_a_user(&[("host", "localhost@evil.example")], false)]
#[case::two_hosts(&[HERE, ("host", "evil.example")], false)]
#[case::a_foreign_origin(&[HERE, ("origin", "http://evil.example")], false)]
#[case::another_local_port(&[HERE, ("origin", "http://127.0.0.1:3000")], false)]
#[case::no_origin(&[HERE, ("origin", "null")], false)]
#[case::another_site(&[HERE, ("sec-fetch-site", "cross-site")], false)]
#[case::a_sibling(&[HERE, ("sec-fetch-site", "same-site")], false)]
#[case::forwarded(&[HERE, ("forwarded", "for=127.0.0.1")], false)]
#[case::forwarded_for(&[HERE, ("x-forwarded-for", "127.0.0.1")], false)]
#[case::forwarded_proto(&[HERE, ("x-forwarded-proto", "http")], false)]
#[case::forwarded_of_some_sort(&[HERE, ("x-forwarded-whatever", "")], false)]
#[case::real_ip(&[HERE, ("x-real-ip", "127.0.0.1")], false)]
#[case::via(&[HERE, ("via", "1.1 proxy")], false)]
#[case::cloudflare(&[HERE, ("cf-connecting-ip", "1.2.3.4")], false)]
fn only_what_comes_straight_from_this_machine_is_let_through(
    #[case] given: &[(&'static str, &'static str)],
    #[case] straight: bool,
) {
    let uri = Uri::from_static("/api/x");
    assert_eq!(straight_from_here(&headers(given), &uri, Ipv4Addr::LOCALHOST.into()), straight);
    assert!(!straight_from_here(&headers(given), &uri, Ipv4Addr::new(10, 0, 0, 1).into()), "from another machine");
}

#[rstest]
#[case(&[("cookie", "a=b; luthien_session=one; luthien_session=two")], &["one", "two"])]
#[case(&[("cookie", "xluthien_session=one"), ("cookie", "luthien_session=two")], &["two"])]
#[case(&[("cookie", "luthien_session")], &[])]
fn cookies_of_our_name_are_found(#[case] given: &[(&'static str, &'static str)], #[case] expected: &[&str]) {
    let headers = headers(given);
    let found: Vec<_> = cookies(&headers).map(|value| std::str::from_utf8(value).unwrap()).collect();
    assert_eq!(found, expected);
}

#[rstest]
#[case("https", true)]
#[case("HTTPS, http", true)]
#[case("http, https", false)]
#[case("", false)]
fn https_is_what_the_first_proxy_says(#[case] value: &'static str, #[case] expected: bool) {
    assert_eq!(came_by_https(&headers(&[("x-forwarded-proto", value)])), expected);
}
