//! Headers pass with their values and their number; answers are marked.

use luthien_testkit::client::post;
use luthien_testkit::{Answer, Reply, Step};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{KEY, Rig, turn};

#[tokio::test]
async fn every_header_but_the_connections_and_our_own_passes() {
    let rig = Rig::new(Answer::text("hi")).await;
    let brought = [
        KEY,
        ("anthropic-beta", "one"),
        ("anthropic-beta", "two"),
        ("anthropic-version", "2099-01-01"),
        ("user-agent", "agent/1"),
        ("accept-encoding", "gzip, br"),
        ("x-stainless-retry-count", "0"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("x-luthien-user-id", "me"),
        ("cookie", "a=1; luthien_session=secret"),
    ];
    let exchange = post(&rig.url("/v1/messages"), &brought, turn(false).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    let request = rig.upstream.requests().remove(0);
    let all = |name: &str| -> Vec<&str> {
        request
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    };
    assert_eq!(all("anthropic-beta"), ["one", "two"]);
    assert_eq!(all("anthropic-version"), ["2099-01-01"]);
    assert_eq!(all("user-agent"), ["agent/1"]);
    assert_eq!(all("accept-encoding"), ["gzip, br"]);
    assert_eq!(all("x-stainless-retry-count"), ["0"]);
    assert_eq!(all("cookie"), ["a=1"]);
    assert_eq!(all("host"), [rig.upstream.address().to_string()]);
    for gone in ["x-hop", "te", "connection", "x-luthien-user-id"] {
        assert_eq!(all(gone), Vec::<&str>::new(), "{gone}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_streamed_answer_is_asked_for_without_compression() {
    let rig = Rig::new(Answer::text("hi")).await;
    let exchange =
        post(&rig.url("/v1/messages"), &[KEY, ("accept-encoding", "gzip")], turn(true).to_string()).await.unwrap();
    exchange.rest().await.unwrap();
    assert_eq!(rig.upstream.requests()[0].header("accept-encoding"), Some("identity"));
    rig.stop().await;
}

#[tokio::test]
async fn an_answers_headers_come_back_and_it_is_marked() {
    let reply = Reply::json(200, &json!({"x": 1}))
        .header("request-id", "req_upstream")
        .header("anthropic-ratelimit-tokens-remaining", "5")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2");
    let rig = Rig::new(luthien_testkit::Script::always(reply)).await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    assert_eq!(exchange.header("request-id"), Some("req_upstream"));
    assert_eq!(exchange.header("anthropic-ratelimit-tokens-remaining"), Some("5"));
    assert_eq!(exchange.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    assert_eq!(exchange.header("content-length"), Some("7"));
    assert_eq!(exchange.header("x-call-id"), exchange.header("x-luthien-transaction-id"));
    assert_eq!(exchange.header("x-luthien-policy"), Some("no_op; version=3"));
    rig.stop().await;
}

#[tokio::test]
async fn the_gateways_own_errors_are_marked_too() {
    let rig = Rig::new(luthien_testkit::Script::always(Reply::drop_connection(Step::Close))).await;
    for (dialect, path) in [(Dialect::Messages, "/v1/messages"), (Dialect::Chat, "/v1/chat/completions")] {
        let exchange = rig.ask(path, &turn(false)).await;
        assert_eq!(exchange.status, 502);
        let id = exchange.header("x-call-id").map(str::to_owned);
        assert!(id.is_some());
        assert_eq!(exchange.header(dialect.request_id_header()).map(str::to_owned), id);
        assert_eq!(exchange.header("x-luthien-transaction-id").map(str::to_owned), id);
    }
    rig.stop().await;
}
