//! Every policy of the catalogue, and policies put together, in every dialect, streamed and not: what goes in, what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_testkit::accumulate::accumulate;
use luthien_testkit::{Answer, Asked};
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::rows::{Expect, ROWS_ELSEWHERE, Row, rows};
use super::through;
use crate::catalogue::{self, LoadEnv, PolicySpec, Variables, load};
use crate::contract::{Refusal, ReviewContext};
use crate::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use crate::plan::{Decision, DecisionSink, Options, Plan, RequestOutcome, Reviews};
use crate::scripted;

/// What a client got, whatever its dialect: texts that stand beside each other are one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Got {
    Text(String),
    Call(String, Value),
}

/// Answers by what it is asked.
#[derive(Debug)]
struct ByPrompt(fn(&str) -> &'static str);

impl JudgeClient for ByPrompt {
    fn ask(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        let answer = (self.0)(&request.prompt).to_owned();
        Box::pin(async { Ok(JudgeAnswer::from(answer)) })
    }
}

#[derive(Default)]
pub(super) struct Decisions(pub(super) Mutex<Vec<Decision>>);

impl DecisionSink for Decisions {
    fn decided(&self, decision: Decision) {
        self.0.lock().unwrap().push(decision);
    }
}

pub(super) fn options() -> Options {
    Options {
        policy_timeout: Duration::from_mins(1),
        person_timeout: Duration::from_mins(4),
        person_timeout_streamed: Duration::from_mins(10),
        held_limit: 64 << 20,
        event_limit: 16 << 20,
    }
}

/// A request of this dialect that says `text`.
pub(super) fn request(dialect: Dialect, stream: bool, text: &str) -> Request {
    let messages = json!([{"role": "user", "content": text}]);
    let body = match dialect {
        Dialect::Messages => json!({"model": "m", "max_tokens": 100, "stream": stream, "messages": messages}),
        Dialect::Chat => json!({"model": "m", "stream": stream, "messages": messages}),
        Dialect::Responses => json!({"model": "m", "stream": stream, "input": messages}),
    };
    Request::parse(dialect, RequestKind::Turn, Bytes::from(body.to_string())).unwrap()
}

/// What the upstream answers to this request.
pub(super) fn said(answer: &Answer, request: &Request) -> Bytes {
    answer.bytes(&Asked::new(0, request.dialect(), Vec::new(), request.body().clone()).unwrap())
}

/// What an answer says, in order, and the model that it names.
pub(super) fn read(dialect: Dialect, whole: &Value) -> (Vec<Got>, Value) {
    let text = |value: &Value| Got::Text(value.as_str().unwrap_or_default().to_owned());
    let call = |name: &Value, arguments: Value| Got::Call(name.as_str().unwrap().to_owned(), arguments);
    let parsed = |value: &Value| serde_json::from_str(value.as_str().unwrap()).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut got: Vec<Got> = Vec::new();
    match dialect {
        Dialect::Messages => got.extend(list(&whole["content"]).iter().map(|block| match block["type"].as_str() {
            Some("text") => text(&block["text"]),
            _ => call(&block["name"], block["input"].clone()),
        })),
        Dialect::Chat => {
            let message = &whole["choices"][0]["message"];
            got.push(text(&message["content"]));
            let calls = list(&message["tool_calls"]);
            got.extend(calls.iter().map(|one| call(&one["function"]["name"], parsed(&one["function"]["arguments"]))));
        }
        Dialect::Responses => {
            for item in list(&whole["output"]) {
                match item["type"].as_str() {
                    Some("message") => got.extend(list(&item["content"]).iter().map(|part| text(&part["text"]))),
                    _ => got.push(call(&item["name"], parsed(&item["arguments"]))),
                }
            }
        }
    }
    let calls = got.iter().any(|one| matches!(one, Got::Call(..)));
    match dialect {
        Dialect::Messages => assert_eq!(whole["stop_reason"] == "tool_use", calls, "{whole}"),
        Dialect::Chat => assert_eq!(whole["choices"][0]["finish_reason"] == "tool_calls", calls, "{whole}"),
        Dialect::Responses => assert_eq!(whole["status"], "completed"),
    }
    (joined(got), whole["model"].clone())
}

fn joined(got: Vec<Got>) -> Vec<Got> {
    let mut out: Vec<Got> = Vec::new();
    for one in got {
        match (out.last_mut(), one) {
            (_, Got::Text(text)) if text.is_empty() => {}
            (Some(Got::Text(before)), Got::Text(text)) => *before = format!("{before}\n\n{text}"),
            (_, one) => out.push(one),
        }
    }
    out
}

/// What a client gets of an answer, with the bytes.
pub(super) async fn answered(reviews: &Reviews, dialect: Dialect, stream: bool, upstream: &Bytes) -> (Bytes, Value) {
    if stream {
        let out = Bytes::from(through(reviews, std::str::from_utf8(upstream).unwrap(), 61).await);
        let whole = accumulate(dialect, &out).unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&out)));
        (out, whole)
    } else {
        let out = reviews.whole(upstream.clone()).await.body;
        reviews.end();
        let whole = serde_json::from_slice(&out).unwrap();
        (out, whole)
    }
}

