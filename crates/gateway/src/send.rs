//! Sends a request to the upstream that serves it, and where that one cannot answer, to the next.
//!
//! Only before the first byte of an answer: once an answer has begun, it is the one.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request as HttpRequest, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use luthien_policy::contract::Sending;
use luthien_record::recorder::SentRequest;
use luthien_wire::Dialect;
use luthien_wire::convert::AnswerContext;
use luthien_wire::request::Request;
use serde_json::json;

use crate::activity::bounds::{NAME, short};
use crate::activity::note::Settled;
use crate::credentials::{Caller, Forward, Keys};
use crate::errors::GatewayError;
use crate::headers::{DROPPED, FALLBACK, UPSTREAM, header_text};
use crate::receive::Received;
use crate::routes::Route;
use crate::transaction::Transaction;
use crate::upstream::choice::Target;
use crate::upstream::execute::execute;
use crate::upstream::fit::{Fitted, fit};
use crate::upstream::prepare::{Outgoing, prepare};
use crate::upstream::{Upstream, Upstreams};

/// A request that the policies have seen.
pub(crate) struct Asking<'a> {
    pub(crate) route: &'a Route,
    pub(crate) head: Parts,
    pub(crate) caller: Caller,
    pub(crate) received: Received,
    /// None for side endpoints, whose bodies nobody reads.
    pub(crate) request: Option<Request>,
    /// Policies have changed it.
    pub(crate) changed: bool,
    /// Where and with what policies want it sent.
    pub(crate) sending: Sending,
    /// The answer will be read while it comes.
    pub(crate) read_on: bool,
}

/// An upstream's answer, its body still to come.
pub(crate) struct Answered<'u> {
    pub(crate) upstream: &'u Upstream,
    pub(crate) response: Response<Incoming>,
    /// It is in another dialect than the client's.
    pub(crate) conversion: Option<AnswerContext>,
}

/// A request that can be sent.
struct Ready<'u> {
    upstream: &'u Upstream,
    request: HttpRequest<Full<Bytes>>,
    /// The body as the record keeps it, decoded.
    sent: Bytes,
    /// What it calls the model, where that is not what the request says.
    model: Option<String>,
    dialect: Dialect,
    dropped: Vec<String>,
    added: Vec<String>,
    answer: Option<AnswerContext>,
}

/// The answer of the first upstream that has one. Where all fail, that of the last.
pub(crate) async fn send<'u>(
    upstreams: &'u Upstreams,
    keys: &Keys,
    transaction: &mut Transaction,
    mut asking: Asking<'_>,
) -> Result<Answered<'u>, GatewayError> {
    let dialect = asking.route.dialect;
    // A stored prompt names its model itself, at the vendor that keeps it.
    let model = asking.request.as_ref().map(Request::model).filter(|model| !model.is_empty());
    let mut targets = match &asking.sending.upstream {
        Some(name) => {
            let chosen = upstreams.chosen(dialect, model, name);
            vec![chosen.ok_or_else(|| GatewayError::NoSuchUpstream(name.clone()))?]
        }
        None => upstreams.targets(dialect, model),
    };
    if let (Some(first), true) = (targets.first().map(|first| &first.upstream.name), is_bound(asking.request.as_ref()))
    {
        // Another vendor knows nothing of what this one keeps.
        let first = first.clone();
        targets.retain(|target| target.upstream.name == first);
    }
    let mut left = targets.into_iter();
    let mut headers = std::mem::take(&mut asking.head.headers);
    // Copied only where another attempt may need them.
    let spare = |headers: &mut HeaderMap, more: bool| if more { headers.clone() } else { std::mem::take(headers) };
    let mut refusal = None;
    let mut ready = loop {
        let Some(target) = left.next() else { return Err(refusal.unwrap_or(GatewayError::NoUpstream(dialect))) };
        let own = spare(&mut headers, left.len() > 0);
        match make_ready(upstreams, keys, transaction, &asking, &target, own) {
            Ok(ready) => break ready,
            Err(error) => {
                if left.len() > 0 {
                    skipped(transaction, target.upstream, &error);
                }
                // What the first one minds is what the caller asked for.
                refusal = refusal.or(Some(error));
            }
        }
    };
    let mut failures: Vec<String> = Vec::new();
    loop {
        transaction.mark(UPSTREAM, ready.upstream.label.clone());
        announce(transaction, &ready, dialect);
        let (upstream, conversion) = (ready.upstream, ready.answer);
        let edited = asking.request.as_ref().map_or(&asking.received.decoded, Request::body);
        let url = transaction.masked_url(&ready.request.uri().to_string());
        let sent = SentRequest {
            upstream: &upstream.name,
            method: ready.request.method().as_str(),
            url: &url,
            dialect: ready.dialect,
            edited,
            body: &ready.sent,
        };
        transaction.recording().with(|record| record.upstream_request(&sent));
        let settled = || Settled {
            final_model: short(ready.model.as_deref().or(model).unwrap_or_default(), NAME).into_owned(),
            changed: asking.changed,
            bytes: ready.sent.len(),
        };
        transaction.sent(settled, (upstream.label.clone(), ready.dialect, ready.sent.len()));
        transaction.note_outbound(&ready.request, &url);
        let outcome = execute(upstream, ready.request).await;
        let answered = |response| Answered { upstream, response, conversion };
        let Some(why) = failure(&outcome) else { return outcome.map(answered) };
        let next = loop {
            let Some(target) = left.next() else { break None };
            let own = spare(&mut headers, left.len() > 0);
            match make_ready(upstreams, keys, transaction, &asking, &target, own) {
                Ok(next) => break Some(next),
                Err(error) => skipped(transaction, target.upstream, &error),
            }
        };
        let Some(next) = next else { return outcome.map(answered) };
        let (from, to) = (&upstream.name, &next.upstream.name);
        tracing::warn!(transaction_id = %transaction.id, %from, %to, why, "an upstream cannot answer, its fallback is asked");
        transaction.event("transaction.fallback", json!({"from": from, "to": to, "why": why}));
        failures.push(format!("{from} ({why})"));
        transaction.mark(FALLBACK, header_text(&failures.join(", ")));
        ready = next;
    }
}

