//! What is said while a verdict is out: text at once, pings in time, no judge for a client that has gone.

use luthien_testkit::client::Exchange;
use luthien_testkit::{Answer, Asked, Ending, Gate, Play, Script};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{GOOD, JUDGE, Rig, judge, path, read, turn};

/// The judge says yes once the gate is open.
pub(crate) fn behind(gate: &Gate, answer: Answer) -> Script {
    let gate = gate.clone();
    Script::new(move |asked: &Asked| {
        if asked.model() == JUDGE {
            Play::from(Answer::text(GOOD).reply(asked).wait_before(&gate))
        } else {
            Play::from(answer.clone())
        }
    })
}

/// Reads on until `word` has come; gives all that came up to there.
pub(crate) async fn until(exchange: &mut Exchange, word: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(word) {
        let chunk = exchange.chunk().await.expect("more").expect("more");
        seen.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
    }
    seen
}

#[tokio::test]
async fn text_comes_before_the_verdict_and_the_call_after_it() {
    for dialect in Dialect::ALL {
        let gate = Gate::new();
        let call = Answer::new().say("first words").call("Bash", &json!({"command": "make"}));
        let rig = Rig::new(behind(&gate, call), Some(judge())).await;
        let mut exchange = rig.ask(dialect, &turn(dialect, "m", true)).await;
        let before = until(&mut exchange, "first words").await;
        gate.reached().await;
        assert!(!before.contains("Bash") && !before.contains("make"), "{before}");
        gate.open();
        let rest = exchange.rest().await.expect("the rest");
        let all = [before.as_bytes(), &rest].concat();
        let answer = read(dialect, &all).expect("well-formed");
        assert!(answer.to_string().contains("Bash"), "{answer}");
        rig.stop().await;
    }
}

#[tokio::test]
async fn later_text_overtakes_a_held_call_and_calls_go_together() {
    for (dialect, list, expected) in [
        (Dialect::Messages, "content", ["text", "text", "tool_use", "tool_use"]),
        (Dialect::Responses, "output", ["message", "message", "function_call", "function_call"]),
    ] {
        let gate = Gate::new();
        let answer = Answer::new()
            .say("before")
            .call("First", &json!({"a": 1}))
            .new_block()
            .say("between")
            .call("Second", &json!({"b": 2}));
        let rig = Rig::new(behind(&gate, answer), Some(judge())).await;
        let mut exchange = rig.ask(dialect, &turn(dialect, "m", true)).await;
        let before = until(&mut exchange, "between").await;
        gate.reached().await;
        assert!(!before.contains("First") && !before.contains("Second"), "{before}");
        gate.open();
        let rest = exchange.rest().await.expect("the rest");
        let answer = read(dialect, &[before.as_bytes(), &rest].concat()).expect("well-formed");
        let kinds: Vec<&str> =
            answer[list].as_array().expect("blocks").iter().filter_map(|block| block["type"].as_str()).collect();
        assert_eq!(kinds, expected);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_held_stream_stays_alive() {
    // A response's repeats the last number: created and in_progress went before.
    let keepalive = "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":1}\n\n";
    let pings = ["event: ping\ndata: {\"type\": \"ping\"}\n\n", ": keep-alive\n\n", keepalive];
    for (dialect, ping) in Dialect::ALL.into_iter().zip(pings) {
        let gate = Gate::new();
        let call = Answer::tool("Bash", &json!({"command": "make"}));
        let rig = Rig::with(behind(&gate, call), Some(judge()), &[("KEEP_ALIVE_INTERVAL", "1s")]).await;
        let mut exchange = rig.ask(dialect, &turn(dialect, "m", true)).await;
        gate.reached().await;
        let mut seen = until(&mut exchange, ping).await;
        seen.push_str(&until(&mut exchange, ping).await);
        assert!(!seen.contains("Bash"), "{seen}");
        gate.open();
        let rest = exchange.rest().await.expect("the rest");
        read(dialect, &[seen.as_bytes(), &rest].concat()).expect("pings do not disturb a strict reader");
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_takes_the_judge_along() {
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            let gate = Gate::new();
            let call = Answer::tool("Bash", &json!({"command": "make"}));
            let rig = Rig::new(behind(&gate, call), Some(judge())).await;
            let url = rig.url(path(dialect));
            let body = turn(dialect, "m", stream).to_string();
            // Without streaming the head comes after the verdict: the request itself is given up.
            let asking = luthien_testkit::client::post(&url, &crate::support::KEYS, body);
            if stream {
                let exchange = asking.await.expect("an answer");
                gate.reached().await;
                drop(exchange);
            } else {
                tokio::select! {
                    answer = asking => panic!("an answer before its verdict: {answer:?}"),
                    () = gate.reached() => {}
                }
            }
            let ended = rig.upstream.ended(1).await.expect("the judge's");
            assert_eq!((ended.ending, &ended.json()["model"]), (Ending::ClientGone, &json!(JUDGE)));
            rig.stop().await;
        }
    }
}
