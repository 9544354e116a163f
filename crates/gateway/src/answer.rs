//! What goes back to the client: an upstream's answer, reviewed, or the gateway's own.

mod converted;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, TRAILER, UPGRADE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use hyper::body::Incoming;
use luthien_policy::engine::synthetic_turn;
use luthien_policy::plan::Reviews;
use luthien_record::model::{Evaluation, Status};
use luthien_wire::request::Request;
use serde_json::Value;

use self::converted::Belonging;
use crate::body::convert::Convert;
use crate::body::decoded::Decoded;
use crate::body::delivery::Delivery;
use crate::body::gather::Gather;
use crate::body::keep_alive::KeepAlive;
use crate::body::opaque::Opaque;
use crate::body::pass::Pass;
use crate::body::rewrite::{Rewrite, evaluation};
use crate::body::tee::Tee;
use crate::body::trailed::{Told, Trailed};
use crate::body::watchdog::Watchdog;
use crate::body::whole::Whole;
use crate::body::{GatewayBody, Source};
use crate::decode_body::{Encoding, decode, encodings};
use crate::errors::{Fault, GatewayError};
use crate::headers::{DROPPED, POLICY, SHOULD_RETRY, mark, strip_hop_by_hop};
use crate::live::InForce;
use crate::routes::Route;
use crate::send::Answered;
use crate::transaction::{Outcome, Transaction};
use crate::upstream::Upstream;
use crate::way::Core;
use crate::whole_body::collect;

/// An answer that is ready to be written.
pub(crate) struct Answer {
    head: Parts,
    content: Content,
    /// What policies did, where that is known before the head goes out.
    evaluated: Option<Evaluation>,
}

/// What an answer consists of.
enum Content {
    Whole { bytes: Bytes, outcome: Outcome },
    Unwatched(Source),
    Watched(Gather<Source>, Reviews),
    WatchedDecoded(Decoded, Reviews),
    UnwatchedConverted(Convert),
    WatchedConverted(Convert, Reviews),
    Opaque(Source),
}

/// Turns an upstream's response into the client's: decodes it as far as somebody watches and asks the policies.
pub(crate) async fn of_upstream(
    core: &Core,
    transaction: &mut Transaction,
    answered: Answered<'_>,
    route: &Route,
    wants_stream: bool,
    reviews: Option<Reviews>,
) -> Result<Answer, GatewayError> {
    let Answered { upstream, response, conversion } = answered;
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    let recording = transaction.recording();
    recording.upstream_answered(head.status.as_u16(), &head.headers);
    strip_hop_by_hop(&mut head.headers);
    let reviews = reviews.filter(|_| head.status.is_success());
    if let Some(context) = conversion {
        let belonging = Belonging { core, upstream, route, wants_stream };
        return belonging.answer(transaction, context, reviews, head, body).await;
    }
    if !head.status.is_success() || is_bodiless(head.status) || !is_stream(&head.headers, wants_stream) {
        return whole(core, transaction, upstream, reviews, head, body).await;
    }
    let coded = encodings(&head.headers);
    let plain = coded.as_ref().is_ok_and(Vec::is_empty);
    let tee = |body| Watchdog::new(Tee::new(body, recording.clone()), upstream.idle, transaction.interrupt());
    let content = match reviews {
        Some(reviews) => {
            own_body(&mut head.headers);
            if plain {
                Content::Watched(Gather::new(tee(body)), reviews)
            } else {
                let coded = coded.map_err(|_| undecodable(upstream))?;
                head.headers.remove(CONTENT_ENCODING);
                let watchdog = Watchdog::new(body, upstream.idle, transaction.interrupt());
                Content::WatchedDecoded(Decoded::new(watchdog, &coded, recording.clone()), reviews)
            }
        }
        None if plain && route.kind.is_reviewed() => {
            own_body(&mut head.headers);
            Content::Unwatched(tee(body))
        }
        None => Content::Opaque(tee(body)),
    };
    Ok(Answer { head, content, evaluated: None })
}

