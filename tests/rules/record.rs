//! The record says what happened, no more and no less.

use luthien_testkit::{Answer, Asked, Ending, Gate, Play, Reply, Script, Step, fixtures};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::support::{BAD, GOOD, JUDGE, Rig, chain, decisions, event, fixture_of, judge, judged, read, response, turn};

fn one_call() -> Answer {
    Answer::new().say("I will.").call("Bash", &json!({"command": "make secret-thing"}))
}

/// An answer's text and the names of its calls, in whatever dialect.
fn said(answer: &Value) -> (String, Vec<String>) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(blocks) = answer["content"].as_array() {
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
        return (
            blocks.iter().map(|block| word(&block["text"])).collect(),
            calls.map(|call| word(&call["name"])).collect(),
        );
    }
    if let Some(items) = answer["output"].as_array() {
        let calls = items.iter().filter(|item| item["type"] == "function_call");
        return (
            items.iter().map(|item| word(&item["content"][0]["text"])).collect(),
            calls.map(|call| word(&call["name"])).collect(),
        );
    }
    let message = &answer["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    (word(&message["content"]), calls.iter().map(|call| word(&call["function"]["name"])).collect())
}

#[tokio::test]
async fn original_and_final_are_what_came_and_what_went() {
    for (verdict, evaluation, action) in [(GOOD, "passed", "pass"), (BAD, "intervened", "block")] {
        let rig = Rig::new(judged(verdict, |_| one_call()), Some(judge())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                let got = if stream { read(dialect, &told.body).expect("well-formed") } else { told.json() };
                let call = rig.gateway.call(told.id()).await;
                let recorded = response(&call);
                assert_eq!(recorded["evaluation"], evaluation);
                assert_eq!(said(&recorded["final_response"]), said(&got), "{recorded}");
                let original = said(&recorded["original_response"]);
                assert_eq!(original, ("I will.".to_owned(), vec!["Bash".to_owned()]), "{recorded}");
                assert_eq!(said(&got).1.is_empty(), action == "block");
                let decisions = decisions(&call);
                assert_eq!(decisions.len(), 1, "{call}");
                assert_eq!((&decisions[0]["action"], &decisions[0]["mode"]), (&json!(action), &json!("enforce")));
                assert_eq!(decisions[0]["failed"], false);
                let diff = rig.gateway.api(&format!("/api/debug/calls/{}/diff", told.id())).await;
                assert_eq!(diff["response"]["content_changed"], action == "block", "{diff}");
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn no_policy_is_no_verdict() {
    let rig = Rig::new(Script::always(one_call()), None).await;
    for dialect in Dialect::ALL {
        let told = rig.told(dialect, &turn(dialect, "m", true)).await;
        let call = rig.gateway.call(told.id()).await;
        assert_eq!((response(&call)["evaluation"].as_str(), decisions(&call).len()), (Some("none"), 0));
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_no_judge_saw_has_not_passed() {
    let refused = |asked: &Asked| {
        if asked.model() == JUDGE {
            Play::from(Reply::error(asked.dialect, 403, "permission_error", "not you"))
        } else {
            Play::from(one_call())
        }
    };
    let open = ("simple_llm", json!({"instructions": "Be kind.", "model": JUDGE, "on_error": "pass"}));
    let closed = ("simple_llm", json!({"instructions": "Be kind.", "model": JUDGE, "on_error": "block"}));
    for (policy, evaluation, passes) in [
        (open.clone(), "failed_open", true),
        (closed, "intervened", false),
        (chain(&[open, judge()]), "failed_open", false),
    ] {
        let rig = Rig::new(Script::new(refused), Some(policy.clone())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                assert_eq!(told.text().contains("secret-thing"), passes, "{}", told.text());
                let call = rig.gateway.call(told.id()).await;
                assert_eq!(response(&call)["evaluation"], evaluation, "{policy:?}: {call}");
                assert!(decisions(&call).iter().all(|decision| decision["failed"] == true), "{call}");
                assert!(!decisions(&call).is_empty());
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_before_the_verdict_leaves_nothing_evaluated() {
    let gate = Gate::new();
    let held = gate.clone();
    let script = Script::new(move |asked: &Asked| {
        if asked.model() == JUDGE {
            Play::from(Answer::text(GOOD).reply(asked).wait_before(&held))
        } else {
            Play::from(one_call())
        }
    });
    let rig = Rig::new(script, Some(judge())).await;
    for (number, dialect) in Dialect::ALL.into_iter().enumerate() {
        let exchange = rig.ask(dialect, &turn(dialect, "m", true)).await;
        let id = exchange.header("x-luthien-transaction-id").expect("an id").to_owned();
        let asked = rig.upstream.wait_for(2 * number + 2).await;
        assert_eq!(asked.last().expect("the judge's").json()["model"], JUDGE);
        drop(exchange);
        assert_eq!(rig.upstream.ended(2 * number + 1).await.expect("the judge's").ending, Ending::ClientGone);
        let call = rig.gateway.call(&id).await;
        assert_eq!(response(&call)["evaluation"], "not_evaluated", "{call}");
        assert_eq!(event(&call, "transaction.client_disconnected")["status"], "client_disconnected");
        assert!(!response(&call)["final_response"].to_string().contains("secret-thing"), "{call}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_shadowed_verdict_is_recorded_though_the_client_has_gone() {
    // In Chat a call ends with the answer: its judge is asked too late for this.
    for dialect in [Dialect::Messages, Dialect::Responses] {
        let (gate, end) = (Gate::new(), Gate::new());
        let (held, open) = (gate.clone(), end.clone());
        let script = Script::new(move |asked: &Asked| {
            if asked.model() == JUDGE {
                Play::from(Answer::text(BAD).reply(asked).wait_before(&held))
            } else {
                Play::from(one_call().new_block().say("more").hold(&open).say("never"))
            }
        });
        let rig = Rig::new(script, Some(shadow())).await;
        let mut exchange = rig.ask(dialect, &turn(dialect, "m", true)).await;
        let id = exchange.header("x-luthien-transaction-id").expect("an id").to_owned();
        let mut seen = String::new();
        while !seen.contains("secret-thing") {
            let frame = exchange.frame().await.expect("a frame").expect("a frame");
            seen.push_str(std::str::from_utf8(&frame.raw).expect("UTF-8"));
        }
        gate.reached().await;
        drop(exchange);
        assert_eq!(rig.upstream.ended(0).await.expect("the turn's").ending, Ending::ClientGone);
        gate.open();
        let mut call = rig.gateway.call(&id).await;
        for _ in 0..500 {
            if !decisions(&call).is_empty() {
                break;
            }
            call = rig.gateway.call(&id).await;
        }
        let decisions = decisions(&call);
        assert_eq!(decisions.len(), 1, "{call}");
        assert_eq!((&decisions[0]["action"], &decisions[0]["mode"]), (&json!("block"), &json!("shadow")));
        assert_eq!(response(&call)["evaluation"], "none");
        rig.stop().await;
    }
}

/// The judge in shadow mode.
fn shadow() -> (&'static str, Value) {
    ("serial", json!({"policies": [{"class": "tool_call_judge", "mode": "shadow", "config": {"model": JUDGE}}]}))
}

#[tokio::test]
async fn a_shadowed_block_changes_no_byte() {
    let rig = Rig::new(judged(BAD, fixture_of), Some(shadow())).await;
    for fixture in Dialect::ALL.into_iter().flat_map(fixtures::all).filter(|fixture| fixture.well_formed) {
        let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, fixture.streamed)).await;
        assert_eq!(told.text(), String::from_utf8_lossy(fixture.bytes), "{} {}", fixture.dialect, fixture.name);
        if fixture.has_tool_calls {
            let call = rig.gateway.call(told.id()).await;
            let shadowed = decisions(&call).into_iter().filter(|decision| decision["mode"] == "shadow").count();
            assert!(shadowed > 0, "{} {}: {call}", fixture.dialect, fixture.name);
            assert_eq!(response(&call)["evaluation"], "none", "{} {}", fixture.dialect, fixture.name);
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_call_cut_off_by_the_upstream_was_not_evaluated() {
    let cut = || Answer::new().say("I will.").start_call("Bash").input("{\"command\":\"secret").break_off(Step::Close);
    let rig = Rig::new(judged(GOOD, move |_| cut()), Some(judge())).await;
    for dialect in Dialect::ALL {
        let told = rig.told(dialect, &turn(dialect, "m", true)).await;
        assert!(!told.text().contains("secret") && !told.text().contains("Bash"), "{}", told.text());
        let call = rig.gateway.call(told.id()).await;
        assert_eq!(response(&call)["evaluation"], "not_evaluated");
        assert_eq!(event(&call, "transaction.failed")["status"], "upstream_broken");
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_a_rewriting_policy_could_not_read_has_failed_open() {
    let chat = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":[\"odd\"]},\"finish_reason\":null}]}\n\n\
                data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let swap = ("string_replacement", json!({"replacements": [["odd", "even"]]}));
    let rig = Rig::new(Script::always(Reply::stream(chat.as_bytes())), Some(swap)).await;
    let told = rig.told(Dialect::Chat, &turn(Dialect::Chat, "m", true)).await;
    assert_eq!(told.text(), chat);
    let call = rig.gateway.call(told.id()).await;
    assert_eq!(response(&call)["evaluation"], "failed_open", "{call}");
    assert!(decisions(&call).iter().any(|decision| decision["failed"] == true), "{call}");
    rig.stop().await;
}