/// The request for one upstream, with everything that could be wrong about it found out.
fn make_ready<'u>(
    upstreams: &Upstreams,
    keys: &Keys,
    transaction: &Transaction,
    asking: &Asking<'_>,
    target: &Target<'u>,
    headers: HeaderMap,
) -> Result<Ready<'u>, GatewayError> {
    let Asking { route, head, caller, received, request, changed, sending, read_on } = asking;
    let upstream = target.upstream;
    // With a policy's credential goes nothing of the caller's.
    let (forward, callers) =
        match sending.credential.as_ref().filter(|given| upstreams.is_for(given, target, route.dialect)) {
            Some(given) => (Forward::policys(&given.secret)?, false),
            None => (keys.forward(caller, upstream, target.callers)?, target.callers),
        };
    let mut fitted = fit(target, route, request.as_ref(), *changed, transaction.id)?;
    let outgoing = Outgoing {
        dialect: fitted.dialect,
        method: head.method.clone(),
        path: &fitted.path,
        query: head.uri.query().unwrap_or_default(),
        headers,
        forward: &forward,
        callers,
        converted: fitted.answer.is_some().then_some(request.as_ref().is_some_and(Request::stream)),
        plain_answer: *read_on || fitted.answer.is_some(),
        body_decoded: fitted.body.is_some(),
        body: fitted.body.clone().unwrap_or_else(|| received.sent.clone()),
    };
    let prepared = prepare(upstream, keys, outgoing)?;
    let sent = fitted.body.take().unwrap_or_else(|| received.decoded.clone());
    let Fitted { dialect, dropped, added, answer, .. } = fitted;
    let model = target.model.clone();
    Ok(Ready { upstream, request: prepared, sent, model, dialect, dropped, added, answer })
}

/// Tells client and record that a request is converted, what it has lost, and what was put in.
fn announce(transaction: &mut Transaction, ready: &Ready<'_>, from: Dialect) {
    let (to, dropped, added) = (ready.dialect, &ready.dropped, &ready.added);
    if ready.answer.is_some() || !dropped.is_empty() {
        let upstream = &ready.upstream.name;
        let data = json!({"upstream": upstream, "from": from, "to": to, "dropped": dropped, "added": added});
        transaction.event("transaction.converted", data);
    }
    transaction.unmark(DROPPED);
    if !dropped.is_empty() {
        transaction.mark(DROPPED, header_text(&dropped.join(", ")));
    }
    if !added.is_empty() {
        transaction.mark_too(DROPPED, &format!("added: {}", added.join(", ")));
    }
}

/// The request goes on from what one vendor keeps, or is to be kept there.
fn is_bound(request: Option<&Request>) -> bool {
    let Some(request) = request.filter(|request| request.dialect() == Dialect::Responses) else { return false };
    let says = |name: &str| request.raw(name).is_some_and(|value| !matches!(value, "null" | "false"));
    ["previous_response_id", "conversation", "prompt", "background"].into_iter().any(says)
}

/// An upstream that cannot be asked at all is passed over where another one is left.
fn skipped(transaction: &Transaction, upstream: &Upstream, error: &GatewayError) {
    tracing::warn!(transaction_id = %transaction.id, upstream = upstream.name, %error, "an upstream cannot be asked, its fallback is");
    let data = json!({"upstream": upstream.name, "why": error.to_string()});
    transaction.event("transaction.fallback_skipped", data);
}

/// Why the next upstream is asked in place of one that ended so; `None` where its answer is the answer.
fn failure(outcome: &Result<Response<Incoming>, GatewayError>) -> Option<String> {
    let why = match outcome {
        Ok(response) => {
            let status = response.status();
            let passing = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            return (passing || status.is_server_error()).then(|| status.as_u16().to_string());
        }
        Err(GatewayError::Unreachable { .. } | GatewayError::ConnectTimeout { .. }) => "unreachable",
        Err(GatewayError::UpstreamTimeout { .. }) => "timeout",
        Err(GatewayError::UpstreamBroken { .. }) => "broken",
        Err(_) => return None,
    };
    Some(why.to_owned())
}