/// An answer that is not streamed: read to its end, so that a broken one becomes a clean error.
async fn whole(
    core: &Core,
    transaction: &mut Transaction,
    upstream: &Upstream,
    reviews: Option<Reviews>,
    mut head: Parts,
    body: Incoming,
) -> Result<Answer, GatewayError> {
    let recording = transaction.recording().clone();
    let body = Watchdog::new(body, upstream.idle, transaction.interrupt());
    let raw = collect(body, core.limits.response_bytes, upstream, &recording).await?;
    let coded = encodings(&head.headers);
    let plain = match &coded {
        Ok(none) if none.is_empty() => Ok(raw.clone()),
        Ok(coded) => decoded(raw.clone(), coded, core.limits.response_bytes, upstream).await,
        Err(_) => Err(undecodable(upstream)),
    };
    recording.upstream_bytes(plain.as_ref().unwrap_or(&raw));
    let status = head.status;
    let refused = status.is_client_error() || status.is_server_error();
    let Some(reviews) = reviews else {
        let mut outcome = Outcome::completed(Evaluation::None);
        if refused {
            outcome.status = Status::UpstreamError;
            outcome.error = Some(format!("the upstream answered {}", status.as_u16()));
        }
        return Ok(Answer { head, content: Content::Whole { bytes: raw, outcome }, evaluated: None });
    };
    let plain = plain?;
    if let Some(Err(error)) = transaction.calls.as_mut().map(|calls| calls.whole_came(&plain)) {
        return Err(transaction.not_handed_out(error));
    }
    let reviewed = reviews.whole(plain.clone()).await;
    reviews.end();
    if let Some(calls) = &mut transaction.calls {
        calls.whole_went(&reviewed.body, reviewed.summary, reviewed.body != plain);
    }
    let evaluation = evaluation(reviewed.summary);
    let bytes = if reviewed.body == plain {
        raw
    } else {
        own_body(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        recording.own_answer(&reviewed.body);
        reviewed.body
    };
    let content = Content::Whole { bytes, outcome: Outcome::completed(evaluation) };
    Ok(Answer { head, content, evaluated: Some(evaluation) })
}

async fn decoded(raw: Bytes, coded: &[Encoding], limit: usize, upstream: &Upstream) -> Result<Bytes, GatewayError> {
    decode(raw, coded, limit).await.map_err(|_| undecodable(upstream))
}

fn undecodable(upstream: &Upstream) -> GatewayError {
    GatewayError::UpstreamBroken {
        upstream: upstream.name.clone(),
        why: "its compressed answer cannot be decoded".to_owned(),
    }
}

/// There is never a body with this status.
fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT)
}

/// The answer is a stream: it says so, or it was asked for and is neither JSON nor of a known length.
fn is_stream(headers: &HeaderMap, wanted: bool) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    kind.starts_with(b"text/event-stream")
        || (wanted && !kind.starts_with(b"application/json") && !headers.contains_key(CONTENT_LENGTH))
}

/// Takes out what was true of the upstream's bytes and need not be of the client's.
fn own_body(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ETAG);
    for name in ["content-md5", "digest", "content-digest", "repr-digest"] {
        headers.remove(name);
    }
}

/// The active policies and what they did, for the head of a whole answer.
fn policy_header(in_force: &InForce, evaluation: Evaluation) -> HeaderValue {
    let word = match evaluation {
        Evaluation::None => "none",
        Evaluation::Passed => "passed",
        Evaluation::Intervened => "intervened",
        Evaluation::FailedOpen => "failed_open",
        Evaluation::NotEvaluated => "not_evaluated",
    };
    HeaderValue::from_str(&format!("{}; evaluation={word}", in_force.label()))
        .unwrap_or_else(|_| in_force.header().clone())
}

/// An answer of the gateway's own, in JSON.
pub(crate) fn own_json(transaction: &Transaction, value: &Value) -> Answer {
    let (mut head, ()) = Response::new(()).into_parts();
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let bytes = Bytes::from(value.to_string());
    transaction.recording().own_answer(&bytes);
    Answer { head, content: Content::Whole { bytes, outcome: Outcome::completed(Evaluation::None) }, evaluated: None }
}

/// An upstream's refusal, which has been read.
pub(crate) fn refused(transaction: &Transaction, head: Parts, bytes: Bytes) -> Answer {
    transaction.recording().own_answer(&bytes);
    let mut outcome = Outcome::completed(Evaluation::None);
    outcome.status = Status::UpstreamError;
    outcome.error = Some(format!("the upstream answered {}", head.status.as_u16()));
    Answer { head, content: Content::Whole { bytes, outcome }, evaluated: None }
}

