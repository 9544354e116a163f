//! What a request's headers say of the browser that sent it: its cookies, the site that it came from, and whether it came straight
//! from this machine.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri, header};

/// The cookie's name.
pub(crate) const COOKIE: &str = "luthien_session";

/// How many cookies of our name are looked at: what else runs on this host can set some.
const MOST_COOKIES: usize = 8;

/// Longer targets are none.
const LONGEST: usize = 2000;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The values of our cookie.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let all = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let ours = all.filter_map(|cookie| cookie.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="));
    ours.take(MOST_COOKIES)
}

/// Whether a browser says that a page of this gateway's own, or the person at it, made the request. A browser always says one of the
/// two, and no page can change either.
pub(crate) fn same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    if headers.contains_key(FETCH_SITE) {
        matches!(only(headers, &FETCH_SITE), Some("same-origin" | "none"))
    } else {
        of_this_host(headers, uri)
    }
}

/// There is an `Origin`, and it is the host that was asked.
fn of_this_host(headers: &HeaderMap, uri: &Uri) -> bool {
    let origin = only(headers, &header::ORIGIN)
        .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    origin.zip(host(headers, uri)).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    if headers.contains_key(header::HOST) {
        only(headers, &header::HOST)
    } else {
        uri.authority().map(Authority::as_str)
    }
}

/// The value of a header that came once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether a request came from this machine, to this machine's own name, through nobody, and from no other site's page.
pub(crate) fn straight_from_here(headers: &HeaderMap, uri: &Uri, peer: IpAddr) -> bool {
    /// What proxies add.
    const FORWARDING: [&str; 12] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-original-host",
        "x-originating-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "x-proxyuser-ip",
    ];
    let forwarded = |name: &HeaderName| name.as_str().starts_with("x-forwarded") || FORWARDING.contains(&name.as_str());
    let here =
        host(headers, uri).and_then(|host| host.parse::<Authority>().ok()).is_some_and(|host| is_here(host.host()));
    let foreign_page = headers.contains_key(header::ORIGIN) && !of_this_host(headers, uri)
        || headers.contains_key(FETCH_SITE) && !same_origin(headers, uri);
    peer.to_canonical().is_loopback() && !headers.keys().any(forwarded) && here && !foreign_page
}

/// Whether a host's name, without a port, is this machine's own.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Whether the client speaks `https`, as the proxy before the gateway says. All that hangs on it is the cookie's `Secure`.
pub(crate) fn came_by_https(headers: &HeaderMap) -> bool {
    let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()).unwrap_or_default();
    proto.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

/// Where a login leads: a path of this gateway's own, else `/`.
pub(crate) fn local_target(next: &str) -> &str {
    if is_local(next) { next } else { "/" }
}

fn is_local(next: &str) -> bool {
    // Browsers drop some control characters, and take `\` for `/`.
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = next.split(['?', '#']).next().unwrap_or_default();
    plain && next.len() <= LONGEST && path.starts_with('/') && is_plain_path(path) && !is_login(path)
}

/// Whether no way of reading a path, with its escapes undone once or more, makes it lead elsewhere.
fn is_plain_path(path: &str) -> bool {
    let mut path = path.as_bytes().to_vec();
    for _ in 0..4 {
        let steps: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
        let (last, before) = steps.split_last().map_or((&b""[..], &[][..]), |(last, before)| (*last, before));
        let dots = |step: &[u8]| step == b"." || step == b"..";
        let bad = path.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\');
        if bad || dots(last) || before.iter().any(|step| step.is_empty() || dots(step)) {
            return false;
        }
        let read = crate::credentials::unescaped(&String::from_utf8_lossy(&path));
        if read == path {
            return true;
        }
        path = read;
    }
    // Nobody escapes so often who means well.
    false
}

/// What begins or ends a session is no target: a link could make somebody else of whoever logs in.
fn is_login(path: &str) -> bool {
    let path = crate::credentials::unescaped(path);
    path.starts_with(b"/login") || path.starts_with(b"/auth/")
}

#[cfg(test)]
mod tests;
