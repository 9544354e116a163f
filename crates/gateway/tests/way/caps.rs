//! What keys, sessions and users may use: tool calls in a turn, questions to judges, tokens, money, and answers at once.

use std::sync::Arc;

use jiff::Timestamp;
use luthien_gateway::caps::{Caps, Defaults, Dollars, Prices};
use luthien_policy::judge::JudgeRoute;
use luthien_record::store::{StoredCaps, TransactionDetail};
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Answer, Gate, Reply, Script, Step};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::policies::{Judged, with_judge};
use crate::support::{KEY, Rig, id, path, turn, turn_in};

const OTHER: (&str, &str) = ("x-api-key", "sk-of-another");

fn keys(caps: Caps) -> Defaults {
    Defaults { key: caps, ..Defaults::default() }
}

fn dollars(text: &str) -> Dollars {
    Dollars::parse(text).unwrap()
}

async fn text(exchange: Exchange) -> String {
    String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap()
}

/// The caps that a record says were reached.
fn reached(record: &TransactionDetail) -> Vec<Value> {
    let events = record.events.iter().filter(|event| event.event_type == "transaction.cap_reached");
    events.map(|event| event.data["cap"].clone()).collect()
}

#[rstest]
#[tokio::test]
async fn tool_calls_beyond_the_cap_stay_behind_also_without_a_policy(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(false, true)] stream: bool,
) {
    let call = |answer: Answer, n: u8| answer.call(&format!("tool_{n}"), &json!({"argument": format!("marker-{n}")}));
    let rig = Rig::new((1..=4).fold(Answer::text("as you wish"), call)).await;
    rig.caps.set(keys(Caps { tool_calls_per_turn: Some(2), ..Caps::default() }), 0);
    let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert_eq!(exchange.status, 200);
    let transaction = id(&exchange);
    let body = text(exchange).await;
    for (marker, goes_out) in [("marker-1", true), ("marker-2", true), ("marker-3", false), ("marker-4", false)] {
        // Streams cut arguments anywhere; the marker's digit is not written by anything else.
        let digit = marker.trim_start_matches("marker-");
        assert_eq!(
            body.contains(&format!("tool_{digit}\\\"")) || body.contains(&format!("\"tool_{digit}\"")),
            goes_out,
            "{body}"
        );
    }
    assert!(!body.contains("marker-3") && !body.contains("marker-4"), "{body}");
    assert!(body.contains("tool_calls_per_turn"), "{body}");
    let record = rig.record(&transaction).await;
    let blocked: Vec<_> = record.decisions.iter().filter(|decision| decision.action == "block").collect();
    assert_eq!(blocked.len(), 2);
    assert!(blocked.iter().all(|decision| decision.policy == "tool_call_cap" && decision.mode == "enforce"));
    rig.stop().await;
}

#[tokio::test]
async fn no_tool_calls_are_no_calls_and_a_key_can_be_capped_alone() {
    let rig = Rig::new(Answer::tool("tool_1", &json!({"argument": "marker"}))).await;
    let stored = StoredCaps {
        scope: "key".to_owned(),
        id: uuid::Uuid::from_bytes(crate::support::key_id()).simple().to_string(),
        caps: json!({"tool_calls_per_turn": 0}),
        set_at: Timestamp::UNIX_EPOCH,
        set_by: "ada".to_owned(),
    };
    rig.recorder.store().set_caps(&stored).await.unwrap();
    rig.caps.take(rig.recorder.store()).await.unwrap();
    assert!(!text(rig.ask("/v1/messages", &turn(true)).await).await.contains("marker"));
    let other = post(&rig.url("/v1/messages"), &[OTHER], turn(false).to_string()).await.unwrap();
    assert!(text(other).await.contains("marker"));
    assert!(rig.recorder.store().forget_caps("key", &stored.id).await.unwrap());
    rig.caps.take(rig.recorder.store()).await.unwrap();
    assert!(text(rig.ask("/v1/messages", &turn(false)).await).await.contains("marker"));
    rig.stop().await;
}

