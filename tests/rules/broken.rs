//! Upstreams that refuse or break off, while policies watch.

use luthien_testkit::{Answer, Reply, Script, Step, fixtures};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{BOTH, GOOD, JUDGE, Rig, decisions, event, fixture_of, judge, judged, turn};

#[tokio::test]
async fn an_upstreams_error_passes_as_it_came_and_nothing_is_judged() {
    let odd = "{\"error\" :{\"message\":\"Overloaded\\u0021\"}, \"x\":1.0}\n";
    for policy in [None, Some(judge()), Some(("simple_llm", json!({"instructions": "x", "model": JUDGE})))] {
        for status in [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529] {
            let reply = Reply::whole(status, "application/json; x=1", odd)
                .header("retry-after", "7")
                .header("retry-after-ms", "7000")
                .header("x-should-retry", "true")
                .header("anthropic-ratelimit-requests-remaining", "0")
                .header("x-ratelimit-remaining-tokens", "0");
            let rig = Rig::new(Script::always(reply), policy.clone()).await;
            for dialect in BOTH {
                for stream in [true, false] {
                    let told = rig.told(dialect, &turn("m", stream)).await;
                    assert_eq!((told.status, told.text().as_str()), (status, odd));
                    for (name, value) in [
                        ("retry-after", "7"),
                        ("retry-after-ms", "7000"),
                        ("x-should-retry", "true"),
                        ("content-type", "application/json; x=1"),
                        ("anthropic-ratelimit-requests-remaining", "0"),
                        ("x-ratelimit-remaining-tokens", "0"),
                    ] {
                        assert_eq!(told.header(name), Some(value), "{name} of {status}");
                    }
                    if status == 529 {
                        let call = rig.gateway.call(told.id()).await;
                        assert_eq!(event(&call, "transaction.failed")["status"], "upstream_error");
                        assert_eq!(decisions(&call).len(), 0, "{call}");
                    }
                }
            }
            assert_eq!(rig.upstream.turns().len(), 4, "{status}: each was asked for once");
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn an_error_that_is_no_json_passes_as_it_came() {
    let html = "<html>Bad Gateway\0\u{1F600}</html>";
    let rig = Rig::new(Script::always(Reply::whole(502, "text/html", html)), Some(judge())).await;
    for dialect in BOTH {
        for stream in [true, false] {
            let told = rig.told(dialect, &turn("m", stream)).await;
            assert_eq!((told.status, told.text().as_str()), (502, html));
            assert_eq!(told.header("content-type"), Some("text/html"));
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_cut_stream_never_ends_well() {
    for policy in [None, Some(judge()), Some(("all_caps", json!({})))] {
        let rig = Rig::new(judged(GOOD, fixture_of), policy.clone()).await;
        for dialect in BOTH {
            for name in ["cut_in_text", "cut_in_tool"] {
                fixtures::named(dialect, name).expect("a fixture of that name");
                let told = rig.told(dialect, &turn(name, true)).await;
                let text = told.text();
                let last = text.trim_end().rsplit("\n\n").next().expect("a last event");
                let error = match dialect {
                    Dialect::Messages => "event: error\ndata: {\"type\":\"error\"",
                    Dialect::Chat => "data: {\"error\":{",
                    Dialect::Responses => "event: response.failed\ndata: {\"type\":\"response.failed\"",
                };
                assert!(last.starts_with(error) && text.ends_with("\n\n"), "{name} under {policy:?}: {text}");
                assert!(!text.contains("message_stop") && !text.contains("[DONE]"), "{name}: {text}");
                let call = rig.gateway.call(told.id()).await;
                assert_eq!(event(&call, "transaction.failed")["status"], "upstream_broken");
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_break_at_any_event_is_an_error_or_the_answers_proper_end() {
    let answer = Answer::new().say("some words").call("Bash", &json!({"command": "make"}));
    for policy in [None, Some(judge())] {
        for (dialect, end) in [(Dialect::Messages, "message_stop"), (Dialect::Chat, "[DONE]")] {
            let script = move |count: usize, how: Step, answer: Answer| {
                judged(GOOD, move |asked| answer.reply(asked).cut_after(count, how.clone()))
            };
            let rig = Rig::new(Answer::text("x"), policy.clone()).await;
            for count in 0..9 {
                for how in [Step::Close, Step::Reset] {
                    rig.upstream.default_script(script(count, how, answer.clone()));
                    let told = rig.told(dialect, &turn("m", true)).await;
                    let text = told.text();
                    let ended = text.trim_end().ends_with(&format!("{end}\"}}")) || text.trim_end().ends_with(end);
                    assert_ne!(ended, text.contains("\"error\""), "after {count} events: {text}");
                    let words =
                        if ended { ["stop_reason\":\"tool_use", "finish_reason\":\"tool_calls"] } else { ["", ""] };
                    assert!(words.iter().any(|word| text.contains(word)), "after {count} events: {text}");
                }
            }
            rig.stop().await;
        }
    }
}
