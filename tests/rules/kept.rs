//! What the vendor keeps of a conversation is no way round a block (W-11), nor is a socket (W-57).

use luthien_testkit::client::{get, post, send};
use luthien_testkit::{Answer, Reply, fixtures};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{BAD, GOOD, KEYS, Rig, Told, judge, judged, read, turn};

const CANARY: &str = "canary";

fn call() -> Answer {
    Answer::text("Let me see.").call_with_id("call_mine", "Bash", &json!({"command": "canary"}))
}

async fn got(rig: &Rig, path: &str) -> Told {
    Told::of(get(&rig.url(path), &KEYS).await.expect("an answer")).await
}

#[tokio::test]
async fn a_stored_response_is_judged_however_it_is_read() {
    let rig = Rig::new(judged(BAD, |_| call()), Some(judge())).await;
    for (stream, background) in [(false, false), (true, false), (false, true)] {
        let mut body = turn(Dialect::Responses, "m", stream);
        body["background"] = background.into();
        let told = rig.told(Dialect::Responses, &body).await;
        assert!(!told.text().contains(CANARY), "{}", told.text());
        let id = if stream { read(Dialect::Responses, &told.body).expect("well-formed") } else { told.json() };
        let one = format!("/v1/responses/{}", id["id"].as_str().expect("an id"));
        for path in [
            one.clone(),
            format!("{one}?stream=true"),
            format!("{one}?stream=true&starting_after=3"),
            format!("{one}?include[]=reasoning.encrypted_content"),
            one.replace("/v1", ""),
        ] {
            let told = got(&rig, &path).await;
            assert!(!told.text().contains(CANARY), "{path}: {} {}", told.status, told.text());
        }
        let told = Told::of(post(&rig.url(&format!("{one}/cancel")), &KEYS, "").await.expect("an answer")).await;
        assert!(!told.text().contains(CANARY), "{}", told.text());
    }
    rig.stop().await;
}

/// Everything that could be read under an id, calls of every kind among it.
#[tokio::test]
async fn nothing_that_is_read_under_an_id_gets_a_call_out() {
    for name in ["body_function_call", "body_custom_tool_call", "body_mcp_approval_request", "body_local_shell_call"] {
        let rig = Rig::new(judged(BAD, |_| call()), Some(judge())).await;
        let fixture = fixtures::named(Dialect::Responses, name).expect("a fixture of that name");
        rig.upstream.store("resp_kept", &Reply::fixture(fixture));
        let told = got(&rig, "/v1/responses/resp_kept").await;
        let calls = ["read_file", "apply_patch", "9d99", "truncate"];
        assert!(calls.iter().all(|word| !told.text().contains(word)), "{name}: {}", told.text());
        assert_eq!((told.status, &told.json()["status"]), (200, &json!("completed")), "{name}");
        // Who asks again gets no other verdict.
        assert_eq!(got(&rig, "/v1/responses/resp_kept").await.status, 400, "{name}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_is_allowed_is_read_as_it_is_kept() {
    let rig = Rig::new(judged(GOOD, |_| call()), Some(judge())).await;
    let fixture = fixtures::named(Dialect::Responses, "body_function_calls_two").expect("a fixture of that name");
    rig.upstream.store("resp_kept", &Reply::fixture(fixture));
    let told = got(&rig, "/v1/responses/resp_kept").await;
    assert_eq!((told.status, &told.body[..]), (200, fixture.bytes));
    let gone = send(http::Method::DELETE, &rig.url("/v1/responses/resp_kept"), &KEYS, "").await.expect("an answer");
    assert_eq!(Told::of(gone).await.json()["deleted"], true);
    assert_eq!(got(&rig, "/v1/responses/resp_kept").await.status, 404);
    rig.stop().await;
}

#[tokio::test]
async fn a_response_with_a_blocked_call_can_be_gone_on_from() {
    let rig = Rig::new(judged(BAD, |_| call()), Some(judge())).await;
    for stream in [true, false] {
        let told = rig.told(Dialect::Responses, &turn(Dialect::Responses, "m", stream)).await;
        let answer = if stream { read(Dialect::Responses, &told.body).expect("well-formed") } else { told.json() };
        rig.upstream.clear();
        let next = json!({"model": "m", "input": "go on", "previous_response_id": answer["id"], "stream": stream});
        let told = rig.told(Dialect::Responses, &next).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let sent = rig.turns().remove(0).json();
        assert_eq!(sent["previous_response_id"], answer["id"]);
        let output =
            sent["input"].as_array().and_then(|items| items.iter().find(|item| item["call_id"] == "call_mine"));
        assert_eq!(output.map(|item| &item["type"]), Some(&json!("function_call_output")), "{sent}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_for_responses_is_refused_at_once() {
    for policy in [None, Some(judge())] {
        let rig = Rig::new(call(), policy).await;
        let upgrade = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("openai-beta", "responses_websockets=2026-02-06"),
        ];
        for path in ["/v1/responses", "/responses"] {
            let told = get(&rig.url(path), &[&KEYS[..], &upgrade].concat()).await.expect("an answer");
            let told = Told::of(told).await;
            assert_eq!(told.status, 426, "{path}: {}", told.text());
        }
        assert_eq!(rig.upstream.requests().len(), 0);
        rig.stop().await;
    }
}
