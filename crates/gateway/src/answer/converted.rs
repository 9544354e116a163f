//! An upstream's answer in another dialect than the client's: converted first, then reviewed like any other.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::response::Parts;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use luthien_policy::plan::Reviews;
use luthien_record::model::Evaluation;
use luthien_wire::Dialect;
use luthien_wire::convert::{self, AnswerContext, StreamConverter};
use serde_json::{Value, json};

use super::{Answer, Content, decoded, is_bodiless, is_stream, own_body, refused, undecodable};
use crate::body::convert::{Convert, Unconverted};
use crate::body::decoded::Decoded;
use crate::body::gather::Gather;
use crate::body::rewrite::evaluation;
use crate::body::tee::Tee;
use crate::body::watchdog::Watchdog;
use crate::decode_body::{Encoding, encodings};
use crate::errors::GatewayError;
use crate::headers::{DROPPED, convert_answer};
use crate::routes::{Kind, Route};
use crate::transaction::{Outcome, Transaction};
use crate::upstream::Upstream;
use crate::upstream::execute::broken;
use crate::way::Core;
use crate::whole_body::collect;

/// What the answer belongs to.
pub(super) struct Belonging<'a> {
    pub(super) core: &'a Core,
    pub(super) upstream: &'a Upstream,
    pub(super) route: &'a Route,
    pub(super) wants_stream: bool,
}

impl Belonging<'_> {
    /// The client's answer. The record gets what came as it came, and what the client gets beside it.
    pub(super) async fn answer(
        &self,
        transaction: &mut Transaction,
        context: AnswerContext,
        reviews: Option<Reviews>,
        mut head: Parts,
        body: Incoming,
    ) -> Result<Answer, GatewayError> {
        let core = self.core;
        convert_answer(&mut head.headers, context.from, context.to, core.clock.now().as_second());
        let coded = encodings(&head.headers).map_err(|_| undecodable(self.upstream))?;
        let turn = self.route.kind == Kind::Turn;
        let succeeded = head.status.is_success() && !is_bodiless(head.status);
        let stream = succeeded && turn && is_stream(&head.headers, self.wants_stream);
        own_body(&mut head.headers);
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(LOCATION);
        if stream {
            let converter = self.converter(context, reviews.as_ref());
            let source = self.source(transaction, body, &coded);
            let converted = Convert::stream(source, converter, transaction.happenings());
            return Ok(streamed(head, converted, reviews));
        }
        let came = self.came(transaction, body, &coded).await?;
        if is_bodiless(head.status) {
            let outcome = Outcome::completed(Evaluation::None);
            return Ok(Answer { head, content: Content::Whole { bytes: Bytes::new(), outcome }, evaluated: None });
        }
        if succeeded && turn && self.wants_stream {
            let converter = self.converter(context, reviews.as_ref());
            let converted = Convert::whole(&came, converter, transaction.happenings());
            if let Some(lost) = converted.lost().and_then(|lost| lost.to_str().ok()) {
                transaction.mark_too(DROPPED, lost);
            }
            return Ok(streamed(head, converted, reviews));
        }
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !succeeded {
            let id = transaction.id.to_string();
            let bytes = convert::error(context.from, context.to, head.status.as_u16(), &came, &id);
            return Ok(refused(transaction, head, bytes));
        }
        if !turn {
            let bytes = counted(context.to, &came).ok_or_else(|| broken(self.upstream, "its answer is no count"))?;
            return Ok(finished(transaction, head, bytes, None));
        }
        self.whole(transaction, &context, reviews, head, &came).await
    }

    /// A turn in one piece.
    async fn whole(
        &self,
        transaction: &mut Transaction,
        context: &AnswerContext,
        reviews: Option<Reviews>,
        mut head: Parts,
        came: &[u8],
    ) -> Result<Answer, GatewayError> {
        let unreadable = |why| broken(self.upstream, &format!("its answer is none of {}: {why}", context.from));
        let converted = convert::whole(context, came).map_err(|why| unreadable(why.to_string()))?;
        if !converted.dropped.is_empty() {
            transaction.event("transaction.answer_converted", json!({"dropped": converted.dropped, "error": null}));
            transaction.mark_too(DROPPED, &format!("answer: {}", converted.dropped.join(", ")));
        }
        if let Some(status) = converted.failed {
            head.status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            return Ok(refused(transaction, head, converted.body));
        }
        let Some(reviews) = reviews else { return Ok(finished(transaction, head, converted.body, None)) };
        let reviewed = reviews.whole(converted.body).await;
        reviews.end();
        Ok(finished(transaction, head, reviewed.body, Some(evaluation(reviewed.summary))))
    }

    /// What makes the client's stream. Where the policies hold calls, they do so for the texts behind them too, and are asked
    /// about each call as early as it comes.
    fn converter(&self, context: AnswerContext, reviews: Option<&Reviews>) -> StreamConverter {
        let limits = &self.core.limits;
        let converter = StreamConverter::new(context, limits.event_bytes);
        if reviews.is_some_and(Reviews::hold_calls) {
            converter.calls_held_elsewhere()
        } else {
            converter.holding_calls(limits.held_bytes)
        }
    }

    /// The upstream's stream, decoded, and recorded as it comes.
    fn source(&self, transaction: &Transaction, body: Incoming, coded: &[Encoding]) -> Unconverted {
        let (idle, stop) = (self.upstream.idle, transaction.interrupt());
        let recording = transaction.recording().clone();
        if coded.is_empty() {
            Box::new(Gather::new(Watchdog::new(Tee::new(body, recording), idle, stop)))
        } else {
            Box::new(Decoded::new(Watchdog::new(body, idle, stop), coded, recording))
        }
    }

    /// The whole of what came, decoded and recorded.
    async fn came(&self, transaction: &Transaction, body: Incoming, coded: &[Encoding]) -> Result<Bytes, GatewayError> {
        let (core, upstream, recording) = (self.core, self.upstream, transaction.recording());
        let body = Watchdog::new(body, upstream.idle, transaction.interrupt());
        let raw = collect(body, core.limits.response_bytes, upstream, recording).await?;
        let plain = decoded(raw.clone(), coded, core.limits.response_bytes, upstream).await;
        recording.upstream_bytes(plain.as_ref().unwrap_or(&raw));
        plain
    }
}

fn streamed(mut head: Parts, converted: Convert, reviews: Option<Reviews>) -> Answer {
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    head.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    let content = match reviews {
        Some(reviews) => Content::WatchedConverted(converted, reviews),
        None => Content::UnwatchedConverted(converted),
    };
    Answer { head, content, evaluated: None }
}

fn finished(transaction: &Transaction, head: Parts, bytes: Bytes, evaluated: Option<Evaluation>) -> Answer {
    transaction.recording().own_answer(&bytes);
    let outcome = Outcome::completed(evaluated.unwrap_or(Evaluation::None));
    Answer { head, content: Content::Whole { bytes, outcome }, evaluated }
}

/// A count of tokens as the client's dialect writes it.
fn counted(to: Dialect, body: &[u8]) -> Option<Bytes> {
    let count = serde_json::from_slice::<Value>(body).ok()?.get("input_tokens")?.as_u64()?;
    let answer = match to {
        Dialect::Messages => json!({"input_tokens": count}),
        Dialect::Chat | Dialect::Responses => json!({"object": "response.input_tokens", "input_tokens": count}),
    };
    Some(answer.to_string().into())
}