#[rstest]
#[tokio::test]
async fn who_has_used_a_days_tokens_waits_for_the_next_day(
    #[values(Dialect::Messages, Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(false, true)] stream: bool,
) {
    let rig = Rig::new(Answer::text(&"word ".repeat(500))).await;
    rig.caps.set(keys(Caps { tokens_per_day: Some(100), ..Caps::default() }), 0);
    let first = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert_eq!(first.status, 200);
    let transaction = id(&first);
    first.rest().await.unwrap();
    rig.record(&transaction).await;
    let refused = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, Some("false")));
    let wait: u64 = refused.header("retry-after").expect("a time").parse().unwrap();
    assert!((1..=86_400).contains(&wait));
    let record = rig.record(&id(&refused)).await;
    assert_eq!((reached(&record), record.upstream_request), (vec![json!("tokens_per_day")], None));
    let error: Value = serde_json::from_slice(&refused.rest().await.unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_error");
    assert_eq!(error["error"]["code"], json!((dialect != Dialect::Messages).then_some("rate_limit_exceeded")));
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("`tokens_per_day` of this key") && message.contains("of 100;"), "{message}");
    assert!(message.contains("T00:00:00Z"), "{message}");
    let other = post(&rig.url(path(dialect)), &[OTHER], turn_in(dialect, stream).to_string()).await.unwrap();
    assert_eq!(other.status, 200);
    let count = rig.ask("/v1/messages/count_tokens", &turn(false)).await;
    assert_eq!(count.status, 200, "counting is free");
    rig.stop().await;
}

#[tokio::test]
async fn a_session_that_has_used_all_is_over_and_belongs_to_its_key() {
    let rig = Rig::new(Answer::text(&"word ".repeat(500))).await;
    let caps = Caps { tokens_in_all: Some(100), ..Caps::default() };
    rig.caps.set(Defaults { session: caps, ..Defaults::default() }, 0);
    let ask = async |key, session| {
        let headers = [key, ("x-session-id", session)];
        let exchange = post(&rig.url("/v1/messages"), &headers, turn(false).to_string()).await.unwrap();
        rig.record(&id(&exchange)).await;
        exchange
    };
    assert_eq!(ask(KEY, "one").await.status, 200);
    let over = ask(KEY, "one").await;
    assert_eq!((over.status, over.header("retry-after"), over.header("x-should-retry")), (403, None, Some("false")));
    assert!(text(over).await.contains("permission_error"));
    assert_eq!((ask(KEY, "two").await.status, ask(OTHER, "one").await.status), (200, 200));
    assert_eq!(rig.ask("/v1/messages", &turn(false)).await.status, 200, "of no session");
    rig.stop().await;
}

#[tokio::test]
async fn money_is_counted_by_the_price_file_and_a_model_without_a_price_is_refused() {
    let prices = Prices::parse("prices: [{ match: m, input: 1, output: 1000 }]").unwrap();
    let rig = Rig::priced(Answer::text(&"word ".repeat(500)), prices).await;
    rig.caps.set(keys(Caps { dollars_per_day: Some(dollars("0.05")), ..Caps::default() }), 0);
    let mut unpriced = turn(false);
    unpriced["model"] = json!("unknown");
    let refused = rig.ask("/v1/messages", &unpriced).await;
    assert_eq!((refused.status, refused.header("x-should-retry")), (403, Some("false")));
    let message = text(refused).await;
    assert!(message.contains("`unknown` has no price") && message.contains("PRICE_FILE"), "{message}");
    assert!(rig.upstream.requests().is_empty());
    let first = rig.ask("/v1/messages", &turn(true)).await;
    assert_eq!(first.status, 200);
    let transaction = id(&first);
    first.rest().await.unwrap();
    let record = rig.record(&transaction).await;
    let counted = record.events.iter().find(|event| event.event_type == "transaction.tokens_counted").unwrap();
    let (input, output) = (counted.data["input"].as_u64().unwrap(), counted.data["output"].as_u64().unwrap());
    assert_eq!(counted.data["nanodollars"], input * 1000 + output * 1_000_000);
    let refused = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!(refused.status, 429);
    assert!(text(refused).await.contains("of $0.05;"));
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused() {
    let rig =
        Rig::priced(Answer::text("hi"), Prices::parse("prices: [{ match: m, input: 1, output: 1 }]").unwrap()).await;
    rig.caps.set(keys(Caps { dollars_per_day: Some(dollars("5")), ..Caps::default() }), 0);
    let mut kept = turn_in(Dialect::Responses, false);
    kept["background"] = json!(true);
    for (path, body) in [("/v1/responses", kept), ("/v1/embeddings", json!({"input": "x"}))] {
        let refused = rig.ask(path, &body).await;
        assert_eq!(refused.status, 403, "{path}");
    }
    assert!(rig.upstream.requests().is_empty());
    let embedding = rig.ask("/v1/embeddings", &json!({"model": "m", "input": "x"})).await;
    // It is sent; the scripted upstream knows no such path.
    assert_eq!((embedding.status, rig.upstream.requests().len()), (404, 1));
    rig.stop().await;
}

/// How an answer that is under way ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    ClientGone,
    Broken,
    Refused,
}

