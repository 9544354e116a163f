//! The gateways, their servers, and what is asked of them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use luthien_testkit::client::{Exchange, get, post};
use luthien_testkit::servers::{Database, Redis, database};
use luthien_testkit::{Script, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http as web;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::SOON;

/// Three gateways that share two servers.
pub(crate) struct Cluster {
    pub(crate) gateways: [Gateway; 3],
    pub(crate) redis: Redis,
    upstream: Upstream,
    _database: Database,
}

/// A reader of an activity stream.
pub(crate) struct Stream(Exchange);

impl Stream {
    /// The next event, beside signs of life.
    pub(crate) async fn next(&mut self) -> Value {
        let next = async {
            loop {
                let frame = self.0.frame().await.expect("a stream").expect("no end of the stream");
                let data = frame.data.expect("data");
                if frame.event.is_empty() {
                    return serde_json::from_slice(&data).expect("JSON");
                }
            }
        };
        timeout(SOON, next).await.expect("an event in time")
    }
}

/// The gateway's own admin key.
fn key(gateway: &Gateway) -> String {
    let key = std::fs::read_to_string(gateway.data().join("admin.key")).expect("the admin key");
    key.trim().to_owned()
}

impl Cluster {
    /// Starts it all, and waits until the gateways are healthy.
    pub(crate) async fn start(script: impl Into<Script>) -> Self {
        Self::start_with(script, &[]).await
    }

    /// The same with more in the environment of each gateway.
    pub(crate) async fn start_with(script: impl Into<Script>, more: &[(&str, &str)]) -> Self {
        let (database, redis) = (database().expect("PostgreSQL"), Redis::start().expect("Redis"));
        let upstream = Upstream::start().await.expect("an upstream");
        upstream.default_script(script);
        let setup = Setup { upstream: upstream.base_url(), policy: None };
        let url = redis.url();
        let environment =
            [("DATABASE_URL", database.url()), ("REDIS_URL", &*url), ("IDENTITY_KEY", "one-for-all-three")];
        let environment = [&environment, more].concat();
        let start = || Gateway::start_with(&setup, &environment);
        let gateways = [start().await, start().await, start().await];
        let cluster = Self { gateways, redis, upstream, _database: database };
        for gateway in &cluster.gateways {
            cluster.health(gateway, "healthy").await;
        }
        cluster
    }

    /// A turn; its status, its id and the policies that it ran under.
    async fn turn(&self, gateway: &Gateway) -> (u16, String, String) {
        let turn = json!({"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]});
        let url = format!("{}/v1/messages", gateway.url());
        let answer =
            post(&url, &[("x-api-key", "sk-own"), ("x-session-id", "s")], turn.to_string()).await.expect("an answer");
        let header = |name: &str| answer.header(name).expect("a header").to_owned();
        let (id, policy) = (header("x-call-id"), header("x-luthien-policy"));
        let status = answer.status;
        answer.rest().await.expect("a whole answer");
        (status, id, policy)
    }

    /// A turn; its status and its id.
    pub(crate) async fn ask(&self, gateway: &Gateway) -> (u16, String) {
        let (status, id, _) = self.turn(gateway).await;
        (status, id)
    }

    /// Waits until a turn runs under these policies.
    pub(crate) async fn runs_under(&self, gateway: &Gateway, policies: &str) {
        // Behind them stands what they did, where there are any.
        let are_they = |header: &str| header == policies || header.starts_with(&format!("{policies}; evaluation="));
        let turned = async { while !are_they(&self.turn(gateway).await.2) {} };
        let comes = timeout(SOON, turned).await;
        comes.unwrap_or_else(|_| panic!("`{policies}` does not come into force:\n{}", gateway.log()));
    }

    /// Waits until a turn is answered with this status.
    pub(crate) async fn answers(&self, gateway: &Gateway, status: u16) {
        let answered = async { while self.turn(gateway).await.0 != status {} };
        timeout(SOON, answered).await.unwrap_or_else(|_| panic!("no answer with {status}:\n{}", gateway.log()));
    }

    /// Waits until the gateway's health is so.
    pub(crate) async fn health(&self, gateway: &Gateway, expected: &str) {
        let url = format!("{}/health", gateway.url());
        let turned = async {
            loop {
                let answer = web::get(&url).await.expect("an answer");
                let health: Value = serde_json::from_slice(&answer.body).expect("JSON");
                if health["status"] == expected {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, turned).await.unwrap_or_else(|_| panic!("it does not become {expected}:\n{}", gateway.log()));
    }

    /// The only session there is, once one is recorded.
    pub(crate) async fn only_session(&self, gateway: &Gateway) -> Value {
        let recorded = async {
            loop {
                let list = gateway.api("/api/history/sessions").await;
                if let Some([only]) = list["sessions"].as_array().map(Vec::as_slice) {
                    return only.clone();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, recorded).await.expect("one session in time")
    }

    /// Reads what the gateway tells of turns that are over, from now on.
    pub(crate) async fn watch(&self, gateway: &Gateway) -> Stream {
        let url = format!("{}/api/activity/stream?type=pipeline.client_response", gateway.url());
        let mut exchange = get(&url, &[("x-api-key", &key(gateway))]).await.expect("a stream");
        assert_eq!(exchange.status, 200);
        // The first sign of life says that it has begun.
        exchange.frame().await.expect("a stream").expect("a heartbeat");
        Stream(exchange)
    }

    /// What the admin API answers to this.
    pub(crate) async fn post(&self, gateway: &Gateway, path: &str, body: &Value) -> Value {
        self.admin(gateway, Method::POST, path, body.to_string()).await
    }

    /// The same of a PUT.
    pub(crate) async fn put(&self, gateway: &Gateway, path: &str, body: &Value) -> Value {
        self.admin(gateway, Method::PUT, path, body.to_string()).await
    }

    /// Deletes something by the admin API.
    pub(crate) async fn delete(&self, gateway: &Gateway, path: &str) {
        self.admin(gateway, Method::DELETE, path, String::new()).await;
    }

    async fn admin(&self, gateway: &Gateway, method: Method, path: &str, body: String) -> Value {
        let request = Request::builder().method(method).uri(format!("{}{path}", gateway.url()));
        let request = request.header("x-api-key", key(gateway)).header("content-type", "application/json");
        let answer = web::send(request.body(Bytes::from(body)).expect("a request")).await.expect("an answer");
        assert!(answer.status.is_success(), "{path}: {} {:?}", answer.status, answer.body);
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Ends all of it.
    pub(crate) async fn stop(self) {
        for gateway in self.gateways {
            gateway.stop().await;
        }
        self.upstream.stop().await;
    }
}
