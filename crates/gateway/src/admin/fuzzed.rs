//! Queries and bodies of admin calls, for fuzzing: every reader takes every input without a panic, and what it refuses has a place.

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::http::Request;
use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::form::Form;
use super::params::{self, Params};

/// The names that calls use, and one that none does.
const NAMES: [&str; 12] =
    ["name", "limit", "offset", "from", "to", "q", "policy", "policy_class_ref", "config", "mode", "expires_at", "for"];

/// Checks one input, as a query and as a body.
pub fn fuzzed(input: &[u8]) {
    query(input);
    body(input);
}

fn query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(request) = Request::builder().uri(format!("/api?{text}")).body(()) else { return };
    let (mut head, ()) = request.into_parts();
    let Some(Ok(mut params)) = Params::from_request_parts(&mut head, &()).now_or_never() else { return };
    for name in NAMES {
        let text = params.text(name);
        assert!(text.is_none_or(|text| !text.is_empty()));
        assert!((1..=50).contains(&params.number(name, 7, &(1..=50))));
        params.switch(name);
        params.time(name);
    }
    let _ = params.finish();
}

fn body(input: &[u8]) {
    let Some(Ok(members)) = params::object(Body::from(input.to_vec())).now_or_never() else { return };
    let mut form = Form::new(&members);
    for name in NAMES {
        form.text(name);
        form.number(name);
        form.spec_in(name);
    }
    form.spec();
    let end = form.end(Timestamp::UNIX_EPOCH);
    assert!(end.is_none_or(|end| end > Timestamp::UNIX_EPOCH), "an end that has passed");
    form.only(&NAMES);
    let known = members.keys().all(|name| NAMES.contains(&name.as_str()));
    assert!(form.finish().is_err() || known, "an unknown field passes");
}
