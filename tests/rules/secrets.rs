//! Where credentials must not be: the data folder, the log at its loudest, the API, exports, backups, archives,
//! Redis, other upstreams, on either database.

use std::path::{Path, PathBuf};

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use luthien_testkit::client::{get, post};
use luthien_testkit::{Answer, Asked, Play, Reply, Script, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::everywhere::{Db, Everywhere, holds};
use crate::support::{BAD, JUDGE, Rig, Told, judge, judged, path, turn};

/// What every secret of these tests begins with.
const CANARY: &str = "canary";

const SECRETS: [(&str, &str); 6] = [
    ("authorization", "Bearer canary-authorization"),
    ("x-api-key", "canary-api-key"),
    ("proxy-authorization", "Basic canary-proxy"),
    ("cookie", "a=canary-cookie; luthien_session=canary-session"),
    ("x-anthropic-api-key", "canary-named-apart"),
    ("x-luthien-user-id", "somebody"),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Nothing that the gateway keeps, says or logs has a canary in it.
async fn no_canary(gateway: &Gateway, ids: &[String]) {
    let logs = "/api/request-logs?limit=200";
    for path in ["/api/debug/calls", "/api/history/sessions", "/api/admin/policy/current", logs, "/health"] {
        let said = gateway.api(path).await.to_string();
        assert!(!said.contains(CANARY), "{path}: {said}");
    }
    for id in ids {
        let call = gateway.call(id).await;
        assert!(!call.to_string().contains(CANARY), "{call}");
        let diff = gateway.api(&format!("/api/debug/calls/{id}/diff")).await.to_string();
        assert!(!diff.contains(CANARY), "{diff}");
        let logged = gateway.api(&format!("/api/request-logs/{id}")).await.to_string();
        assert!(logged.contains("headers"), "{logged}");
        assert!(!logged.contains(CANARY), "{logged}");
        let session = call["session_id"].as_str().unwrap_or_default();
        if !session.is_empty() {
            for export in ["", "/export/jsonl", "/export/json"] {
                let path = format!("{}/api/history/sessions/{session}{export}", gateway.url());
                let key = std::fs::read_to_string(gateway.data().join("admin.key")).expect("the admin key");
                let told = Told::of(get(&path, &[("x-api-key", key.trim())]).await.expect("an answer")).await;
                assert!(!holds(&told.body, CANARY), "{path}");
            }
        }
    }
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains(CANARY));
    assert_eq!(line, None, "in the log");
    assert!(log.contains("TRACE"), "the log is at its loudest: {log}");
    let files = files(&gateway.data());
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        assert!(!holds(&std::fs::read(&file).expect("a file"), CANARY), "{}", file.display());
    }
}

const LOUD: [(&str, &str); 3] = [("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json"), ("ENABLE_REQUEST_LOGGING", "true")];

#[rstest]
#[tokio::test]
async fn no_credential_is_kept_said_or_logged(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    for policy in [None, Some(judge())] {
        let call = Answer::new().say("ok").call("Bash", &json!({"command": "x"}));
        let script = judged(BAD, move |asked| match asked.model() {
            "refused" => Play::from(Reply::error(asked.dialect, 401, "authentication_error", "invalid key")),
            "cut" => Play::from(Reply::drop_connection(luthien_testkit::Step::Close)),
            _ => Play::from(call.reply(asked).header("set-cookie", "s=canary-set-cookie")),
        });
        let places = Everywhere::new(db);
        let rig = Rig::with(script, policy, &[&LOUD[..], &places.environment()].concat()).await;
        let mut ids = Vec::new();
        for dialect in Dialect::ALL {
            let mut bodies: Vec<String> = Vec::new();
            for model in ["m", "refused", "cut"] {
                bodies.extend([turn(dialect, model, true).to_string(), turn(dialect, model, false).to_string()]);
            }
            bodies.push("[".to_owned());
            for body in bodies {
                for query in ["key=canary-query", "beta=true&api_key=canary-query", "access_token=canary&x=1"] {
                    let url = rig.url(&format!("{}?{query}", path(dialect)));
                    let told = Told::of(post(&url, &SECRETS, body.clone()).await.expect("an answer")).await;
                    assert!(!holds(&told.body, CANARY), "{}", told.text());
                    ids.push(told.id().to_owned());
                }
            }
            let count = rig.url("/v1/messages/count_tokens?key=canary");
            Told::of(post(&count, &SECRETS, turn(Dialect::Messages, "m", false).to_string()).await.expect("an answer"))
                .await;
            Told::of(get(&rig.url("/v1/models?key=canary"), &SECRETS).await.expect("an answer")).await;
            Told::of(get(&rig.url("/api/debug/calls?key=canary"), &SECRETS).await.expect("an answer")).await;
            Told::of(get(&rig.url("/nowhere?key=canary"), &SECRETS).await.expect("an answer")).await;
        }
        assert!(
            rig.upstream.requests().iter().any(|request| request.header("x-api-key") == Some("canary-named-apart"))
        );
        no_canary(&rig.gateway, &ids).await;
        places.lacks(CANARY, &rig.gateway, &ids[0], ids.last().expect("an id")).await;
        rig.stop().await;
    }
}

