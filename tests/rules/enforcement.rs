//! What a policy leaves of an answer: thinking, usage, headers that tell, and nothing that gets round it.

use luthien_testkit::client::{get, post, send};
use luthien_testkit::fixtures;
use luthien_testkit::{Answer, Script};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::support::{BAD, GOOD, KEYS, Rig, Told, chain, fixture_of, judge, judged, read, turn};

fn thinking(message: &Value) -> Vec<&Value> {
    let blocks = message["content"].as_array().expect("blocks").iter();
    blocks.filter(|block| block["type"].as_str().is_some_and(|kind| kind.contains("thinking"))).collect()
}

#[tokio::test]
async fn thinking_reaches_the_client_untouched_under_every_policy() {
    let change = ("string_replacement", json!({"replacements": [["e", "3"]]}));
    let shout = ("all_caps", json!({}));
    for policy in [change.clone(), shout.clone(), judge(), chain(&[change, shout, judge()])] {
        let rig = Rig::new(judged(BAD, fixture_of), Some(policy.clone())).await;
        for name in ["thinking_tool", "thinking_interleaved", "thinking_omitted", "thinking_redacted"] {
            let fixture = fixtures::named(Dialect::Messages, name).expect("a fixture of that name");
            let told = rig.told(Dialect::Messages, &turn(Dialect::Messages, name, true)).await;
            let (before, after) = (read(Dialect::Messages, fixture.bytes), read(Dialect::Messages, &told.body));
            let (before, after) = (before.expect("well-formed"), after.expect("well-formed"));
            assert!(!thinking(&before).is_empty(), "{name}");
            assert_eq!(thinking(&after), thinking(&before), "{name} under {policy:?}");
            assert_eq!(after["usage"], before["usage"], "{name} under {policy:?}");
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn usage_and_stop_reasons_survive_a_block() {
    let rig = Rig::new(judged(BAD, fixture_of), Some(judge())).await;
    for fixture in fixtures::all(Dialect::Messages).iter().filter(|fixture| fixture.streamed && fixture.well_formed) {
        let told = rig.told(Dialect::Messages, &turn(Dialect::Messages, fixture.name, true)).await;
        let before = read(Dialect::Messages, fixture.bytes).expect("well-formed");
        let after = read(Dialect::Messages, &told.body).expect("well-formed");
        assert_eq!(after["usage"], before["usage"], "{}", fixture.name);
        let expected = if before["stop_reason"] == "tool_use" { &json!("end_turn") } else { &before["stop_reason"] };
        assert_eq!(&after["stop_reason"], expected, "{}", fixture.name);
        assert_eq!(after["stop_sequence"], before["stop_sequence"], "{}", fixture.name);
    }
    for fixture in fixtures::all(Dialect::Chat).iter().filter(|fixture| fixture.streamed && fixture.well_formed) {
        let told = rig.told(Dialect::Chat, &turn(Dialect::Chat, fixture.name, true)).await;
        let before = read(Dialect::Chat, fixture.bytes).expect("well-formed");
        let after = read(Dialect::Chat, &told.body).expect("well-formed");
        assert_eq!(after.get("usage"), before.get("usage"), "{}", fixture.name);
        for place in ["id", "created", "model"] {
            assert_eq!(after[place], before[place], "{}: {place}", fixture.name);
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_header_names_the_policies_their_version_and_what_they_did() {
    for (verdict, word) in [(BAD, "evaluation=intervened"), (GOOD, "evaluation=passed")] {
        let call = Answer::tool("Bash", &json!({"command": "x"}));
        let rig = Rig::new(judged(verdict, move |_| call.clone()), Some(judge())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                let header = told.header("x-luthien-policy").expect("the policies' header");
                assert!(header.contains("tool_call_judge") && header.contains("version="), "{header}");
                assert_eq!(header.contains(word), !stream, "{header}");
                assert_eq!(told.header("x-call-id"), Some(told.id()));
                assert!(told.header(dialect.request_id_header()).is_some());
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_a_policy_cannot_see_is_not_passed_on() {
    let rig = Rig::new(Script::always(Answer::text("forbidden fruit")), Some(judge())).await;
    let paths = [
        "/v1/messages/batches",
        "/v1/messages/batches/b1/results",
        "/v1/chat/completions/chatcmpl-1",
        "/v1/complete",
        "/v1/completions",
        "/v1/threads/t1/messages",
        "/v1/batches",
        "/v1/files/f1/content",
        "/v1/realtime",
        "/v1/responses/r1/x",
        "/v1/messages/",
        "/v1//messages",
        "/v1/./messages",
        "/v1/x/../messages",
        "/v1/%6dessages",
        "/v1/messages%2f",
        "/v1/embeddings/../messages",
        "/v1/models/../messages",
        "/v1/models/%2e%2e/messages",
        "/v1/MESSAGES",
        "/V1/messages",
        "/v1/messages;a=1",
        "/v1/v1/messages",
    ];
    for path in paths {
        for told in [
            Told::of(
                post(&rig.url(path), &KEYS, turn(Dialect::Messages, "m", false).to_string()).await.expect("an answer"),
            )
            .await,
            Told::of(get(&rig.url(path), &KEYS).await.expect("an answer")).await,
        ] {
            assert!((400..500).contains(&told.status), "{path}: {} {}", told.status, told.text());
            assert!(!told.text().contains("fruit"), "{path}: {}", told.text());
        }
    }
    assert_eq!(rig.upstream.requests().len(), 0, "{:?}", rig.upstream.requests());
    rig.stop().await;
}

#[tokio::test]
async fn another_method_on_a_models_path_is_refused_in_its_dialect() {
    let rig = Rig::new(Script::always(Answer::text("hi")), None).await;
    for dialect in Dialect::ALL {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "BREW"] {
            let method = http::Method::from_bytes(method.as_bytes()).expect("a method");
            let told = send(method.clone(), &rig.url(crate::support::path(dialect)), &KEYS, "").await;
            let told = Told::of(told.expect("an answer")).await;
            assert_eq!((told.status, told.header("x-should-retry")), (405, Some("false")), "{method}");
            assert!(told.header(dialect.request_id_header()).is_some(), "{method}");
            rig.gateway.call(told.id()).await;
            if method == http::Method::HEAD {
                assert_eq!(told.body, b"");
            } else {
                assert_eq!(told.json()["error"]["type"], "invalid_request_error", "{method}");
                assert_eq!(told.json().get("type").is_some(), dialect == Dialect::Messages, "{method}");
            }
        }
    }
    assert_eq!(rig.upstream.requests().len(), 0);
    rig.stop().await;
}