/// The answer to a request that a policy blocked: a turn with its message, so that nobody tries again.
pub(crate) fn blocked(transaction: &Transaction, request: &Request, message: &str) -> Answer {
    let id = transaction.id.0.simple().to_string();
    let bytes = synthetic_turn(transaction.dialect, request.stream(), request.model(), &id, message);
    transaction.recording().own_answer(&bytes);
    let (mut head, ()) = Response::new(()).into_parts();
    if request.stream() {
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    } else {
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let evaluated = (!request.stream()).then_some(Evaluation::Intervened);
    Answer { head, content: Content::Whole { bytes, outcome: Outcome::completed(Evaluation::Intervened) }, evaluated }
}

impl Answer {
    /// The response, which owns the transaction from now on.
    pub(crate) fn write(self, core: &Core, mut transaction: Transaction) -> Response<GatewayBody> {
        let Self { mut head, content, evaluated } = self;
        mark(&mut head.headers, &transaction);
        if let Some(evaluation) = evaluated {
            head.headers.insert(POLICY, policy_header(transaction.in_force(), transaction.judged(evaluation)));
        }
        transaction.note_head(head.status.as_u16(), &head.headers);
        let dialect = transaction.dialect;
        let every = core.timeouts.keep_alive;
        let body = match content {
            Content::Whole { bytes, outcome } => GatewayBody::Whole(Box::new(Whole::new(bytes, outcome, transaction))),
            Content::Unwatched(source) => {
                let id = transaction.id.to_string();
                let pass = Pass::new(Gather::new(source), dialect, id, core.limits.event_bytes);
                GatewayBody::Pass(Box::new(KeepAlive::new(Delivery::new(pass, transaction), dialect, every)))
            }
            Content::Watched(source, reviews) => {
                let rewrite = Rewrite::new(source, reviews, transaction.calls.take(), transaction.interrupt());
                GatewayBody::Rewrite(Box::new(KeepAlive::new(Delivery::new(rewrite, transaction), dialect, every)))
            }
            Content::WatchedDecoded(source, reviews) => {
                let rewrite = Rewrite::new(source, reviews, transaction.calls.take(), transaction.interrupt());
                GatewayBody::RewriteDecoded(Box::new(KeepAlive::new(
                    Delivery::new(rewrite, transaction),
                    dialect,
                    every,
                )))
            }
            Content::UnwatchedConverted(source) => {
                let trailer = announced(&mut head.headers, &transaction, &source);
                let id = transaction.id.to_string();
                let pass = Pass::new(source, dialect, id, core.limits.event_bytes);
                let stream = KeepAlive::new(Delivery::converted(pass, transaction), dialect, every);
                GatewayBody::PassConverted(Box::new(Trailed::new(stream, trailer)))
            }
            Content::WatchedConverted(source, reviews) => {
                let trailer = announced(&mut head.headers, &transaction, &source);
                let rewrite = Rewrite::converted(source, reviews, transaction.interrupt());
                let stream = KeepAlive::new(Delivery::converted(rewrite, transaction), dialect, every);
                GatewayBody::RewriteConverted(Box::new(Trailed::new(stream, trailer)))
            }
            Content::Opaque(source) => GatewayBody::Opaque(Box::new(Delivery::new(Opaque::new(source), transaction))),
        };
        Response::from_parts(head, body)
    }
}

/// The trailer that says what the conversion of a stream has lost, where the client takes one.
fn announced(headers: &mut HeaderMap, transaction: &Transaction, source: &Convert) -> Option<(HeaderName, Told)> {
    let told = source.to_be_lost().filter(|_| transaction.takes_trailers)?;
    headers.insert(TRAILER, DROPPED.into());
    Some((DROPPED, told))
}

/// The answer to a request that failed: the caller's dialect says why, and the record too.
pub(crate) fn of_error(error: &GatewayError, mut transaction: Transaction) -> Response<GatewayBody> {
    match error.fault() {
        Fault::Client | Fault::Policy => tracing::debug!(transaction_id = %transaction.id, %error, "request refused"),
        Fault::Gateway | Fault::Upstream => tracing::warn!(transaction_id = %transaction.id, %error, "request failed"),
    }
    let bytes = error.body(transaction.dialect, &transaction.id.to_string());
    transaction.recording().own_answer(&bytes);
    let mut head = error_head(error);
    mark(&mut head.headers, &transaction);
    transaction.note_head(head.status.as_u16(), &head.headers);
    let evaluation = transaction.evaluation();
    let outcome =
        Outcome { status: error.record_status(), error: Some(error.to_string()), evaluation, repaired: false };
    Response::from_parts(head, GatewayBody::Whole(Box::new(Whole::new(bytes, outcome, transaction))))
}

/// Status and headers of an error of the gateway's own.
pub(crate) fn error_head(error: &GatewayError) -> Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = error.status();
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if !error.retry_can_help() {
        head.headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(wait) = error.wait() {
        head.headers.insert(RETRY_AFTER, wait.into());
    }
    if error.status() == StatusCode::METHOD_NOT_ALLOWED {
        head.headers.insert(http::header::ALLOW, HeaderValue::from_static("POST, GET"));
    }
    if error.status() == StatusCode::UPGRADE_REQUIRED {
        // What the client is to speak instead.
        head.headers.insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    head
}
