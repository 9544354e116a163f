//! Where what the operator's patterns find must not be: the data folder, the log, the API, exports, backups, archives, the
//! activity stream, Redis, the webhook, on either database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use luthien_testkit::client::{get, post};
use luthien_testkit::{Answer, Gate, Play, Reply, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::everywhere::{Db, Everywhere, holds};
use crate::support::{BAD, Rig, Told, judge, judged, path};

/// What patterns find.
const CANARY: &str = "canary";

const RULES: [(&str, &str); 4] = [
    ("LOG_LEVEL", "trace"),
    ("LOG_FORMAT", "json"),
    ("REDACT_PATTERNS", "canary-\\w+"),
    ("ENABLE_REQUEST_LOGGING", "true"),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A turn that says canaries where agents say things.
fn turn(dialect: Dialect, model: &str, stream: bool) -> Value {
    let mut turn = crate::support::turn(dialect, model, stream);
    let messages = if dialect == Dialect::Responses { "input" } else { "messages" };
    turn[messages][0]["content"] = json!("my key is canary-request");
    turn
}

async fn told(gateway: &Gateway, path: &str) -> Told {
    let key = std::fs::read_to_string(gateway.data().join("admin.key")).expect("the admin key");
    let url = format!("{}{path}", gateway.url());
    Told::of(get(&url, &[("x-api-key", key.trim())]).await.expect("an answer")).await
}

/// Everything the API has to say about these transactions; bodies come decompressed from all tables.
async fn api(gateway: &Gateway, ids: &[String]) -> Vec<(String, Told)> {
    let mut said = Vec::new();
    for path in ["/api/debug/calls?limit=1000", "/api/history/sessions", "/api/request-logs?limit=200", "/health"] {
        said.push((path.to_owned(), told(gateway, path).await));
    }
    for id in ids {
        let session = gateway.call(id).await["session_id"].as_str().unwrap_or_default().to_owned();
        let mut paths = vec![
            format!("/api/debug/calls/{id}"),
            format!("/api/debug/calls/{id}/diff"),
            format!("/api/request-logs/{id}"),
        ];
        for export in ["", "/export", "/export/jsonl", "/export/json"] {
            paths.push(format!("/api/history/sessions/{session}{export}"));
        }
        for path in paths {
            let answer = told(gateway, &path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            said.push((path, answer));
        }
    }
    said
}

#[rstest]
#[tokio::test]
async fn what_patterns_find_is_kept_said_and_logged_nowhere(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let hook = Upstream::start().await.expect("a receiver");
    let url = format!("{}/v1/messages/count_tokens", hook.base_url());
    let said = "the answer is canary-answer, it says";
    for policy in [None, Some(judge())] {
        // Two characters in each piece of a stream.
        let answer = Answer::new().say(said).call("Bash", &json!({"command": "echo canary-command"})).delta_size(2);
        let script = judged(BAD, move |asked| match asked.model() {
            "refused" => {
                Play::from(Reply::error(asked.dialect, 400, "invalid_request_error", "no canary-refusal here"))
            }
            _ => Play::from(answer.reply(asked)),
        });
        let places = Everywhere::new(db);
        let rules =
            [&RULES[..], &places.environment(), &[("WEBHOOK_URL", &url), ("LLM_JUDGE_API_KEY", "sk-judge")]].concat();
        let rig = Rig::with(script, policy, &rules).await;
        let key = std::fs::read_to_string(rig.gateway.data().join("admin.key")).expect("the admin key");
        let stream = rig.url("/api/activity/stream?since=2020-01-01T00:00:00Z");
        let mut ids = Vec::new();
        for dialect in Dialect::ALL {
            for (model, stream) in [("m", true), ("m", false), ("refused", true), ("canary-model", false)] {
                let told = rig.told(dialect, &turn(dialect, model, stream)).await;
                // The agent gets what the model said.
                assert_eq!(told.status, if model == "refused" { 400 } else { 200 }, "{}", told.text());
                ids.push(told.id().to_owned());
            }
            let url = rig.url(&format!("{}?x=canary-parameter", path(dialect)));
            let told = post(&url, &[("x-api-key", "k"), ("x-own", "canary-header")], "{\"canary-broken").await;
            ids.push(Told::of(told.expect("an answer")).await.id().to_owned());
        }
        for request in rig.upstream.turns() {
            assert!(holds(&request.plain, "canary-request"), "policies and upstreams see the truth");
        }
        for (path, answer) in api(&rig.gateway, &ids).await {
            assert!(!holds(&answer.body, CANARY), "{path}: {}", answer.text());
        }
        let one = told(&rig.gateway, &format!("/api/debug/calls/{}", ids[1])).await.text();
        assert!(one.contains("my key is [redacted]") && one.contains("the answer is [redacted], it says"), "{one}");
        let mut events = get(&stream, &[("x-api-key", key.trim())]).await.expect("the stream");
        let mut seen = String::new();
        // What was told before is in it up to the last transaction.
        while !seen.contains(ids.last().expect("an id")) {
            let chunk = events.chunk().await.expect("the stream goes on").expect("a piece");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        assert!(!seen.contains(CANARY), "{seen}");
        drop(events);
        let log = rig.gateway.log();
        assert_eq!(log.lines().find(|line| line.contains(CANARY)), None, "in the log");
        assert!(log.contains("TRACE"), "the log is at its loudest");
        for file in files(&rig.gateway.data()) {
            assert!(!holds(&std::fs::read(&file).expect("a file"), CANARY), "{}", file.display());
        }
        places.lacks(CANARY, &rig.gateway, &ids[0], ids.last().expect("an id")).await;
        rig.stop().await;
    }
    let notified = hook.requests();
    assert!(notified.len() >= 30, "{}", notified.len());
    for request in notified {
        assert!(!holds(&request.plain, CANARY) && !format!("{:?}", request.headers).contains(CANARY), "{request:?}");
    }
    hook.stop().await;
}

#[tokio::test]
async fn nor_does_a_kill_leave_it_behind() {
    let gate = Gate::new();
    let upstream = Upstream::start().await.expect("an upstream");
    let begun = Answer::new().say("whole words and canary-first").delta_size(3);
    upstream.default_script(begun.new_block().say("then canary-second").hold(&gate).say("never came"));
    let setup = Setup { upstream: upstream.base_url(), policy: None };
    let gateway = Gateway::start_with(&setup, &RULES).await;
    let url = format!("{}/v1/messages", gateway.url());
    let body = turn(Dialect::Messages, "m", true).to_string();
    let answer = post(&url, &[("x-api-key", "k")], body).await.expect("an answer");
    let journal = gateway.data().join("journal");
    let kept = |words: &str| files(&journal).iter().any(|file| holds(&std::fs::read(file).unwrap_or_default(), words));
    while !kept("my key is [redacted]") || !kept("content_block_stop") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let folder = gateway.kill().await;
    for file in files(folder.path()) {
        assert!(!holds(&std::fs::read(&file).expect("a file"), CANARY), "{}", file.display());
    }
    let mut gateway = Gateway::start_in(&setup, &RULES, folder).await;
    let calls = gateway.recorded(1).await;
    let said = gateway.call(calls[0]["call_id"].as_str().expect("an id")).await.to_string();
    assert!(said.contains("my key is [redacted]") && !said.contains(CANARY), "{said}");
    drop(answer);
    gateway.stop().await;
}
