//! Three real gateways on one PostgreSQL and one Redis: what is set at one holds at all, what happens at one is told at all,
//! requests are counted together, and Redis may go and come back.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod cluster;
mod shared;

use std::time::Duration;

use luthien_testkit::Answer;
use luthien_testkit::servers::Stop;
use serde_json::json;

use crate::cluster::Cluster;

const CAPS: &str = "all_caps; version=";
const NONE: &str = "no_op; version=";

#[tokio::test]
async fn a_policy_that_is_set_at_one_holds_at_all() {
    let mut cluster = Cluster::start(Answer::text("hi")).await;
    cluster.gateways[0].set_policy("all_caps", &json!({})).await;
    for gateway in &cluster.gateways {
        cluster.runs_under(gateway, &format!("{CAPS}1")).await;
    }
    cluster.redis.stop(Stop::Fast).expect("Redis stops");
    cluster.gateways[1].set_policy("no_op", &json!({})).await;
    for gateway in &cluster.gateways {
        cluster.runs_under(gateway, &format!("{NONE}2")).await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn the_panic_switch_and_a_policy_for_one_key_hold_at_all() {
    let cluster = Cluster::start(Answer::text("hi")).await;
    let [a, b, c] = &cluster.gateways;
    assert_eq!(a.command(&["panic", "traffic", "--reason", "a test"]).await.code, Some(0));
    for gateway in [b, c] {
        cluster.answers(gateway, 503).await;
    }
    assert_eq!(c.command(&["panic", "off"]).await.code, Some(0));
    for gateway in [a, b] {
        cluster.answers(gateway, 200).await;
    }
    // To all three it is one session of one client.
    let key = cluster.only_session(a).await["key"].clone();
    let scope = json!({"kind": "key", "key": key});
    let assignment = json!({"scope": scope, "policy_class_ref": "all_caps", "how": "replace"});
    let assigned = cluster.post(b, "/api/admin/policy/assignments", &assignment).await;
    let id = assigned["assignment"]["id"].as_u64().expect("an id");
    for gateway in &cluster.gateways {
        cluster.runs_under(gateway, &format!("all_caps; version=0; scope=key; assignment={id}")).await;
    }
    cluster.delete(c, &format!("/api/admin/policy/assignments/{id}")).await;
    for gateway in &cluster.gateways {
        cluster.runs_under(gateway, &format!("{NONE}0")).await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn what_happens_at_one_is_told_at_another_once() {
    let cluster = Cluster::start(Answer::text("hi")).await;
    let [a, b, c] = &cluster.gateways;
    let mut stream = cluster.watch(b).await;
    for gateway in [a, c, b, a] {
        let id = cluster.ask(gateway).await.1;
        let told = stream.next().await;
        assert_eq!((&told["call_id"], &told["event_type"]), (&json!(id), &json!("pipeline.client_response")));
        assert_eq!(told["data"]["model"], "m");
    }
    drop(stream);
    cluster.stop().await;
}

#[tokio::test]
async fn redis_stops_and_starts_again_and_traffic_does_not_mind() {
    let mut cluster = Cluster::start(Answer::text("hi")).await;
    cluster.redis.stop(Stop::Kill).expect("Redis stops");
    for gateway in &cluster.gateways {
        assert_eq!(cluster.ask(gateway).await.0, 200);
        cluster.health(gateway, "degraded").await;
        assert_eq!(cluster.ask(gateway).await.0, 200);
    }
    cluster.redis.start_again().expect("Redis starts");
    for gateway in &cluster.gateways {
        cluster.health(gateway, "healthy").await;
    }
    let [a, b, _] = &cluster.gateways;
    let mut stream = cluster.watch(b).await;
    let id = cluster.ask(a).await.1;
    assert_eq!(stream.next().await["call_id"], id);
    drop(stream);
    cluster.redis.pause().expect("Redis pauses");
    cluster.health(a, "degraded").await;
    assert_eq!(cluster.ask(a).await.0, 200);
    cluster.redis.resume().expect("Redis goes on");
    cluster.health(a, "healthy").await;
    cluster.stop().await;
}

/// For what a gateway promises within a second; a busy machine gets more.
pub(crate) const SOON: Duration = Duration::from_secs(20);