fn env() -> LoadEnv {
    let variables = [("MY_KEY", "sk-mine"), ("LUTHIEN_DEMO", "1")].map(|(name, value)| (name.into(), value.into()));
    LoadEnv { variables: Variables::Given(BTreeMap::from(variables)), ..LoadEnv::default() }
}

async fn check(row: &Row, dialect: Dialect, stream: bool) {
    let of = format!("{}, {dialect:?}, stream {stream}", row.name);
    let asked = request(dialect, stream, row.asks);
    let context = Arc::new(ReviewContext {
        dialect,
        request: asked.clone(),
        session_id: Some("s 1".to_owned()),
        judges: Arc::new(ByPrompt(row.judge)),
        ..(*scripted::context()).clone()
    });
    let spec: PolicySpec = serde_json::from_value(row.policy.clone()).unwrap();
    let plan = Plan::new(load(&spec, &env()).unwrap_or_else(|why| panic!("{of}: {why}")).tree);
    let reviews = plan.open(Arc::clone(&context), Arc::new(Decisions::default()), TaskTracker::new(), options());
    let outcome = reviews.request(asked).await;
    let (sent, sending) = match (outcome, &row.expect) {
        (RequestOutcome::Send { request, sending, .. }, Expect::Same | Expect::Says(_)) => (request, sending),
        (RequestOutcome::Blocked(message), Expect::Blocked(begins)) => {
            return assert!(message.starts_with(begins), "{of}: {message}");
        }
        (RequestOutcome::Refused(Refusal { kind, .. }), Expect::Refused(expected)) => {
            return assert_eq!(kind, *expected, "{of}");
        }
        (outcome, expected) => panic!("{of}: expected {expected:?}, got {outcome:?}"),
    };
    for part in row.sends {
        assert!(sent.text().contains(part), "{of}: {}", sent.text());
    }
    assert_eq!(sending.upstream.as_deref(), row.upstream, "{of}");
    assert_eq!(sending.credential.is_some(), row.credential, "{of}");
    let upstream = said(&row.says, &sent);
    let (bytes, whole) = answered(&reviews, dialect, stream, &upstream).await;
    let (got, model) = read(dialect, &whole);
    assert_eq!(model, "m", "{of}");
    match &row.expect {
        Expect::Same => assert_eq!(bytes, upstream, "{of}"),
        Expect::Says(expected) => {
            assert_eq!(got.len(), expected.len(), "{of}: {got:#?}");
            for (got, expected) in got.iter().zip(expected) {
                match (got, expected) {
                    // An ellipsis stands for more.
                    (Got::Text(got), Got::Text(begins)) if begins.ends_with('…') => {
                        assert!(got.starts_with(begins.trim_end_matches('…')), "{of}: {got}");
                    }
                    (got, expected) => assert_eq!(got, expected, "{of}"),
                }
            }
        }
        Expect::Blocked(_) | Expect::Refused(_) => {}
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn every_policy_behaves_the_same(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    for row in rows() {
        check(&row, dialect, stream).await;
    }
}

#[test]
fn every_policy_has_its_row() {
    let class = |row: Row| row.policy["class"].as_str().unwrap().to_owned();
    let rows: BTreeSet<String> = rows().into_iter().map(class).chain(ROWS_ELSEWHERE.map(str::to_owned)).collect();
    let catalogue: BTreeSet<String> = catalogue::list().into_iter().map(|listing| listing.name.to_owned()).collect();
    assert_eq!(catalogue.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new());
}
