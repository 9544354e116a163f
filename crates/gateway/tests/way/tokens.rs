//! How many tokens a caller may use in a minute: counted as the answer tells, however it comes.

use luthien_gateway::config::GatewayConfig;
use luthien_gateway::rates::UsualQuota;
use luthien_record::model::Status;
use luthien_record::store::TransactionDetail;
use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Script, Step, fixtures};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{KEY, Rig, id, path, turn, turn_in};

const LIMIT: &str = "x-luthien-ratelimit-limit-tokens";
const REMAINING: &str = "x-luthien-ratelimit-remaining-tokens";

fn limited(config: &mut GatewayConfig) {
    config.rates.usual = UsualQuota::default();
    config.rates.usual.set_tokens(1000);
}

/// What the record says was used.
fn counted(record: &TransactionDetail) -> Value {
    let found: Vec<&Value> = record
        .events
        .iter()
        .filter(|event| event.event_type == "transaction.tokens_counted")
        .map(|event| &event.data)
        .collect();
    assert_eq!(found.len(), 1, "{:?}", record.events);
    found[0].clone()
}

#[rstest]
#[case(Dialect::Messages, false, false)]
#[case(Dialect::Messages, true, false)]
#[case(Dialect::Chat, false, false)]
#[case::not_told(Dialect::Chat, true, true)]
#[case(Dialect::Responses, false, false)]
#[case(Dialect::Responses, true, false)]
#[tokio::test]
async fn what_an_answer_used_counts_against_the_next(
    #[case] dialect: Dialect,
    #[case] stream: bool,
    #[case] estimated: bool,
) {
    let rig = Rig::with(Answer::text(&"word ".repeat(1000)), Vec::new(), limited).await;
    let (url, body) = (rig.url(path(dialect)), turn_in(dialect, stream).to_string());
    let exchange = post(&url, &[KEY], body.clone()).await.unwrap();
    assert_eq!((exchange.status, exchange.header(REMAINING)), (200, Some("1000")));
    let first = id(&exchange);
    exchange.rest().await.unwrap();
    let used = counted(&rig.record(&first).await);
    assert_eq!(used["estimated"], json!(estimated));
    assert!(used["output"].as_u64() >= Some(1000) && used["input"].as_u64() > Some(10), "{used}");

    let exchange = post(&url, &[KEY], body.clone()).await.unwrap();
    let said = (exchange.status, exchange.header(REMAINING), exchange.header(LIMIT));
    assert_eq!(said, (429, Some("0"), Some("1000")));
    assert!(exchange.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait > 0)));
    let refused = rig.record(&id(&exchange)).await;
    assert_eq!((refused.http_status, refused.upstream_request), (Some(429), None));
    let error: Value = serde_json::from_slice(&exchange.rest().await.unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_error");
    let code = json!((dialect != Dialect::Messages).then_some("rate_limit_exceeded"));
    assert_eq!(error["error"]["code"], code);
    let other = post(&url, &[("x-api-key", "sk-of-another")], body).await.unwrap();
    assert_eq!(other.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_that_its_client_left_counts_what_was_seen() {
    let text = fixtures::named(Dialect::Messages, "text")
        .or_else(|| fixtures::all(Dialect::Messages).iter().find(|fixture| fixture.streamed))
        .unwrap();
    let rig = Rig::with(Script::always(Reply::fixture(text).cut_after(3, Step::Stall)), Vec::new(), limited).await;
    let mut exchange = post(&rig.url("/v1/messages"), &[KEY], turn(true).to_string()).await.unwrap();
    for _ in 0..3 {
        exchange.frame().await.unwrap().unwrap();
    }
    drop(exchange);
    let record = rig.only_record().await;
    assert_eq!(record.status, Status::ClientDisconnected);
    let used = counted(&record);
    assert_eq!(used["estimated"], true);
    assert!(used["total"].as_u64() > Some(0), "{used}");
    rig.stop().await;
}

#[tokio::test]
async fn failures_and_counts_of_tokens_use_none() {
    let refusal = Reply::error(Dialect::Messages, 500, "api_error", "no");
    let rig = Rig::with(Script::always(refusal), Vec::new(), limited).await;
    for path in ["/v1/messages", "/v1/messages/count_tokens"] {
        let exchange = post(&rig.url(path), &[KEY], turn(false).to_string()).await.unwrap();
        let record = rig.record(&id(&exchange)).await;
        assert!(record.events.iter().all(|event| event.event_type != "transaction.tokens_counted"), "{path}");
    }
    let exchange = post(&rig.url("/v1/messages"), &[KEY], turn(false).to_string()).await.unwrap();
    assert_eq!((exchange.status, exchange.header(REMAINING)), (500, Some("1000")), "errors say it too");
    rig.stop().await;
}

#[tokio::test]
async fn side_endpoints_wait_as_turns_do() {
    let rig = Rig::with(Answer::text(&"word ".repeat(1000)), Vec::new(), limited).await;
    let ask = async || {
        post(&rig.url("/v1/embeddings"), &[KEY], json!({"model": "e", "input": "x"}).to_string()).await.unwrap()
    };
    let exchange = ask().await;
    // The scripted upstream knows no such path; a failure uses nothing.
    assert_eq!((exchange.status, exchange.header(REMAINING)), (404, Some("1000")));
    let turn = rig.ask("/v1/messages", &turn(false)).await;
    rig.record(&id(&turn)).await;
    let exchange = ask().await;
    assert_eq!((exchange.status, exchange.header(REMAINING)), (429, Some("0")));
    assert!(exchange.header("retry-after").is_some());
    rig.stop().await;
}

#[tokio::test]
async fn without_a_limit_nothing_is_counted() {
    let rig = Rig::new(Answer::text("hi")).await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!(exchange.header(LIMIT), None);
    let record = rig.record(&id(&exchange)).await;
    assert!(record.events.iter().all(|event| event.event_type != "transaction.tokens_counted"));
    rig.stop().await;
}