#[rstest]
#[tokio::test]
async fn however_an_answer_ends_its_place_is_free_again(
    #[values(End::Whole, End::ClientGone, End::Broken, End::Refused)] end: End,
    #[values(false, true)] stream: bool,
) {
    let gate = Gate::new();
    let slow = match end {
        End::Whole | End::ClientGone => luthien_testkit::Play::from(Answer::text("half").hold(&gate).say("whole")),
        End::Broken => Reply::frames(vec![Step::Wait(gate.clone()), Step::Reset]).into(),
        End::Refused => Reply::error(Dialect::Messages, 500, "api_error", "no").wait_before(&gate).into(),
    };
    let rig = Rig::new(Script::in_turn([slow, Answer::text("next").into(), Answer::text("next").into()])).await;
    rig.caps.set(Defaults { user: Caps { concurrent_streams: Some(1), ..Caps::default() }, ..Defaults::default() }, 0);
    let (url, body) = (rig.url("/v1/messages"), turn(stream).to_string());
    let ask = || post(&url, &[KEY, ("x-claude-gateway-user-id", "ada")], body.clone());
    let mut first = tokio::task::JoinSet::new();
    let (to, with) = (url.clone(), body.clone());
    first.spawn(async move { post(&to, &[KEY, ("x-claude-gateway-user-id", "ada")], with).await });
    gate.reached().await;
    let refused = ask().await.unwrap();
    assert_eq!(
        (refused.status, refused.header("retry-after"), refused.header("x-should-retry")),
        (429, Some("1"), None)
    );
    let record = rig.record(&id(&refused)).await;
    assert_eq!(reached(&record), [json!("concurrent_streams")]);
    let free = post(&url, &[KEY, ("x-claude-gateway-user-id", "bob")], body.clone()).await.unwrap();
    assert_eq!(free.status, 200, "another user's");
    match end {
        // A stream's head may have come already: whatever there is of the answer is dropped.
        End::ClientGone => first.shutdown().await,
        End::Whole | End::Broken | End::Refused => {
            gate.open();
            // Broken or not: it has ended.
            if let Ok(exchange) = first.join_next().await.unwrap().unwrap() {
                let _ = exchange.rest().await;
            }
        }
    }
    // The client may see the end before the gateway has noted it.
    let mut next = ask().await.unwrap();
    while next.status == 429 {
        tokio::task::yield_now().await;
        next = ask().await.unwrap();
    }
    assert_eq!(next.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn the_whole_gateway_takes_so_many_answers_at_once() {
    let gate = Gate::new();
    let rig = Rig::new(Answer::text("half").hold(&gate).say("whole")).await;
    rig.caps.set(Defaults::default(), 3);
    let mut asks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let url = rig.url("/v1/messages");
        asks.spawn(async move {
            let key = format!("sk-{n}");
            post(&url, &[("x-api-key", &key)], turn(true).to_string()).await.unwrap()
        });
    }
    let mut held = Vec::new();
    let mut refused = 0;
    while let Some(exchange) = asks.join_next().await {
        let exchange = exchange.unwrap();
        match exchange.status {
            200 => held.push(exchange),
            status => {
                assert_eq!((status, exchange.header("retry-after")), (503, Some("1")));
                assert!(text(exchange).await.contains("overloaded_error"));
                refused += 1;
            }
        }
    }
    assert_eq!((held.len(), refused), (3, 97));
    assert_eq!(rig.upstream.requests().len(), 3);
    let count = rig.ask("/v1/messages/count_tokens", &turn(false)).await;
    assert_ne!(count.status, 503, "no answer of a model");
    gate.open();
    drop(held);
    rig.stop().await;
}

#[rstest]
#[case::in_a_turn(Caps { judge_calls_per_turn: Some(2), ..Caps::default() }, "judge_calls_per_turn")]
#[case::in_a_day(Caps { judge_calls_per_day: Some(2), ..Caps::default() }, "judge_calls_per_day")]
#[tokio::test]
async fn a_question_to_a_judge_beyond_the_cap_is_not_asked(#[case] caps: Caps, #[case] name: &str) {
    let answer = (1..=3).fold(Answer::new(), |answer, n| answer.call(&format!("tool_{n}"), &json!({"n": n})));
    let rig = Rig::with(with_judge("good", answer), vec![Arc::new(Judged(JudgeRoute::UserCredentials))], |_| {}).await;
    rig.caps.set(keys(caps), 0);
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    let transaction = id(&exchange);
    let body = text(exchange).await;
    assert_eq!(rig.upstream.requests().len(), 3, "the turn and two questions");
    assert!(body.contains("could not check the call of the tool"), "{body}");
    let record = rig.record(&transaction).await;
    assert_eq!(reached(&record), [json!(name)]);
    let failed: Vec<_> = record.decisions.iter().filter(|decision| decision.failed).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].reason.as_ref().is_some_and(|reason| reason.contains(name)), "{failed:?}");
    rig.stop().await;
}