#[rstest]
#[tokio::test]
async fn nor_are_the_keys_of_the_gateway_itself(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let keys = [
        ("CLIENT_API_KEY", "canary-of-clients"),
        ("ANTHROPIC_API_KEY", "canary-of-the-server"),
        ("OPENAI_API_KEY", "canary-of-the-server"),
        ("LLM_JUDGE_API_KEY", "canary-of-judges"),
        ("AUTH_MODE", "client_key"),
    ];
    let call = Answer::tool("Bash", &json!({"command": "x"}));
    let places = Everywhere::new(db);
    let rig = Rig::with(
        judged(BAD, move |_| call.clone()),
        Some(judge()),
        &[&LOUD[..], &keys, &places.environment()].concat(),
    )
    .await;
    let mut ids = Vec::new();
    for dialect in Dialect::ALL {
        for (key, status) in [("canary-of-clients", 200), ("canary-wrong", 401), ("canary-of-the-server", 401)] {
            for headers in [[("x-api-key", key.to_owned())], [("authorization", format!("Bearer {key}"))]] {
                let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
                let told = post(&rig.url(path(dialect)), &headers, turn(dialect, "m", true).to_string()).await;
                let told = Told::of(told.expect("an answer")).await;
                assert_eq!(told.status, status, "{key}");
                assert!(!holds(&told.body, CANARY), "{}", told.text());
                ids.push(told.id().to_owned());
            }
        }
    }
    for request in rig.upstream.requests() {
        let headers = format!("{:?}", request.headers);
        assert!(!headers.contains("canary-of-clients"), "{headers}");
        let of_judge = request.json()["model"] == JUDGE;
        assert_eq!(headers.contains("canary-of-judges"), of_judge, "{headers}");
        assert_eq!(headers.contains("canary-of-the-server"), !of_judge, "{headers}");
    }
    no_canary(&rig.gateway, &ids).await;
    places.lacks(CANARY, &rig.gateway, &ids[0], ids.last().expect("an id")).await;
    rig.stop().await;
}

#[tokio::test]
async fn nor_over_http2() {
    let upstream = Upstream::start().await.expect("an upstream");
    let inner = Gateway::start_with(&Setup { upstream: upstream.base_url(), policy: None }, &LOUD).await;
    let http2 = [LOUD[0], LOUD[1], LOUD[2], ("UPSTREAM_HTTP2", "true")];
    let outer = Gateway::start_with(&Setup { upstream: inner.url().to_owned(), policy: None }, &http2).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<bytes::Bytes>>();
    for stream in [true, false] {
        let request = Request::post(format!("{}/v1/messages?key=canary-query", outer.url()))
            .header("authorization", "Bearer canary-authorization")
            .header("x-api-key", "canary-api-key")
            .header("cookie", "a=canary-cookie")
            .body(Full::new(turn(Dialect::Messages, "m", stream).to_string().into()))
            .expect("a request");
        let answer = client.request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let id = answer.headers()["x-call-id"].to_str().expect("an id").to_owned();
        answer.into_body().collect().await.expect("a body");
        assert_eq!(upstream.turns().last().expect("a turn").header("x-api-key"), Some("canary-api-key"));
        no_canary(&outer, &[id]).await;
        no_canary(&inner, &[]).await;
    }
    outer.stop().await;
    inner.stop().await;
}

#[tokio::test]
async fn a_credential_goes_to_the_upstream_of_its_dialect_and_nowhere_else() {
    let chat = Upstream::start().await.expect("an upstream");
    let judges = Upstream::start().await.expect("an upstream");
    judges.default_script(Answer::text(BAD));
    // Each call is to be asked about anew.
    let limits = json!({"cache_seconds": 0});
    let base = format!("{}/v1", judges.base_url());
    let elsewhere = ("tool_call_judge", json!({"model": JUDGE, "api_base": base, "limits": limits}));
    let call = Answer::tool("Bash", &json!({"command": "x"}));
    let base = format!("{}/v1", chat.base_url());
    let rig = Rig::with(call.clone(), Some(elsewhere), &[("OPENAI_BASE_URL", &base)]).await;
    chat.default_script(call);
    for dialect in Dialect::ALL {
        let (own, other) = if dialect == Dialect::Messages { (&rig.upstream, &chat) } else { (&chat, &rig.upstream) };
        for upstream in [own, other, &judges] {
            upstream.clear();
        }
        for headers in [[("authorization", "Bearer canary-own")], [("x-api-key", "canary-own")]] {
            let told =
                post(&rig.url(path(dialect)), &headers, turn(dialect, "m", true).to_string()).await.expect("an answer");
            Told::of(told).await;
        }
        assert_eq!((own.requests().len(), other.requests().len(), judges.requests().len()), (2, 0, 2));
        for request in own.requests() {
            assert!(format!("{:?}", request.headers).contains("canary-own"));
        }
        for request in judges.requests() {
            assert!(!format!("{request:?}").contains(CANARY), "{request:?}");
            assert_eq!((request.header("authorization"), request.header("x-api-key")), (None, None));
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_no_credential_follows_it() {
    let thief = Upstream::start().await.expect("an upstream");
    let target = format!("{}/v1/messages", thief.base_url());
    for (status, of_judge) in [(301, false), (302, false), (303, false), (307, false), (308, false), (307, true)] {
        let target = target.clone();
        let script = Script::new(move |asked: &Asked| {
            if of_judge == (asked.model() == JUDGE) {
                Play::from(Reply::whole(status, "text/plain", "moved").header("location", &target))
            } else {
                Play::from(Answer::tool("Bash", &json!({"command": "x"})))
            }
        });
        let rig = Rig::new(script, Some(judge())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                let expected = if of_judge { 200 } else { status };
                assert_eq!(told.status, expected);
                assert!(!told.text().contains("Bash"), "{}", told.text());
                assert_eq!(told.header("location").is_some(), !of_judge);
            }
        }
        rig.stop().await;
    }
    assert_eq!(thief.connections(), 0);
}
